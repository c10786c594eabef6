"""The parameters of a session: what SET may change, what SHOW tells, what startup packets may bring.

SET is part of its transaction: a rollback takes it back, and SET LOCAL lasts to the transaction's end only. What there
is to set, and which values it takes, is the cluster's dialect's (`sql.parameter_list`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tausql.pgwire.startup_options import startup_options
from tausql.processor.session_values import SessionValues
from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.temporary import TEMPORARY_SCHEMA
from tausql.sql.dialect import DSQL, Dialect
from tausql.sql.engine import NOTHING_DISABLED
from tausql.sql.parameter_list import SERVER_VERSION as SERVER_VERSION
from tausql.sql.parameter_list import parameters_of
from tausql.sql.parameters import Parameter, Settable, limited, milliseconds, names_of
from tausql.sql.types.session_format import SessionFormat

# In the order in which a client gets them when it connects.
REPORTED = (
    "in_hot_standby",
    "integer_datetimes",
    "TimeZone",
    "IntervalStyle",
    "is_superuser",
    "application_name",
    "default_transaction_read_only",
    "DateStyle",
    "standard_conforming_strings",
    "session_authorization",
    "client_encoding",
    "server_version",
    "server_encoding",
)
_REPORTED_AND_SETTABLE = (
    "TimeZone",
    "IntervalStyle",
    "application_name",
    "DateStyle",
    "client_encoding",
    "default_transaction_read_only",
)
CUSTOM_MAX: Final = 100  # of one session: parameters of the client's own, with a dot in their names
# client_min_messages, and the least severity that it lets through. Errors always get there.
_RANKS: Final = {"notice": 0, "warning": 1, "error": 2}
_SEVERITIES: Final = {"NOTICE": 0, "WARNING": 1}


class Known:
    """The parameters of a cluster: one a processor."""

    __slots__ = ("defaults", "lenient", "parameters", "values")

    def __init__(self, dialect: Dialect) -> None:
        self.lenient = dialect.lenient
        self.parameters = parameters_of(dialect)
        self.values = {name: parameter.value for name, parameter in self.parameters.items()}
        least = Settable.lenient if dialect.lenient else Settable.always
        self.defaults = {each.name: each.value for each in self.parameters.values() if each.settable >= least}

    def settable(self, name: str) -> Parameter:
        """Raises 0A000 for one that SET may not change."""
        parameter = self.parameters.get(name.lower())
        if parameter is None and self.lenient and "." in name.strip(".") and not name.lower().startswith("tausql."):
            return Parameter(name.lower(), "", "")  # any extension might own it: PostgreSQL takes it, too
        if parameter is None or parameter.name not in self.defaults:
            raise not_settable(name)
        return parameter


_DSQL_KNOWN: Final = Known(DSQL)


class SessionParameters:
    """One session's parameters. `values` is what current_setting() reads: names as in `SHOW ALL`, lower case.

    The dictionaries of what the session has set are replaced, never changed: most sessions share most of them.

    role: whom SET ROLE has made of it, None: itself. statement_ms, idle_block_ms, idle_ms: how long what may take, 0 =
    as long as it likes. reads_only: transactions that say nothing else may not write.
    """

    __slots__ = (
        "_before",
        "_known",
        "_local",
        "_rank",
        "_reported",
        "_session",
        "_started",
        "_temporary",
        "disabled",
        "durable_changed",
        "format",
        "idle_block_ms",
        "idle_ms",
        "reads_only",
        "role",
        "search_path",
        "statement_ms",
        "values",
        "values_changed",
    )

    def __init__(self, user: str, known: Known = _DSQL_KNOWN) -> None:
        self._known = known
        self._started: dict[str, str] = known.defaults  # what RESET goes back to: startup packets count
        self._session: dict[str, str] = known.defaults
        self._local: dict[str, str] | None = None
        self._before: dict[str, str] | None = None  # the session's, as they were when the transaction first changed one
        self._reported: tuple[str, ...] = ()  # what its client was last told of those it can set
        self._rank = 0
        self.format = SessionFormat()
        self.values_changed = False  # since whoever reports them looked
        self.durable_changed = False  # a transaction that set some has committed, since whoever carries them looked
        self.values = SessionValues(known.values, {"session_authorization": user})
        self.search_path: tuple[str, ...] = _DEFAULT_PATH
        self._temporary = False  # pg_temp is looked at first
        self.disabled: frozenset[str] = NOTHING_DISABLED  # what the planner is not to use: "hashjoin"
        self.role: str | None = None
        self.statement_ms = self.idle_block_ms = self.idle_ms = 0
        self.reads_only = False

    # --- what clients and statements do --------------------------------------------------------------------------

    def start(self, parameters: Mapping[str, str]) -> None:
        """Take the startup packet's. Raises SqlError FATAL for one that cannot be set."""
        try:
            for name, value in parameters.items():
                if name == "options":
                    for option, text in startup_options(value):
                        self._start_one(option, text)
                elif not name.startswith("_pq_."):
                    self._start_one(name, value)
        except SqlError as error:
            error.severity = "FATAL"
            raise
        self._started = self._session
        self._before = None

    def restore(self, settings: Mapping[str, str]) -> None:
        """Take what the session had set on another processor. Raises SqlError 0A000 for what cannot be set."""
        for name, value in settings.items():
            own = self._known.settable(name).name
            self._set(own, value)
            self._apply(own, value)

    def check_settable(self, name: str, local: bool) -> None:
        """Raises 0A000 for what SET cannot change."""
        own = self._known.settable(name).name
        if own == "role" and not local and not self._known.lenient:
            raise not_settable(name)

    def set(self, name: str, value: str | Sequence[str] | None, local: bool, listed: bool = False) -> None:
        """SET. `value` None: back to the default. `listed`: the value is the whole list as SHOW has it, for a parameter
        that is one (set_config). Raises 0A000 for what is not settable, 22023 for a bad value."""
        self.check_settable(name, local)
        parameter = self._known.settable(name)
        own = parameter.name
        if value is None:
            text = self._started.get(own, "")
        elif listed and own == "search_path" and isinstance(value, str):
            text = limited(own, value)
        else:
            text = parameter.checked(value, self.values.get(own.lower(), ""))
        self._keep()
        if own not in self._session and len(self._session) >= len(self._known.defaults) + CUSTOM_MAX:
            raise SqlError(Code.program_limit_exceeded, f"a session can have {CUSTOM_MAX} parameters of its own")
        if local:
            self._local = {**(self._local or {}), own: text}
        else:
            self._set(own, text)
            self._drop_local(own)
        self._apply(own, text)

    def reset(self, name: str) -> None:
        """RESET name, or all. Raises 0A000 for what is not settable."""
        if name == "all":
            self._keep()
            before, self._local = {**self._session, **(self._local or {})}, None
            kept = {own: "" for own in before if own not in self._started}
            if self._session["role"] != "none":
                kept["role"] = self._session["role"]  # RESET ALL leaves it alone, as in PostgreSQL
            self._session = {**self._started, **kept} if kept else self._started
            for own in before:
                self._apply(own, self._session.get(own, ""))
        elif name.lower() == "role":
            self._keep()
            self._drop_local("role")
            self._set("role", "none")
            self._apply("role", "none")
        else:
            self.set(name, None, False)

    def show(self, name: str) -> tuple[str, str]:
        """(the parameter's own spelling, value). Raises 42704 for one nobody knows."""
        lower = name.lower()
        value = self.values.get(lower)
        if value is None:
            raise SqlError(Code.undefined_object, f'unrecognized configuration parameter "{name}"')
        parameter = self._known.parameters.get(lower)
        return parameter.name if parameter is not None else lower, value

    def all(self) -> list[tuple[str, str, str]]:
        """(name, value, description) of all."""
        known = self._known.parameters
        shown = [(each.name, self.values[lower], each.description) for lower, each in known.items()]
        shown += [(name, value, "") for name, value in self.values.items() if name not in known]
        return sorted(shown, key=lambda row: row[0].lower())

    def reported(self) -> dict[str, str]:
        """What a ParameterStatus tells of, in order; the client is told now."""
        self.values_changed = False
        self._reported = self._reportable()
        return {name: self.values[name.lower()] for name in REPORTED}

    def news(self) -> list[tuple[str, str]]:
        """Reported parameters whose value is another than when the client was last told; it is told now."""
        self.values_changed = False
        before, self._reported = self._reported, self._reportable()
        pairs = zip(_REPORTED_AND_SETTABLE, before, self._reported, strict=True)
        return [(name, value) for name, old, value in pairs if value != old]

    def _reportable(self) -> tuple[str, ...]:
        return tuple([self.values[name.lower()] for name in _REPORTED_AND_SETTABLE])

    def wants(self, severity: str) -> bool:
        """Whether the client wants messages of this severity (client_min_messages)."""
        return _SEVERITIES.get(severity, 2) >= self._rank

    # --- transactions --------------------------------------------------------------------------------------------

    def durable(self) -> dict[str, str]:
        """What the session has set, as it is if the present transaction rolls back."""
        return self._session if self._before is None else self._before

    def lasting(self) -> dict[str, str]:
        """What the session has set, as it is if the present transaction commits."""
        return self._session

    @property
    def touched(self) -> bool:
        """True if `committed` or `rolled_back` has anything to do."""
        return self._before is not None

    def mark(self) -> tuple[dict[str, str], dict[str, str] | None]:
        """What `back_to` takes the parameters back to: a savepoint."""
        return self._session, self._local

    def back_to(self, mark: tuple[dict[str, str], dict[str, str] | None]) -> None:
        """Undo what was set since `mark`."""
        if self._before is None:
            return
        changed = {*self._session, *(self._local or ())}
        self._session, self._local = mark
        local = self._local or {}
        for own in changed:
            self._apply(own, local.get(own, self._session.get(own, "")))

    def committed(self) -> None:
        """The transaction has ended well: SET LOCAL is over."""
        local, self._local = self._local, None
        self._before = None
        self.durable_changed = True
        for own in local or ():
            self._apply(own, self._session.get(own, ""))

    def rolled_back(self) -> None:
        """The transaction was rolled back, and what it SET with it."""
        before, local, session = self._before, self._local, self._session
        self._local = None
        if before is not None:
            self._session = before
            self._before = None
        for own in {*session, *(local or ())}:
            self._apply(own, self._session.get(own, ""))

    def read_only(self, value: bool) -> None:
        """What SHOW transaction_read_only says."""
        self.values.put("transaction_read_only", "on" if value else "off")

    # --- within --------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        if self._before is None:
            self._before = self._session

    def _set(self, own: str, text: str) -> None:
        if self._session.get(own) != text:
            self._session = {**self._session, own: text}

    def _drop_local(self, own: str) -> None:
        if self._local:
            self._local = {name: text for name, text in self._local.items() if name != own}

    def _start_one(self, name: str, value: str) -> None:
        if name.lower() == "amzn-cluster-id":
            return
        parameter = self._known.settable(name)
        text = parameter.checked(value, self._session.get(parameter.name, ""))
        if parameter.name == "role" and text != "none":  # nothing here tells whether the user may be that one
            raise not_settable(name)
        self._set(parameter.name, text)
        self._apply(parameter.name, text)

    def _apply(self, own: str, text: str) -> None:
        self.values.put(own.lower(), text)
        self.values_changed = True
        if own == "TimeZone":
            if self.format.timezone != text:
                self.format.set_timezone(text)
        elif own == "extra_float_digits":
            self.format.extra_float_digits = int(text)
        elif own == "DateStyle":
            self.format.date_style = text
        elif own == "IntervalStyle":
            self.format.interval_style = text
        elif own == "search_path":
            self.search_path = self._path(_resolved_path(text))
        elif own == "role":
            self.role = None if text == "none" else text
        elif own.startswith(("enable_", "dsql.enable_")):
            self._allow(own.removeprefix("dsql.").removeprefix("enable_"), text == "on")
        elif self._known.lenient:
            self._apply_lenient(own, text)

    def look_at_temporary(self) -> None:
        """There are temporary tables: their schema comes first, unless the path has it elsewhere."""
        self._temporary = True
        self.search_path = self._path(self.search_path)

    def _path(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return (TEMPORARY_SCHEMA, *path) if self._temporary and TEMPORARY_SCHEMA not in path else (*path,)

    def _allow(self, kind: str, on: bool) -> None:
        """A kind of plan node. Plans already made are told by the path object they were made for: it is another now."""
        self.disabled = self.disabled - {kind} if on else self.disabled | {kind}
        self.search_path = (*self.search_path,)

    def _apply_lenient(self, own: str, text: str) -> None:
        if own == "statement_timeout":
            self.statement_ms = milliseconds(text)
        elif own == "idle_in_transaction_session_timeout":
            self.idle_block_ms = milliseconds(text)
        elif own == "idle_session_timeout":
            self.idle_ms = milliseconds(text)
        elif own == "default_transaction_read_only":
            self.reads_only = text == "on"
        elif own == "client_min_messages":
            self._rank = _RANKS.get(text, 0)


def not_settable(name: str) -> SqlError:
    return not_supported(f'setting configuration parameter "{name}" not supported')


def _resolved_path(text: str) -> tuple[str, ...]:
    """The schemas to look names up in. pg_catalog is looked at in any case; nobody has a schema of his own name."""
    return tuple(name for name in names_of(text) if name != "$user")


_DEFAULT_PATH: Final = _resolved_path(_DSQL_KNOWN.defaults["search_path"])
