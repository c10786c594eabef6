"""Sizes, states and other facts of a server that clients ask for by habit.

There are no files to measure: rows live in shared storage, compressed, with their history. Sizes of relations are 0
rather than an error, because GUI tools show lists of tables with them and show no list at all where that fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.shapes import keywords
from tausql.sql.functions.catalogue_names import facts
from tausql.sql.functions.function import STABLE, VOLATILE, Function, declare
from tausql.sql.functions.record_sets import record_set

EPOCH_2000_MICROS: Final = 946_684_800_000_000
_CATEGORIES: Final = {
    "U": "unreserved",
    "C": "unreserved (cannot be function or type name)",
    "T": "reserved (can be function or type name)",
    "R": "reserved",
}
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")
_SIZE_UNITS: Final = {"": 0, "bytes": 0, "b": 0, "kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}


def _size_pretty(size: int | Decimal) -> str:
    """pg_size_pretty: the largest unit in which it is below 10240, rounded half up."""
    value = int(size)
    sign, value = (-1, -value) if value < 0 else (1, value)
    if value < 10 * 1024:
        return f"{sign * value} bytes"
    value >>= 9  # one bit kept for rounding
    for at, unit in enumerate(_UNITS):
        if value < 20 * 1024 - 1 or at == len(_UNITS) - 1:
            return f"{sign * ((value + 1) // 2)} {unit}"
        value >>= 10
    return ""


def _size_bytes(text: str) -> int:
    stripped = text.strip()
    digits = stripped.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ").rstrip()
    unit = stripped[len(digits) :].strip().lower()
    try:
        return int(Decimal(digits) * (1 << _SIZE_UNITS[unit]))
    except (ArithmeticError, KeyError):
        raise SqlError(Code.invalid_parameter_value, f'invalid size: "{text}"') from None


def _no_size(context: Any, oid: int, *fork: Any) -> int | None:
    return 0 if facts(context).relation(oid) is not None else None


def _keywords() -> Iterator[tuple[str, str, bool, str, str]]:
    for word, kind, bare in keywords():
        yield word, kind, bare, _CATEGORIES[kind], "can be bare label" if bare else "requires AS"


def _column_property(context: Any, oid: int, column: int, name: str) -> bool | None:
    """pg_index_column_has_property: all indexes are B-trees."""
    entry = facts(context).index_by_oid.get(oid)
    if entry is None or not 1 <= column <= len(entry.columns) + len(entry.include):
        return None
    if column > len(entry.columns):
        return False if name.lower() in ("orderable", "distance_orderable", "search_array", "search_nulls") else None
    first = entry.nulls_first[column - 1] if entry.nulls_first else False
    return {
        "asc": True, "desc": False, "nulls_first": first, "nulls_last": not first, "orderable": True,
        "distance_orderable": False, "returnable": True, "search_array": True, "search_nulls": True,
    }.get(name.lower())  # fmt: skip


def _options(items: list[str]) -> Iterator[tuple[str, str | None]]:
    for item in items:
        name, equals, value = item.partition("=")
        yield name, value if equals else None


def _started(context: Any) -> int:
    """There is no postmaster, and processors come and go. Clients compare this with what they saw last to know whether
    what they remember of the schema still holds: so it is when the schema was last changed."""
    return max(facts(context).snapshot.version >> 10, EPOCH_2000_MICROS) - EPOCH_2000_MICROS


def _transaction_id(context: Any) -> int:
    """A number that grows: the transaction's begin, in about seconds."""
    began: int = context.now_us + EPOCH_2000_MICROS
    return began >> 20


def functions() -> Iterator[Function]:
    for name in ("pg_postmaster_start_time", "pg_conf_load_time"):
        yield declare(f"{name}() timestamptz", _started, volatility=STABLE, reads_schema=True)
    yield declare("txid_current() int8", _transaction_id, volatility=STABLE, context=True)
    yield declare("pg_current_xact_id() xid8", _transaction_id, volatility=STABLE, context=True)
    yield declare("txid_current_if_assigned() int8", lambda: None, volatility=STABLE)
    yield declare("pg_current_xact_id_if_assigned() xid8", lambda: None, volatility=STABLE)
    yield declare("age(xid) int4", lambda xid: 2_147_483_647, volatility=STABLE)
    yield declare("pg_jit_available() bool", lambda: False, volatility=STABLE)
    for signature in (
        "pg_relation_size(regclass) int8",
        "pg_relation_size(regclass, text) int8",
        "pg_table_size(regclass) int8",
        "pg_indexes_size(regclass) int8",
        "pg_total_relation_size(regclass) int8",
    ):
        yield declare(signature, _no_size, volatility=VOLATILE, reads_schema=True)
    for kind in ("name", "oid"):
        yield declare(f"pg_database_size({kind}) int8", lambda which: 0, volatility=VOLATILE)
        yield declare(f"pg_tablespace_size({kind}) int8", lambda which: 0, volatility=VOLATILE)
    yield declare("pg_tablespace_location(oid) text", lambda oid: "", volatility=STABLE)
    yield declare("pg_size_pretty(int8) text", _size_pretty)
    yield declare("pg_size_pretty(numeric) text", _size_pretty)
    yield declare("pg_size_bytes(text) int8", _size_bytes)
    yield record_set(
        "pg_get_keywords() record", _keywords, "word text,catcode char,barelabel bool,catdesc text,baredesc text"
    )
    yield record_set("pg_options_to_table(_text) record", _options, "option_name text,option_value text")
    yield declare(
        "pg_index_column_has_property(regclass, int4, text) bool", _column_property, volatility=STABLE,
        reads_schema=True,
    )  # fmt: skip
    yield declare("inet_server_port() int4", lambda: 5432, volatility=STABLE)
    yield declare("inet_client_port() int4", lambda: None, volatility=STABLE)
    yield declare("inet_server_addr() inet", lambda: None, volatility=STABLE)
    yield declare("inet_client_addr() inet", lambda: None, volatility=STABLE)
    yield declare("pg_blocking_pids(int4) _int4", lambda pid: [], volatility=VOLATILE)
    yield declare("row_security_active(oid) bool", lambda oid: False, volatility=STABLE)
    yield declare("row_security_active(text) bool", lambda name: False, volatility=STABLE)
    for name in ("numscans", "tuples_inserted", "tuples_updated", "tuples_deleted", "live_tuples", "dead_tuples"):
        yield declare(f"pg_stat_get_{name}(oid) int8", lambda oid: 0, volatility=STABLE)
