"""pg_get_...def and their kin: objects as the SQL that would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.sql.catalogue import definitions as d
from tausql.sql.catalogue.deparsing import (
    argument_default_shown,
    default_shown,
    domain_check_shown,
    expression_shown,
)
from tausql.sql.catalogue.descriptors import ForeignKey, Table
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.catalogue.facts import PG_TYPE, Facts, IndexEntry
from tausql.sql.catalogue.function_definitions import (
    argument_default,
    arguments_text,
    function_definition,
    function_of,
    result_text,
)
from tausql.sql.catalogue.objects import Domain, Statistics, View
from tausql.sql.catalogue.view_layout import view_shown
from tausql.sql.functions.catalogue_names import facts, format_type
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.enums import MARK


def _index_definition(context: Any, oid: int, column: int = 0, pretty: bool = False) -> str | None:
    entry = facts(context).index_by_oid.get(oid)
    if entry is None:
        return None
    if column == 0:
        return d.index_definition(entry, pretty, context.session.search_path)
    if not 1 <= column <= len(entry.columns) + len(entry.include):
        return ""
    return d.index_key(entry, column - 1, pretty)


def constraint_definition(known: Facts, oid: int, pretty: bool, path: tuple[str, ...]) -> str | None:
    """As in CREATE TABLE, without `CONSTRAINT name`."""
    key = f"constraint.{oid}.{pretty}.{path}"
    derived = known.snapshot.derived
    if key not in derived:
        derived[key] = _constraint_definition(known, oid, pretty, path)
    found: str | None = derived[key]
    return found


def _constraint_definition(known: Facts, oid: int, pretty: bool, path: tuple[str, ...]) -> str | None:
    found = known.constraints.get(oid)
    if found is None:
        return None
    owner, part = found
    if isinstance(part, IndexEntry):
        return d.key_constraint_definition(part)
    if isinstance(part, ForeignKey) and isinstance(owner, Table):
        return d.foreign_key_definition(known, owner, part, path)
    if isinstance(part, int) and isinstance(owner, Table):
        check = owner.checks[part]
        return d.check_definition(check.expression, owner, pretty, check.validated, check.no_inherit)
    base = owner.base_oid if isinstance(owner, Domain) else 0
    return f"CHECK ({domain_check_shown(str(part), base, pretty)})"


def _constraint(context: Any, oid: int, pretty: bool = False) -> str | None:
    return constraint_definition(facts(context), oid, pretty, context.session.search_path)


def _expression(context: Any, text: str, relation: int, pretty: bool = False) -> str | None:
    """pg_get_expr: a default, a CHECK, an index's expression or predicate of this relation."""
    table = facts(context).snapshot.by_oid.get(relation)
    for column in table.columns if table is not None else ():
        if text in (column.default, column.generated) and not column.dropped:
            return default_shown(table, text, column, pretty)
    if relation == PG_TYPE:
        for domain in facts(context).domains.values():
            if domain.default == text:
                return argument_default_shown(text, domain.base_oid)
    return expression_shown(table, text, pretty)


def _view_by_oid(context: Any, oid: int, _pretty: Any = False) -> str | None:
    item = facts(context).objects.by_oid.get(oid)
    return view_shown(item.query, context.session.search_path) if isinstance(item, View) else None


def _view_by_name(context: Any, name: str, pretty: Any = False) -> str | None:
    return _view_by_oid(context, context.format.resolve_reg("class", name))


def _rule(context: Any, oid: int, pretty: bool = False) -> str | None:
    view = next((one for one in facts(context).views if one.oid == oid & 0x7FFFFFFF and oid >> 31), None)
    if view is None:
        return None
    on = d.shown_name(view.schema, view.name, context.session.search_path if pretty else ())
    return f'CREATE RULE "_RETURN" AS\n    ON SELECT TO {on} DO INSTEAD {view_shown(view.query, ())}'


def _statistics(context: Any, oid: int, columns_only: bool) -> str | None:
    known = facts(context)
    item = known.objects.by_oid.get(oid)
    if not isinstance(item, Statistics):
        return None
    return d.statistics_columns(known, item) if columns_only else d.statistics_definition(known, item)


def _type_namer(context: Any) -> Callable[[int, int], str]:
    return lambda oid, typmod: format_type(context, oid, typmod) or "???"


def _with_function(read: Callable[..., str | None]) -> Callable[..., str | None]:
    def run(context: Any, oid: int, *more: Any) -> str | None:
        found = function_of(facts(context), oid)
        return None if found is None else read(found, _type_namer(context), *more)

    return run


def _schema_of_function(context: Any, oid: int) -> str | None:
    known = facts(context)
    found = function_of(known, oid)
    if found is None:
        return None
    return function_definition(found, _type_namer(context), known.schema_name)


_ALWAYS_NULL: Final = (
    "pg_get_triggerdef(oid) text", "pg_get_triggerdef(oid, bool) text", "pg_get_partkeydef(oid) text",
    "pg_get_partition_constraintdef(oid) text", "pg_get_function_sqlbody(oid) text",
    "pg_get_replica_identity_index(regclass) regclass", "pg_partition_root(regclass) regclass",
)  # fmt: skip


def functions() -> Iterator[Function]:
    def seeing(signature: str, impl: Callable[..., str | None], strict: bool = True) -> Function:
        def named(context: Any, *arguments: Any) -> str | None:
            found = impl(context, *arguments)
            if found is None or MARK not in found:
                return found
            return with_enum_names(found, facts(context).objects, context.session.search_path)

        return declare(signature, named, volatility=STABLE, strict=strict, reads_schema=True)

    yield seeing("pg_get_indexdef(oid) text", _index_definition)
    yield seeing("pg_get_indexdef(oid, int4, bool) text", _index_definition)
    yield seeing("pg_get_constraintdef(oid) text", _constraint)
    yield seeing("pg_get_constraintdef(oid, bool) text", _constraint)
    yield seeing("pg_get_expr(pg_node_tree, oid) text", _expression)
    yield seeing("pg_get_expr(pg_node_tree, oid, bool) text", _expression)
    for more in ("", ", bool", ", int4"):
        yield seeing(f"pg_get_viewdef(oid{more}) text", _view_by_oid)
        if more != ", int4":
            yield seeing(f"pg_get_viewdef(text{more}) text", _view_by_name)
    yield seeing("pg_get_ruledef(oid) text", _rule)
    yield seeing("pg_get_ruledef(oid, bool) text", _rule)
    yield seeing("pg_get_statisticsobjdef(oid) text", lambda context, oid: _statistics(context, oid, False))
    yield seeing("pg_get_statisticsobjdef_columns(oid) text", lambda context, oid: _statistics(context, oid, True))
    yield seeing("pg_get_functiondef(oid) text", _schema_of_function)
    yield seeing("pg_get_function_arguments(oid) text", _with_function(lambda f, name: arguments_text(f, name, True)))
    yield seeing(
        "pg_get_function_identity_arguments(oid) text", _with_function(lambda f, name: arguments_text(f, name, False))
    )
    yield seeing("pg_get_function_result(oid) text", _with_function(result_text))
    yield seeing(
        "pg_get_function_arg_default(oid, int4) text", _with_function(lambda f, name, at: argument_default(f, at))
    )
    for signature in _ALWAYS_NULL:
        yield declare(signature, lambda *arguments: None, volatility=STABLE)
    for kind in ("partition_ancestors(regclass) regclass", "listening_channels() text"):
        yield declare(f"pg_{kind}", lambda *arguments: iter(()), volatility=STABLE, returns_set=True)
    yield declare("pg_relation_is_publishable(regclass) bool", lambda oid: oid >= 16384, volatility=STABLE)
