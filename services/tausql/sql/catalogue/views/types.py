"""pg_type and what goes with types: casts, ranges, operators, operator classes, functions, text search.

PostgreSQL's own rows are data; shown of them is what can be used here: a type that the registry has, a function that
can be called or that a shown row names. What users made comes behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.access_lists import acl_items
from tausql.sql.catalogue.deparsing import argument_default_shown
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.facts import BTREE, HEAP, Facts
from tausql.sql.catalogue.function_definitions import own_function_oids
from tausql.sql.catalogue.objects import SUPERUSER_OID, Domain, Function, View
from tausql.sql.catalogue.shapes import Row, Shape, builtin_rows, shape
from tausql.sql.catalogue.views.relation import Build
from tausql.sql.functions.catalogue import all_functions
from tausql.sql.types.registry import all_types

_SQL_LANGUAGE: Final = 14
SYS_FUNCTIONS_OID: Final = own_function_oids().start


def _types(facts: Facts, to: Shape) -> Iterator[Row]:
    known = {type.oid for type in all_types()}
    at = to.place("typtype")
    for row in builtin_rows("pg_type"):
        if row[0] in known or row[at] == "p":
            yield row
    for domain in facts.domains.values():
        if domain.is_enum:
            yield from _enum(facts, to, domain)
        else:
            yield _domain(facts, to, domain)
    relations: tuple[Table | View, ...] = (*facts.tables, *facts.views)
    for relation in relations:
        yield _row_type(facts, to, relation)


def _row_type(facts: Facts, to: Shape, relation: Table | View) -> Row:
    """The type of a relation's rows has the relation's oid."""
    return to.row(
        oid=relation.oid, typname=relation.name, typnamespace=facts.schema_oid(relation.schema),
        typowner=relation.owner, typlen=-1, typtype="c", typcategory="C", typisdefined=True, typdelim=",",
        typrelid=relation.oid, typinput=2290, typoutput=2291, typreceive=2402, typsend=2403, typalign="d",
        typstorage="x", typtypmod=-1,
    )  # fmt: skip


def _domain(facts: Facts, to: Shape, domain: Domain) -> Row:
    base = next((row for row in builtin_rows("pg_type") if row[0] == domain.base_oid), None)
    values: dict[str, Any] = {}
    shown = argument_default_shown(domain.default, domain.base_oid) if domain.default is not None else None
    if base is not None:
        for column in ("typlen", "typbyval", "typcategory", "typoutput", "typsend", "typalign", "typstorage",
                       "typdelim", "typcollation"):  # fmt: skip
            values[column] = base[to.place(column)]
    return to.row(
        **values, oid=domain.oid, typname=domain.name, typnamespace=facts.schema_oid(domain.schema),
        typowner=domain.owner, typtype="d", typisdefined=True, typinput=2597, typreceive=2598,
        typnotnull=domain.not_null, typbasetype=domain.base_oid, typtypmod=domain.typmod, typdefault=shown,
        typdefaultbin=domain.default, typacl=acl_items(facts, domain.acl),
    )  # fmt: skip


def _enum(facts: Facts, to: Shape, enum: Domain) -> Iterator[Row]:
    """The type, and its array."""
    common = {
        "typnamespace": facts.schema_oid(enum.schema), "typowner": enum.owner, "typisdefined": True, "typdelim": ",",
        "typalign": "i", "typtypmod": -1,
    }  # fmt: skip
    yield to.row(
        **common, oid=enum.oid, typname=enum.name, typlen=4, typbyval=True, typtype="e", typcategory="E",
        typarray=enum.oid + 1, typinput=3506, typoutput=3507, typreceive=3532, typsend=3533, typstorage="p",
        typacl=acl_items(facts, enum.acl),
    )  # fmt: skip
    yield to.row(
        **common, oid=enum.oid + 1, typname=f"_{enum.name}"[:63], typlen=-1, typtype="b", typcategory="A",
        typelem=enum.oid, typinput=750, typoutput=751, typreceive=2400, typsend=2401, typstorage="x", typsubscript=6179,
    )  # fmt: skip


def _enum_labels(facts: Facts, to: Shape) -> Iterator[Row]:
    for enum in facts.domains.values():
        for label in enum.labels:
            yield to.row(oid=label.oid, enumtypid=enum.oid, enumsortorder=label.order, enumlabel=label.text)


@lru_cache(maxsize=1)
def shown_procedures() -> tuple[Row, ...]:
    """PostgreSQL's functions that exist here."""
    at = shape("pg_proc").place
    name_at, arguments_at = at("proname"), at("proargtypes")
    callable_here = {(one.name, tuple(type.oid for type in one.arg_types)) for one in all_functions()}
    named = {name for name, _ in callable_here}
    needed = _named_by_others()
    return tuple(
        row
        for row in builtin_rows("pg_proc")
        if row[0] in needed
        or (row[name_at], tuple(row[arguments_at])) in callable_here
        or (row[name_at] in named and _polymorphic(row[arguments_at]))
    )


def _polymorphic(arguments: list[int]) -> bool:
    return any(oid in (2276, 2277, 2283, 5077, 5078) for oid in arguments)


def _named_by_others() -> set[int]:
    """Functions that rows of other relations refer to."""
    found = {3, 330}  # of pg_am
    for name, columns in (
        ("pg_type", ("typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typsubscript")),
        ("pg_operator", ("oprcode", "oprrest", "oprjoin")),
        ("pg_cast", ("castfunc",)),
        ("pg_aggregate", ("aggtransfn", "aggfinalfn", "aggcombinefn")),
    ):
        to = shape(name)
        for column in columns:
            place = to.place(column)
            found.update(row[place] for row in builtin_rows(name))
    return found


def _procedures(facts: Facts, to: Shape) -> Iterator[Row]:
    yield from shown_procedures()
    yield from own_procedures(facts, to)
    for function in facts.functions:
        yield function_row(facts, to, function)


def own_procedures(facts: Facts, to: Shape) -> Iterator[Row]:
    """What the schema `sys` brings."""
    space = facts.schema_oid("sys")
    every = sorted((one for one in all_functions() if one.name.startswith("sys.")), key=lambda one: one.name)
    for at, one in enumerate(every):
        columns = one.columns
        yield to.row(
            oid=SYS_FUNCTIONS_OID + at, proname=one.name.removeprefix("sys."), pronamespace=space,
            proowner=SUPERUSER_OID, prolang=12, procost=1.0, prorows=100.0 if one.returns_set else 0.0, prokind="f",
            proretset=one.returns_set, proisstrict=one.strict, provolatile=one.volatility, proparallel="s",
            pronargs=len(one.arg_types), prorettype=one.result.oid,
            proargtypes=[type.oid for type in one.arg_types],
            proallargtypes=[type.oid for _, type in columns] or None, proargmodes=["t"] * len(columns) or None,
            proargnames=[name for name, _ in columns] or None, prosrc=one.name,
        )  # fmt: skip
    yield to.row(
        oid=SYS_FUNCTIONS_OID + len(every), proname="wait_for_job", pronamespace=space, proowner=SUPERUSER_OID,
        prolang=12, procost=1.0, prokind="p", provolatile="v", proparallel="u", pronargs=1, prorettype=2278,
        proargtypes=[25], prosrc="sys.wait_for_job",
    )  # fmt: skip


def function_row(facts: Facts, to: Shape, function: Function) -> Row:
    inputs = [one for one in function.arguments if one.mode in "ibv"]
    modes = [one.mode for one in function.arguments]
    plain = all(mode == "i" for mode in modes)
    names = [one.name for one in function.arguments]
    defaults = [one.default for one in inputs if one.default is not None]
    return to.row(
        oid=function.oid, proname=function.name, pronamespace=facts.schema_oid(function.schema),
        proowner=function.owner, prolang=_SQL_LANGUAGE, procost=function.cost, prorows=function.rows, prokind="f",
        provariadic=next((one.type_oid for one in inputs if one.mode == "v"), 0),
        prosecdef=function.security_definer, proleakproof=function.leakproof, proisstrict=function.strict,
        proretset=function.returns_set, provolatile=function.volatility, proparallel=function.parallel,
        pronargs=len(inputs), pronargdefaults=len(defaults), prorettype=function.returns_oid,
        proargtypes=[one.type_oid for one in inputs],
        proallargtypes=None if plain else [one.type_oid for one in function.arguments],
        proargmodes=None if plain else modes, proargnames=names if any(names) else None,
        proargdefaults=", ".join(defaults) or None, prosrc="" if function.sql_standard else function.body,
        prosqlbody=function.body if function.sql_standard else None, proacl=acl_items(facts, function.acl),
    )  # fmt: skip


def _aggregates(facts: Facts, to: Shape) -> Iterator[Row]:
    shown = {row[0] for row in shown_procedures()}
    yield from (row for row in builtin_rows("pg_aggregate") if row[0] in shown)


def _access_methods(facts: Facts, to: Shape) -> Iterator[Row]:
    yield [HEAP, "heap", 3, "t"]
    yield [BTREE, "btree_index", 330, "i"]


def _as_they_are(name: str) -> Build:
    """PostgreSQL's own rows and no others."""

    def build(facts: Facts, to: Shape) -> Iterator[Row]:
        yield from builtin_rows(name)

    return build


def _operators(facts: Facts, to: Shape) -> Iterator[Row]:
    known = {type.oid for type in all_types()} | {0}
    left, right = to.place("oprleft"), to.place("oprright")
    yield from (row for row in builtin_rows("pg_operator") if row[left] in known and row[right] in known)


def _casts(facts: Facts, to: Shape) -> Iterator[Row]:
    known = {type.oid for type in all_types()}
    yield from (row for row in builtin_rows("pg_cast") if row[1] in known and row[2] in known)


def _languages(facts: Facts, to: Shape) -> Iterator[Row]:
    for row in builtin_rows("pg_language"):
        made = list(row)
        made[to.place("lanowner")] = SUPERUSER_OID
        yield made


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "pg_type": _types, "pg_proc": _procedures, "pg_aggregate": _aggregates, "pg_am": _access_methods,
        "pg_enum": _enum_labels, "pg_operator": _operators, "pg_cast": _casts, "pg_language": _languages,
        **{name: _as_they_are(name)
           for name in ("pg_opfamily", "pg_opclass", "pg_amop", "pg_collation", "pg_range", "pg_ts_config",
                        "pg_ts_config_map", "pg_ts_dict", "pg_ts_parser", "pg_ts_template")},
    }
)  # fmt: skip
