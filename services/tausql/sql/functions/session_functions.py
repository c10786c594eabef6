"""Who and where: current_user, current_database, search path, settings. Facts come from the context's session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.functions.function import STABLE, VOLATILE, Function, declare
from tausql.sql.types.builtin import ARRAYS, SCALARS

VERSION_TEXT: Final = "PostgreSQL 16.9 (TauSQL)"


def _current_schemas(context: Any, include_implicit: bool) -> list[str]:
    path = list(context.session.search_path)
    if include_implicit and "pg_catalog" not in path:
        path.insert(0, "pg_catalog")
    return path


def _setting(context: Any, name: str, missing_ok: bool = False) -> str | None:
    value: str | None = context.session.settings.get(name.lower())
    if value is None and not missing_ok:
        raise SqlError(Code.undefined_object, f'unrecognized configuration parameter "{name}"')
    return value


def _set_config(_name: str, _value: str, _local: bool) -> str:
    raise not_supported("set_config is supported as SELECT set_config('name', 'value', true or false) only")


def _is_visible(context: Any, oid: int) -> bool | None:
    """Whether the relation's name alone finds it; NULL where there is no such relation."""
    name = context.format.name_reg("class", oid) if context.format.name_reg is not None else None
    return None if name is None else "." not in name


def _format_type(oid: int | None, typmod: int | None) -> str | None:
    if oid is None:
        return None
    for type in SCALARS:
        if type.oid == oid:
            if type.name == "bpchar" and (typmod is None or typmod < 0):
                return "character" if typmod is None else "bpchar"
            return type.display(-1 if typmod is None else typmod)
    array = ARRAYS.get(oid)
    if array is not None:
        return array.display(-1 if typmod is None else typmod)
    return "-" if oid == 0 else "???"


def functions() -> Iterator[Function]:
    for name, read in (
        ("current_user", lambda context: context.session.user),
        ("session_user", lambda context: context.session.session_user),
        ("user", lambda context: context.session.user),
        ("current_role", lambda context: context.session.user),
        ("current_database", lambda context: context.session.database),
        ("current_catalog", lambda context: context.session.database),
        ("current_schema", lambda context: next(iter(context.session.search_path), None)),
    ):
        yield declare(f"{name}() name", read, volatility=STABLE, context=True)
    yield declare("current_schemas(bool) _name", _current_schemas, volatility=STABLE, context=True)
    yield declare("version() text", lambda: VERSION_TEXT, volatility=STABLE)
    yield declare("pg_backend_pid() int4", lambda context: context.session.pid, volatility=STABLE, context=True)
    yield declare("current_setting(text) text", _setting, volatility=STABLE, context=True)
    yield declare("current_setting(text, bool) text", _setting, volatility=STABLE, context=True)
    yield declare("set_config(text, text, bool) text", _set_config, volatility=VOLATILE)
    yield declare("pg_table_is_visible(oid) bool", _is_visible, volatility=STABLE, context=True)
    yield declare("pg_is_in_recovery() bool", lambda: False, volatility=VOLATILE)
    yield declare("pg_client_encoding() name", lambda: "UTF8", volatility=STABLE)
    yield declare("format_type(oid, int4) text", _format_type, volatility=STABLE, strict=False)
    yield declare("pg_encoding_to_char(int4) name", lambda code: "UTF8" if code == 6 else "", volatility=STABLE)
