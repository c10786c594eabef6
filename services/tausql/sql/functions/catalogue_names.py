"""Names of what has an oid, whether the search path finds it, and what COMMENT says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.facts import (
    PG_CLASS,
    Facts,
    IndexEntry,
    facts_of,
)
from tausql.sql.catalogue.objects import Domain, Statistics, View
from tausql.sql.catalogue.objects import Function as SqlFunction
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.catalogue.references import shown
from tausql.sql.catalogue.shapes import builtin_by_oid
from tausql.sql.catalogue.temporary import TEMPORARY_SCHEMA, named_path
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.enums import is_enum_array_oid
from tausql.sql.types.registry import type_by_name

_CATALOGUES: Final = {
    "pg_class": 1259, "pg_type": 1247, "pg_proc": 1255, "pg_namespace": 2615, "pg_constraint": 2606,
    "pg_authid": 1260, "pg_roles": 1260, "pg_database": 1262, "pg_statistic_ext": 3381, "pg_attrdef": 2604,
    "pg_operator": 2617, "pg_language": 2612, "pg_am": 2601, "pg_cast": 2605, "pg_collation": 3456,
}  # fmt: skip
# What a name that does not resolve is told by: to_regclass and its kin give NULL for these.
_UNRESOLVED: Final = frozenset(
    (
        Code.undefined_table,
        Code.undefined_object,
        Code.undefined_function,
        Code.invalid_schema_name,
        Code.ambiguous_function,
        Code.invalid_text_representation,
        Code.numeric_value_out_of_range,
    )
)


def facts(context: Any) -> Facts:
    """Of the schema the statement runs with; what is evaluated without one knows what the system brings."""
    if context.snapshot is None:
        context.snapshot = Snapshot(0, 0, (), {}, {}, {})
    return facts_of(context.snapshot)


def relation_schema(found: Any) -> str:
    return found.table.schema if isinstance(found, IndexEntry) else found.schema


def in_path(context: Any, schema: str) -> bool:
    return schema == "pg_catalog" or schema in context.session.search_path


def _schemas(context: Any, implicit: bool) -> list[str]:
    """The schemas of the search path that are there."""
    known = facts(context).objects.schemas
    path = [name for name in context.session.search_path if name in known]
    if not implicit:
        return list(named_path(path, context.session.settings.get("search_path", "")))
    if "pg_catalog" in path:
        return path
    first = path[:1] if path[:1] == [TEMPORARY_SCHEMA] else []
    return [*first, "pg_catalog", *path[len(first) :]]


def _temporary_schema(context: Any) -> int:
    """0 where the session has no temporary tables."""
    schema = facts(context).objects.schemas.get(TEMPORARY_SCHEMA)
    return 0 if schema is None else schema.oid


def _relation_visible(context: Any, oid: int) -> bool | None:
    """Whether the relation's name alone finds it: nothing of that name stands earlier in the path."""
    known = facts(context)
    found = known.relation(oid)
    if found is None:
        return None
    schema = relation_schema(found)
    if not in_path(context, schema):
        return False
    for earlier in ("pg_catalog", *context.session.search_path):
        if earlier == schema:
            return True
        if known.name_taken(earlier, found.name):
            return False
    return True


def _type_visible(context: Any, oid: int) -> bool | None:
    domain = facts(context).domains.get(oid - 1 if is_enum_array_oid(oid) else oid)
    if domain is not None:
        return in_path(context, domain.schema)
    return True if oid in builtin_by_oid("pg_type") else None


def _function_visible(context: Any, oid: int) -> bool | None:
    item = facts(context).objects.by_oid.get(oid)
    if isinstance(item, SqlFunction):
        return in_path(context, item.schema)
    return True if oid in builtin_by_oid("pg_proc") else None


def _statistics_visible(context: Any, oid: int) -> bool | None:
    item = facts(context).objects.by_oid.get(oid)
    return in_path(context, item.schema) if isinstance(item, Statistics) else None


def _visible_in(name: str) -> Callable[[Any, int], bool | None]:
    """For what only the system brings."""
    return lambda context, oid: True if oid in builtin_by_oid(name) else None


def _obj_description(context: Any, oid: int, catalogue: str) -> str | None:
    number = _CATALOGUES.get(catalogue)
    return facts(context).comments.get((number, oid, 0)) if number is not None else None


def _any_description(context: Any, oid: int) -> str | None:
    found = (text for (_, one, sub), text in facts(context).comments.items() if one == oid and sub == 0)
    return next(found, None)


def _col_description(context: Any, oid: int, number: int) -> str | None:
    return facts(context).comments.get((PG_CLASS, oid, number)) if number else None


def format_type(context: Any, oid: int | None, typmod: int | None) -> str | None:
    """format_type(): SQL's name of a type, with its modifier."""
    if oid is None:
        return None
    if oid == 0:
        return "-"
    known = facts(context)
    domain = known.domains.get(oid)
    if domain is not None:
        return domain_name(context, domain)
    enum = known.domains.get(oid - 1) if is_enum_array_oid(oid) else None
    if enum is not None:
        return f"{domain_name(context, enum)}[]"
    type = known.types.get(oid)
    if type is None and isinstance(known.relation(oid), (Table, View)):
        return shown("type", oid, known, context.session.search_path)
    if type is None:
        row = builtin_by_oid("pg_type").get(oid)
        return "???" if row is None else row[1]
    if type.name == "bpchar" and (typmod is None or typmod < 0):
        return "character" if typmod is None else "bpchar"
    return type.display(-1 if typmod is None else typmod)


def domain_name(context: Any, domain: Domain) -> str:
    name = quoted(domain.name)
    return name if in_path(context, domain.schema) else f"{quoted(domain.schema)}.{name}"


def _resolved(kind: str) -> Callable[[Any, str], int | None]:
    """to_regclass and its kin: the type's input, but NULL for what is not there."""
    read = type_by_name(f"reg{kind}").text_in

    def resolve(context: Any, text: str) -> int | None:
        try:
            oid: int = read(text, context.format, -1)
        except SqlError as error:
            if error.code in _UNRESOLVED:
                return None
            raise
        return oid

    return resolve


def _to_regtypemod(context: Any, text: str) -> int | None:
    return None if _resolved("type")(context, text) is None else -1


def _serial_sequence(context: Any, table: str, column: str) -> str | None:
    """pg_get_serial_sequence: the sequence that belongs to a column, ready to be read as regclass."""
    known = facts(context)
    oid = context.format.resolve_reg("class", table)
    found = known.relation(oid)
    if isinstance(found, Table):
        numbers = {one.name: one.position + 1 for one in found.live_columns}
    else:
        listed = found.columns if isinstance(found, View) else ()
        numbers = {str(one.name): at for at, one in enumerate(listed, 1)}
    if column not in numbers:
        raise SqlError(Code.undefined_column, f'column "{column}" of relation "{table}" does not exist')
    for sequence in known.sequences:
        if sequence.owned_by == (oid, numbers[column]):
            return f"{quoted(sequence.schema)}.{quoted(sequence.name)}"
    return None


def _encoding_number(name: str) -> int:
    return 6 if name.lower().replace("-", "").replace("_", "") in ("utf8", "unicode") else -1


def functions() -> Iterator[Function]:
    def seeing(signature: str, impl: Callable[..., Any], strict: bool = True) -> Function:
        return declare(signature, impl, volatility=STABLE, strict=strict, reads_schema=True)

    yield seeing("pg_get_userbyid(oid) name", lambda context, oid: facts(context).role_name(oid))
    yield seeing("current_schema() name", lambda context: next(iter(_schemas(context, False)), None))
    yield seeing("current_schemas(bool) _name", _schemas)
    yield seeing("format_type(oid, int4) text", format_type, strict=False)
    yield seeing("pg_table_is_visible(oid) bool", _relation_visible)
    yield seeing("pg_type_is_visible(oid) bool", _type_visible)
    yield seeing("pg_function_is_visible(oid) bool", _function_visible)
    yield seeing("pg_statistics_obj_is_visible(oid) bool", _statistics_visible)
    for what, catalogue in (
        ("operator", "pg_operator"), ("opclass", "pg_opclass"), ("opfamily", "pg_opfamily"),
        ("collation", "pg_collation"), ("ts_config", "pg_ts_config"), ("ts_dict", "pg_ts_dict"),
        ("ts_parser", "pg_ts_parser"), ("ts_template", "pg_ts_template"),
    ):  # fmt: skip
        yield seeing(f"pg_{what}_is_visible(oid) bool", _visible_in(catalogue))
    yield seeing("pg_conversion_is_visible(oid) bool", lambda context, oid: None)
    yield seeing("obj_description(oid, name) text", _obj_description)
    yield seeing("obj_description(oid) text", _any_description)
    yield seeing("shobj_description(oid, name) text", _obj_description)
    yield seeing("col_description(oid, int4) text", _col_description)
    for kind in ("class", "type", "proc", "procedure", "namespace", "role", "oper", "operator", "collation"):
        yield seeing(f"to_reg{kind}(text) reg{kind}", _resolved(kind))
    yield seeing("to_regtypemod(text) int4", _to_regtypemod)
    yield seeing("pg_get_serial_sequence(text, text) text", _serial_sequence)
    yield declare("pg_encoding_to_char(int4) name", lambda code: "UTF8" if code == 6 else "", volatility=STABLE)
    yield declare("pg_char_to_encoding(name) int4", _encoding_number, volatility=STABLE)
    yield seeing("pg_my_temp_schema() oid", _temporary_schema)
    yield declare("pg_is_other_temp_schema(oid) bool", lambda oid: False, volatility=STABLE)
    yield declare("getdatabaseencoding() name", lambda: "UTF8", volatility=STABLE)
