"""What belongs to whoever asks: settings, time zones at this moment, the session itself."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.facts import DATABASE_NAME, DATABASE_OID, Facts
from tausql.sql.catalogue.shapes import Row, Shape
from tausql.sql.catalogue.views.relation import SessionBuild
from tausql.sql.dialect import Dialect
from tausql.sql.parameter_list import parameters_of
from tausql.sql.parameters import Settable
from tausql.sql.types.zones import abbreviation_offset, abbreviations, find_zone

_SECOND_US: Final = 1_000_000


def _settings(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    known = parameters_of(Dialect())
    for name, value in sorted(context.session.settings.items()):
        parameter = known.get(name)
        if parameter is None:
            yield to.row(
                name=name, setting=value, category="Preset Options", context="internal", vartype="string",
                source="default", reset_val=value, pending_restart=False,
            )  # fmt: skip
            continue
        numeric = parameter.kind in ("integer", "real")
        yield to.row(
            name=parameter.name, setting=value, unit=parameter.unit or None, category=parameter.category,
            short_desc=parameter.description,
            context="internal" if parameter.settable is Settable.never else "user", vartype=parameter.kind,
            source="default" if value == parameter.value else "session",
            min_val=f"{parameter.low:g}" if numeric else None, max_val=f"{parameter.high:.0f}" if numeric else None,
            enumvals=list(parameter.choices) or None, boot_val=parameter.value, reset_val=parameter.value,
            pending_restart=False,
        )  # fmt: skip


def _zone_names(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for name in sorted(zoneinfo.available_timezones()):
        zone = find_zone(name)
        if zone is not None:
            offset = zone.offset_at(context.now_us)
            standard = min(offset, zone.offset_at(context.now_us + 182 * 86_400 * _SECOND_US))
            yield [name, zone.abbreviation_at(context.now_us), _interval(offset), offset > standard]


def _zone_abbreviations(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for name in sorted(abbreviations()):
        yield [name.upper(), _interval(abbreviation_offset(name) or 0), name.endswith("dt") or name in ("bst", "cest")]


def _interval(seconds: int) -> Any:
    return 0, 0, seconds * _SECOND_US


def _activity(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    """Sessions are spread over processors that do not ask each other: each sees itself."""
    session = context.session
    role = facts.objects.roles.get(session.user)
    yield to.row(
        datid=DATABASE_OID, datname=DATABASE_NAME, pid=session.pid, usesysid=role.oid if role is not None else None,
        usename=session.user, application_name=session.settings.get("application_name", ""),
        xact_start=context.now_us, query_start=context.statement_now_us, state_change=context.statement_now_us,
        state="active", backend_type="client backend",
    )  # fmt: skip


def _tls(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    yield to.row(pid=context.session.pid, ssl=context.session.settings.get("ssl") == "on")


RELATIONS: Final[Mapping[str, SessionBuild]] = MappingProxyType(
    {
        "pg_settings": _settings, "pg_timezone_names": _zone_names, "pg_timezone_abbrevs": _zone_abbreviations,
        "pg_stat_activity": _activity, "pg_stat_ssl": _tls,
    }
)  # fmt: skip
