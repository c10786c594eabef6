"""information_schema.routines, parameters and routine_privileges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.facts import DATABASE_NAME, Facts
from tausql.sql.catalogue.objects import PUBLIC_OID
from tausql.sql.catalogue.shapes import Row, Shape, shape
from tausql.sql.catalogue.views.information_types import type_columns
from tausql.sql.catalogue.views.relation import SessionBuild
from tausql.sql.catalogue.views.types import own_procedures, shown_procedures
from tausql.sql.catalogue.views.visible import yes_or_no
from tausql.sql.privileges import effective_acl

_MODES: Final = {"i": "IN", "o": "OUT", "b": "INOUT", "v": "IN", "t": "OUT"}


def _named(schema: str, name: str, oid: int) -> dict[str, Any]:
    return {
        "specific_catalog": DATABASE_NAME, "specific_schema": schema, "specific_name": f"{name}_{oid}",
    }  # fmt: skip


def _routine(schema: str, name: str) -> dict[str, Any]:
    return {"routine_catalog": DATABASE_NAME, "routine_schema": schema, "routine_name": name}


def _result(facts: Facts, oid: int) -> dict[str, Any]:
    """routines shows of a result's type its name only."""
    if oid not in facts.types:
        return {}
    found = type_columns(facts, oid, -1)
    return {
        "data_type": found["data_type"], "type_udt_catalog": DATABASE_NAME, "type_udt_schema": "pg_catalog",
        "type_udt_name": found["udt_name"], "dtd_identifier": "0",
    }  # fmt: skip


def _routines(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    usual = {
        "parameter_style": "GENERAL", "schema_level_routine": "YES", "max_dynamic_result_sets": 0,
        "is_udt_dependent": "NO",
    }  # fmt: skip
    for one in facts.functions:
        yield to.row(
            **_named(one.schema, one.name, one.oid), **_routine(one.schema, one.name), routine_type="FUNCTION",
            **_result(facts, one.returns_oid), routine_body="SQL", routine_definition=one.body,
            external_language="SQL", is_deterministic=yes_or_no(one.volatility == "i"), sql_data_access="MODIFIES",
            is_null_call=yes_or_no(one.strict), security_type="DEFINER" if one.security_definer else "INVOKER",
            **usual,
        )  # fmt: skip
    at = shape("pg_proc").place
    procedures = shape("pg_proc")
    for row in own_procedures(facts, procedures):
        yield to.row(
            **_named("sys", row[1], row[0]), **_routine("sys", row[1]),
            routine_type="PROCEDURE" if row[at("prokind")] == "p" else "FUNCTION",
            **_result(facts, row[at("prorettype")]), routine_body="EXTERNAL", external_language="INTERNAL",
            is_deterministic="NO", sql_data_access="MODIFIES", is_null_call="NO", security_type="INVOKER", **usual,
        )  # fmt: skip
    for row in shown_procedures():
        aggregate = row[at("prokind")] in "aw"
        yield to.row(
            **_named("pg_catalog", row[1], row[0]), **_routine("pg_catalog", row[1]),
            routine_type=None if aggregate else "FUNCTION", **_result(facts, row[at("prorettype")]),
            routine_body="EXTERNAL", external_language="INTERNAL",
            is_deterministic=yes_or_no(row[at("provolatile")] == "i"), sql_data_access="MODIFIES",
            is_null_call=yes_or_no(row[at("proisstrict")]), security_type="INVOKER", **usual,
        )  # fmt: skip


def _parameters(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for one in facts.functions:
        for number, argument in enumerate(one.arguments, 1):
            yield to.row(
                **_named(one.schema, one.name, one.oid), ordinal_position=number,
                parameter_mode=_MODES[argument.mode], is_result="NO", as_locator="NO",
                parameter_name=argument.name or None, parameter_default=argument.default, dtd_identifier=str(number),
                **_plain_type(facts, argument.type_oid),
            )  # fmt: skip


def _plain_type(facts: Facts, oid: int) -> dict[str, Any]:
    if oid not in facts.types:
        return {}
    found = type_columns(facts, oid, -1)
    return {name: found[name] for name in ("data_type", "udt_catalog", "udt_schema", "udt_name")}


def _routine_grants(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for one in facts.functions:
        for grant in effective_acl(one.acl, "f", one.owner):
            grantee = "PUBLIC" if grant.grantee == PUBLIC_OID else facts.role_name(grant.grantee)
            if to.name == "role_routine_grants" and grantee == "PUBLIC":
                continue
            yield to.row(
                grantor=facts.role_name(grant.grantor), grantee=grantee, **_named(one.schema, one.name, one.oid),
                **_routine(one.schema, one.name), privilege_type="EXECUTE",
                is_grantable=yes_or_no("X" in grant.grantable or grant.grantee == one.owner),
            )  # fmt: skip


ROUTINE_RELATIONS: Final[Mapping[str, SessionBuild]] = MappingProxyType(
    {
        "routines": _routines, "parameters": _parameters, "routine_privileges": _routine_grants,
        "role_routine_grants": _routine_grants,
    }
)  # fmt: skip
