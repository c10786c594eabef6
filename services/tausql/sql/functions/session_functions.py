"""Who and where: current_user, current_database, search path, settings. Facts come from the context's session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, VOLATILE, Function, declare

VERSION_TEXT: Final = "PostgreSQL 16"


def _setting(context: Any, name: str, missing_ok: bool = False) -> str | None:
    value: str | None = context.session.settings.get(name.lower())
    if value is None and not missing_ok:
        raise SqlError(Code.undefined_object, f'unrecognized configuration parameter "{name}"')
    return value


def _set_config(context: Any, name: str | None, value: str | None, local: bool | None) -> str:
    """Unlike SET LOCAL it says nothing outside a transaction block."""
    if name is None:
        raise SqlError(Code.null_value_not_allowed, "SET requires parameter name")
    put = context.session.set_config
    if put is None:
        raise SqlError(Code.object_not_in_prerequisite_state, "there is no session whose settings could be changed")
    shown: str = put(name, value, bool(local))
    return shown


def functions() -> Iterator[Function]:
    for name, read in (
        ("current_user", lambda context: context.session.user),
        ("session_user", lambda context: context.session.session_user),
        ("user", lambda context: context.session.user),
        ("current_role", lambda context: context.session.user),
        ("current_database", lambda context: context.session.database),
        ("current_catalog", lambda context: context.session.database),
    ):
        yield declare(f"{name}() name", read, volatility=STABLE, context=True)
    yield declare("version() text", lambda: VERSION_TEXT, volatility=STABLE)
    yield declare("pg_backend_pid() int4", lambda context: context.session.pid, volatility=STABLE, context=True)
    yield declare("current_setting(text) text", _setting, volatility=STABLE, context=True)
    yield declare("current_setting(text, bool) text", _setting, volatility=STABLE, context=True)
    yield declare("set_config(text, text, bool) text", _set_config, volatility=VOLATILE, strict=False, context=True)
    for name, read in (
        ("current_session_id() text", lambda context: f"{context.session.pid & 0xFFFFFFFF:08x}"),
        ("dsql_major_version() int4", lambda context: 1),
    ):
        made = declare(name, read, volatility=STABLE, context=True)
        made.name = f"sys.{made.name}"
        yield made
    yield declare("pg_is_in_recovery() bool", lambda: False, volatility=VOLATILE)
    yield declare("pg_client_encoding() name", lambda: "UTF8", volatility=STABLE)
