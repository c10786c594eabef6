"""The parameters there are: what SHOW ALL and pg_settings list, and which of them SET may change.

PostgreSQL has some 350. Aurora DSQL lets a client set seventeen and refuses the rest by name, so that nobody believes a
setting took effect which did not. Where the cluster is lenient, a second group may be set too: those that dumps,
migration tools and GUIs set as a matter of course, and which either are honoured or could not change any result here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tausql.sql.dialect import Dialect
from tausql.sql.parameters import Parameter, Settable

SERVER_VERSION: Final = "16.15"
SERVER_VERSION_NUM: Final = "160015"


def parameters_of(dialect: Dialect) -> Mapping[str, Parameter]:
    """By lower-case name."""
    own = (
        _text("tausql.dialect", dialect.profile, "Shows the month whose Aurora DSQL this cluster follows."),
        _switch("tausql.extensions", dialect.extensions, "Shows whether statements that DSQL does not have are taken."),
        _switch("tausql.lenient", dialect.lenient, "Shows whether harmless settings and functions are taken."),
        _switch("tausql.testing", dialect.testing, "Shows whether conflicts and jobs can be had on demand."),
    )
    return MappingProxyType({each.name.lower(): each for each in (*_PARAMETERS, *own)})


def _text(name: str, value: str, description: str) -> Parameter:
    return Parameter(name, value, description)


def _switch(name: str, value: bool, description: str) -> Parameter:
    return Parameter(name, "on" if value else "off", description, "bool")


_CLIENT: Final = "Client Connection Defaults / Statement Behavior"
_LOCALE: Final = "Client Connection Defaults / Locale and Formatting"
_PLANNER: Final = "Query Tuning / Planner Method Configuration"
_COSTS: Final = "Query Tuning / Planner Cost Constants"
_RESOURCES: Final = "Resource Usage / Memory"
_COMPATIBLE: Final = "Version and Platform Compatibility / Previous PostgreSQL Versions"
_LEVELS: Final = (
    "debug5",
    "debug4",
    "debug3",
    "debug2",
    "debug1",
    "debug",
    "info",
    "log",
    "notice",
    "warning",
    "error",
)


def _flag(name: str, description: str, value: str = "on") -> Parameter:
    return Parameter(name, value, description, "bool", Settable.always, category=_PLANNER)


def _settable() -> Iterator[Parameter]:
    """What Aurora DSQL lets a session set."""
    always = Settable.always
    yield Parameter(
        "application_name",
        "",
        "Sets the application name to be reported in statistics and logs.",
        "string",
        always,
        category="Reporting and Logging / What to Log",
    )
    yield Parameter(
        "client_encoding", "UTF8", "Sets the client's character set encoding.", "string", always, category=_LOCALE
    )
    yield Parameter(
        "DateStyle",
        "ISO, MDY",
        "Sets the display format for date and time values.",
        "string",
        always,
        category=_LOCALE,
    )
    yield Parameter(
        "extra_float_digits",
        "1",
        "Sets the number of digits displayed for floating-point values.",
        "integer",
        always,
        (),
        -15,
        3,
        category=_LOCALE,
    )
    yield Parameter(
        "IntervalStyle",
        "postgres",
        "Sets the display format for interval values.",
        "enum",
        always,
        ("postgres", "postgres_verbose", "sql_standard", "iso_8601"),
        category=_LOCALE,
    )
    yield Parameter(
        "TimeZone",
        "UTC",
        "Sets the time zone for displaying and interpreting time stamps.",
        "string",
        always,
        category=_LOCALE,
    )
    yield Parameter(
        "search_path",
        '"$user", public',
        "Sets the schema search order for names that are not schema-qualified.",
        "string",
        always,
        category=_CLIENT,
    )
    yield Parameter("role", "none", "Sets the current role.", "string", always, category="Ungrouped")
    yield _flag("enable_bitmapscan", "Enables the planner's use of bitmap-scan plans.")
    yield _flag("enable_hashjoin", "Enables the planner's use of hash join plans.")
    yield _flag("enable_indexonlyscan", "Enables the planner's use of index-only-scan plans.")
    yield _flag("enable_indexscan", "Enables the planner's use of index-scan plans.")
    yield _flag("enable_material", "Enables the planner's use of materialization.")
    yield _flag("enable_mergejoin", "Enables the planner's use of merge join plans.")
    yield _flag("enable_nestloop", "Enables the planner's use of nested-loop join plans.")
    yield _flag("enable_seqscan", "Enables the planner's use of sequential-scan plans.")
    yield _flag("dsql.enable_batched_nestloop", "Enables the planner's use of batched nested-loop join plans.")
    yield _flag("disable_sync_create_index", "Refuses CREATE INDEX without ASYNC even on an empty table.", "on")


def _lenient() -> Iterator[Parameter]:
    """What tools set as a matter of course: honoured (the timeouts, the default access mode), or without effect on any
    result because there is nothing here that it could influence."""
    lenient = Settable.lenient

    def number(name: str, value: str, description: str, category: str, unit: str = "") -> Parameter:
        return Parameter(name, value, description, "integer", lenient, unit=unit, category=category)

    def flag(name: str, value: str, description: str, category: str, *only: str) -> Parameter:
        return Parameter(name, value, description, "bool", lenient, only, category=category)

    def enum(name: str, value: str, description: str, category: str, *choices: str) -> Parameter:
        return Parameter(name, value, description, "enum", lenient, choices, category=category)

    yield number("statement_timeout", "0", "Sets the maximum allowed duration of any statement.", _CLIENT, "ms")
    yield number("lock_timeout", "0", "Sets the maximum allowed duration of any wait for a lock.", _CLIENT, "ms")
    yield number(
        "idle_in_transaction_session_timeout",
        "0",
        "Sets the maximum allowed idle time between queries, when in a transaction.",
        _CLIENT,
        "ms",
    )
    yield number(
        "idle_session_timeout",
        "0",
        "Sets the maximum allowed idle time between queries, when not in a transaction.",
        _CLIENT,
        "ms",
    )
    yield Parameter(  # of a later PostgreSQL, whose dumps set it
        "transaction_timeout", "0", "Sets the maximum allowed duration of any transaction.", "integer", lenient, high=0
    )
    yield enum(
        "client_min_messages", "notice", "Sets the message levels that are sent to the client.", _CLIENT, *_LEVELS
    )
    yield flag("row_security", "on", "Enable row security.", _CLIENT)
    yield flag(
        "default_transaction_read_only", "off", "Sets the default read-only status of new transactions.", _CLIENT
    )
    yield flag(
        "default_transaction_deferrable", "off", "Sets the default deferrable status of new transactions.", _CLIENT
    )
    yield enum(
        "default_transaction_isolation",
        "repeatable read",
        "Sets the transaction isolation level of each new transaction.",
        _CLIENT,
        "repeatable read",
    )
    yield enum(
        "xmloption",
        "content",
        "Sets whether XML data is documents or content fragments.",
        _CLIENT,
        "content",
        "document",
    )
    yield flag("check_function_bodies", "on", "Check routine bodies during CREATE FUNCTION.", _CLIENT)
    yield Parameter(
        "default_tablespace",
        "",
        "Sets the default tablespace to create tables in.",
        "string",
        lenient,
        ("",),
        category=_CLIENT,
    )
    yield Parameter(
        "temp_tablespaces",
        "",
        "Sets the tablespaces to use for temporary tables.",
        "string",
        lenient,
        ("",),
        category=_CLIENT,
    )
    yield Parameter(
        "default_table_access_method",
        "heap",
        "Sets the default table access method for new tables.",
        "string",
        lenient,
        ("heap",),
        category=_CLIENT,
    )
    yield enum(
        "session_replication_role",
        "origin",
        "Sets the session's behavior for triggers and rewrite rules.",
        _CLIENT,
        "origin",
        "local",
    )
    yield enum("bytea_output", "hex", "Sets the output format for bytea.", _CLIENT, "hex")
    yield number("gin_fuzzy_search_limit", "0", "Sets the maximum allowed result for exact search by GIN.", _CLIENT)
    yield flag(
        "standard_conforming_strings", "on", "Causes '...' strings to treat backslashes literally.", _COMPATIBLE, "on"
    )
    yield flag("escape_string_warning", "on", "Warn about backslash escapes in ordinary string literals.", _COMPATIBLE)
    yield flag("synchronize_seqscans", "on", "Enable synchronized sequential scans.", _COMPATIBLE)
    yield flag(
        "quote_all_identifiers", "off", "When generating SQL fragments, quote all identifiers.", _COMPATIBLE, "off"
    )
    yield enum(
        "backslash_quote",
        "safe_encoding",
        'Sets whether "\\\'" is allowed in string literals.',
        _COMPATIBLE,
        "safe_encoding",
        "off",
    )
    yield Parameter(
        "lc_messages", "C", "Sets the language in which messages are displayed.", "string", lenient, category=_LOCALE
    )
    yield Parameter(
        "lc_monetary", "C", "Sets the locale for formatting monetary amounts.", "string", lenient, category=_LOCALE
    )
    yield Parameter("lc_numeric", "C", "Sets the locale for formatting numbers.", "string", lenient, category=_LOCALE)
    yield Parameter(
        "lc_time", "C", "Sets the locale for formatting date and time values.", "string", lenient, category=_LOCALE
    )
    yield number("work_mem", "4MB", "Sets the maximum memory to be used for query workspaces.", _RESOURCES, "kB")
    yield number(
        "maintenance_work_mem",
        "64MB",
        "Sets the maximum memory to be used for maintenance operations.",
        _RESOURCES,
        "kB",
    )
    yield enum(
        "synchronous_commit",
        "on",
        "Sets the current transaction's synchronization level.",
        "Write-Ahead Log / Settings",
        "on",
        "remote_apply",
        "remote_write",
        "local",
        "off",
    )
    # No "jit": asyncpg turns it off before it asks for a type, takes 42704 for an answer, and fails on any other.
    yield enum(
        "plan_cache_mode",
        "auto",
        "Controls the planner's selection of custom or generic plan.",
        "Query Tuning / Other Planner Options",
        "auto",
        "force_generic_plan",
        "force_custom_plan",
    )
    yield Parameter(
        "random_page_cost",
        "4",
        "Sets the planner's estimate of the cost of a nonsequential page fetch.",
        "real",
        lenient,
        category=_COSTS,
    )
    yield Parameter(
        "seq_page_cost",
        "1",
        "Sets the planner's estimate of the cost of a sequential page fetch.",
        "real",
        lenient,
        category=_COSTS,
    )
    for name in (
        "enable_hashagg",
        "enable_sort",
        "enable_tidscan",
        "enable_memoize",
        "enable_incremental_sort",
        "geqo",
    ):
        yield flag(name, "on", "Has no effect on this planner.", _PLANNER)


def _fixed() -> Iterator[Parameter]:
    yield _text("server_version", SERVER_VERSION, "Shows the server version.")
    yield Parameter("server_version_num", SERVER_VERSION_NUM, "Shows the server version as an integer.", "integer")
    yield _text("server_encoding", "UTF8", "Shows the server (database) character set encoding.")
    yield _switch("integer_datetimes", True, "Shows whether datetimes are integer based.")
    yield _switch("is_superuser", False, "Shows whether the current user is a superuser.")
    yield _switch("in_hot_standby", False, "Shows whether hot standby is currently active.")
    yield _text("session_authorization", "", "Shows the session's user.")
    yield Parameter(
        "transaction_isolation", "repeatable read", "Shows the current transaction's isolation level.", "enum"
    )
    yield _switch("transaction_deferrable", False, "Shows whether a read-only transaction waits for a safe snapshot.")
    yield _switch("transaction_read_only", False, "Shows the current transaction's read-only status.")
    yield Parameter("max_identifier_length", "63", "Shows the maximum identifier length.", "integer")
    yield Parameter("max_index_keys", "8", "Shows the maximum number of index keys.", "integer")
    yield Parameter("max_connections", "10000", "Shows the maximum number of concurrent connections.", "integer")
    yield Parameter("block_size", "8192", "Shows the size of a disk block.", "integer")
    yield _switch("ssl", True, "Shows whether connections are encrypted.")
    yield Parameter("port", "5432", "Shows the TCP port the server listens on.", "integer")
    yield Parameter("wal_level", "replica", "Shows the level of information written to the log.", "enum")


_PARAMETERS: Final = tuple(sorted((*_settable(), *_lenient(), *_fixed()), key=lambda each: each.name.lower()))
