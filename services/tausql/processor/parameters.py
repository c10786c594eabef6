"""The parameters of a session: what SET may change, what SHOW tells, what startup packets may bring.

PostgreSQL has some 350 of them; Aurora DSQL lets a client set seventeen and refuses the rest by name, so that nobody
believes a setting took effect which did not. SET is part of its transaction: a rollback takes it back, and SET LOCAL
lasts to the transaction's end only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tausql.processor.session_values import SessionValues
from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.types.session_format import SessionFormat, checked_date_style, checked_interval_style

SERVER_VERSION = "16.15"

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
_REPORTED_AND_SETTABLE = ("TimeZone", "IntervalStyle", "application_name", "DateStyle", "client_encoding")

_FLAGS = (
    "enable_bitmapscan",
    "enable_hashjoin",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_seqscan",
    "dsql.enable_batched_nestloop",
    "disable_sync_create_index",
)

_DEFAULTS: dict[str, str] = {
    "application_name": "",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "extra_float_digits": "1",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "search_path": '"$user", public',
    "role": "none",
    **dict.fromkeys(_FLAGS, "on"),
    "disable_sync_create_index": "off",
}

_FIXED: dict[str, str] = {
    "server_version": SERVER_VERSION,
    "server_version_num": "160015",
    "server_encoding": "UTF8",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "is_superuser": "off",
    "in_hot_standby": "off",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "repeatable read",
    "default_transaction_deferrable": "off",
    "transaction_isolation": "repeatable read",
    "transaction_deferrable": "off",
    "transaction_read_only": "off",
    "max_identifier_length": "63",
    "max_index_keys": "8",
    "max_connections": "10000",
    "block_size": "8192",
    "bytea_output": "hex",
    "client_min_messages": "notice",
    "escape_string_warning": "on",
    "backslash_quote": "safe_encoding",
    "row_security": "on",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "synchronous_commit": "on",
    "ssl": "on",
    "port": "5432",
    "wal_level": "replica",
}

_VALUES: dict[str, str] = {name.lower(): value for name, value in {**_FIXED, **_DEFAULTS}.items()}
_NAMES = {name.lower(): name for name in (*_DEFAULTS, *_FIXED)}
_UTF8 = frozenset(("utf8", "unicode"))
_ON = frozenset(("on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"))
_OFF = frozenset(("off", "false", "no", "0", "f", "n", "of", "fa", "fal", "fals"))
VALUE_CHARACTERS_MAX = 8_192
NAME_CHARACTERS_MAX = 63


class SessionParameters:
    """One session's parameters. `values` is what current_setting() reads: names as in `SHOW ALL`, lower case.

    The dictionaries of what the session has set are replaced, never changed: most sessions share most of them.
    """

    __slots__ = (
        "_before",
        "_local",
        "_reported",
        "_session",
        "_started",
        "_user",
        "durable_changed",
        "format",
        "search_path",
        "values",
        "values_changed",
    )

    def __init__(self, user: str) -> None:
        self._user = user
        self._started: dict[str, str] = _DEFAULTS  # what RESET goes back to: startup packets count
        self._session: dict[str, str] = _DEFAULTS
        self._local: dict[str, str] | None = None
        self._before: dict[str, str] | None = None  # the session's, as they were when the transaction first changed one
        self._reported: tuple[str, ...] = ()  # what its client was last told of those it can set
        self.format = SessionFormat()
        self.values_changed = False  # since whoever reports them looked
        self.durable_changed = False  # a transaction that set some has committed, since whoever carries them looked
        self.values = SessionValues(_VALUES, {"session_authorization": user})
        self.search_path: tuple[str, ...] = _DEFAULT_PATH

    # --- what clients and statements do --------------------------------------------------------------------------

    def start(self, parameters: Mapping[str, str]) -> None:
        """Take the startup packet's. Raises SqlError FATAL for one that cannot be set."""
        try:
            for name, value in parameters.items():
                if name == "options":
                    for option, text in _options(value):
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
            own = self._settable(name)
            self._set(own, value)
            self._apply(own, value)

    def set(self, name: str, value: str | Sequence[str] | None, local: bool) -> None:
        """SET. `value` None: back to the default. Raises 0A000 for what is not settable, 22023 for a bad value."""
        own = self._settable(name)
        if own == "role" and not local:
            raise not_settable(name)
        text = self._started[own] if value is None else _checked(own, value)
        if own == "role" and text.lower() not in ("none", self._user):
            raise SqlError(Code.invalid_parameter_value, f'role "{text}" does not exist')
        self._keep()
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
            self._local = None
            self._session = self._started
            for own, value in self._started.items():
                self._apply(own, value)
        elif name.lower() == "role":
            self._keep()
            self._drop_local("role")
        else:
            self.set(name, None, False)

    def show(self, name: str) -> tuple[str, str]:
        """(the parameter's own spelling, value). Raises 42704 for one nobody knows."""
        lower = name.lower()
        value = self.values.get(lower)
        if value is None:
            raise SqlError(Code.undefined_object, f'unrecognized configuration parameter "{name}"')
        return _NAMES.get(lower, lower), value

    def all(self) -> list[tuple[str, str]]:
        return sorted(((_NAMES.get(name, name), value) for name, value in self.values.items()), key=_by_name)

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

    def committed(self) -> None:
        """The transaction has ended well: SET LOCAL is over."""
        local, self._local = self._local, None
        self._before = None
        self.durable_changed = True
        for own in local or ():
            self._apply(own, self._session[own])

    def rolled_back(self) -> None:
        """The transaction was rolled back, and what it SET with it."""
        before = self._before
        local, self._local = self._local, None
        if before is not None:
            self._session = before
            self._before = None
            for own, value in before.items():
                self._apply(own, value)
        else:
            for own in local or ():
                self._apply(own, self._session[own])

    def read_only(self, value: bool) -> None:
        """What SHOW transaction_read_only says."""
        self.values.put("transaction_read_only", "on" if value else "off")

    # --- within --------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        if self._before is None:
            self._before = self._session

    def _set(self, own: str, text: str) -> None:
        if self._session[own] != text:
            self._session = {**self._session, own: text}

    def _drop_local(self, own: str) -> None:
        if self._local:
            self._local = {name: text for name, text in self._local.items() if name != own}

    def _settable(self, name: str) -> str:
        own = _NAMES.get(name.lower())
        if own is None or own not in _DEFAULTS:
            raise not_settable(name)
        return own

    def _start_one(self, name: str, value: str) -> None:
        if name.lower() == "amzn-cluster-id":
            return
        own = self._settable(name)
        text = _checked(own, value)
        self._set(own, text)
        self._apply(own, text)

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
            self.search_path = _resolved_path(text)


def not_settable(name: str) -> SqlError:
    return not_supported(f'setting configuration parameter "{name}" not supported')


def _by_name(pair: tuple[str, str]) -> str:
    return pair[0].lower()


def _checked(own: str, value: str | Sequence[str]) -> str:
    """The value as SHOW tells it. Raises 22023."""
    if own == "search_path":
        if isinstance(value, str):
            value = _names(value) if "," in value else [value]
        return _limited(own, ", ".join(_quoted(name) for name in value))
    text = _limited(own, value if isinstance(value, str) else ", ".join(value))
    if own == "client_encoding":
        if "".join(letter for letter in text.lower() if letter.isalnum()) not in _UTF8:
            raise _invalid(own, text)
        return "UTF8"
    if own == "DateStyle":
        return checked_date_style(text)
    if own == "IntervalStyle":
        return checked_interval_style(text)
    if own == "TimeZone":
        return _checked_zone(text)
    if own == "extra_float_digits":
        return _checked_digits(own, text)
    if own in _FLAGS:
        lower = text.lower()
        if lower in _ON:
            return "on"
        if lower in _OFF:
            return "off"
        raise SqlError(Code.invalid_parameter_value, f'parameter "{own}" requires a Boolean value')
    if own == "application_name":
        return "".join(letter if " " <= letter <= "~" else "?" for letter in text)[:NAME_CHARACTERS_MAX]
    return text


def _checked_zone(text: str) -> str:
    SessionFormat().set_timezone(text)
    return text


def _checked_digits(own: str, text: str) -> str:
    try:
        digits = int(text)
    except ValueError:
        raise _invalid(own, text) from None
    if not -15 <= digits <= 3:
        raise SqlError(
            Code.invalid_parameter_value,
            f'{digits} is outside the valid range for parameter "extra_float_digits" (-15 .. 3)',
        )
    return str(digits)


def _limited(own: str, text: str) -> str:
    if len(text) > VALUE_CHARACTERS_MAX:
        raise SqlError(Code.invalid_parameter_value, f'value for parameter "{own}" is too long')
    return text


def _invalid(own: str, text: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f'invalid value for parameter "{own}": "{text}"')


def _names(text: str) -> list[str]:
    """The identifiers of a list as SHOW search_path has it."""
    names: list[str] = []
    for part in text.split(","):
        name = part.strip()
        if len(name) >= 2 and name[0] == name[-1] == '"':
            names.append(name[1:-1].replace('""', '"'))
        elif name:
            names.append(name.lower())
    return names


def _resolved_path(text: str) -> tuple[str, ...]:
    """The schemas to look names up in. pg_catalog is looked at in any case; nobody has a schema of his own name."""
    return tuple(name for name in _names(text) if name != "$user")


_DEFAULT_PATH = _resolved_path(_DEFAULTS["search_path"])


def _quoted(name: str) -> str:
    """An identifier as it must be written to mean `name`."""
    plain = all(letter == "_" or letter.isdigit() or "a" <= letter <= "z" for letter in name)
    if name and plain and not name[0].isdigit():
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _options(text: str) -> list[tuple[str, str]]:
    """The settings within a startup packet's `options`: `-c name=value`, `-cname=value` and `--name=value`."""
    words: list[str] = []
    word = ""
    escaped = False
    for letter in text:
        if escaped:
            word += letter
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter.isspace():
            if word:
                words.append(word)
            word = ""
        else:
            word += letter
    if word:
        words.append(word)
    settings: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        current = words[at]
        if current == "-c" and at + 1 < len(words):
            at += 1
            current = words[at]
        elif current.startswith(("--", "-c")):
            current = current[2:]
        else:
            raise SqlError(Code.protocol_violation, f"invalid command-line argument for server process: {current}")
        name, equals, value = current.partition("=")
        if not equals:
            raise SqlError(Code.syntax_error, f"-c {current} requires a value")
        settings.append((name if name == "amzn-cluster-id" else name.replace("-", "_"), value))
        at += 1
    return settings
