"""Statements Aurora DSQL does not take, with the texts it refuses them with.

Texts of measured statements are exact (clients match on them); the others follow the families those show:
`unsupported statement: {node}` with PostgreSQL's parse node name, `CREATE X not supported`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tausql.protocol.errors import Code, SqlError, not_supported

# First word -> what comes after "unsupported statement: ".
_BY_FIRST_WORD = {
    "TRUNCATE": "Truncate",
    "LISTEN": "Listen",
    "NOTIFY": "Notify",
    "UNLISTEN": "Unlisten",
    "LOCK": "Lock",
    "DECLARE": "DeclareCursor",
    "FETCH": "Fetch",
    "MOVE": "Fetch",
    "CLOSE": "ClosePortal",
    "DO": "Do",
    "LOAD": "Load",
    "CLUSTER": "Cluster",
    "REINDEX": "Reindex",
    "CHECKPOINT": "CheckPoint",
    "PREPARE": "Prepare",
    "EXECUTE": "Execute",
    "DISCARD": "Discard",
    "SECURITY": "SecLabel",
    "REASSIGN": "ReassignOwned",
    "IMPORT": "ImportForeignSchema",
    "REFRESH": "RefreshMatView",
}

# Words after CREATE -> what comes after "unsupported statement: ".
_CREATE = {
    ("DATABASE",): "Createdb",
    ("EXTENSION",): "CreateExtension",
    ("TABLESPACE",): "CreateTableSpace",
    ("FOREIGN", "TABLE"): "CreateForeignTable",
    ("FOREIGN", "DATA"): "CreateFdw",
    ("SERVER",): "CreateForeignServer",
    ("USER", "MAPPING"): "CreateUserMapping",
    ("POLICY",): "CreatePolicy",
    ("PUBLICATION",): "CreatePublication",
    ("SUBSCRIPTION",): "CreateSubscription",
    ("AGGREGATE",): "Define",
    ("OPERATOR",): "Define",
    ("COLLATION",): "Define",
    ("TEXT",): "Define",
    ("CAST",): "CreateCast",
    ("TRANSFORM",): "CreateTransform",
    ("EVENT",): "CreateEventTrig",
    ("LANGUAGE",): "CreatePLang",
    ("TRUSTED",): "CreatePLang",
    ("CONVERSION",): "CreateConversion",
    ("ACCESS",): "CreateAm",
    ("RULE",): "Rule",
    ("MATERIALIZED",): "CreateTableAs",
}

_ALTER = {
    ("SYSTEM",): "AlterSystem",
    ("DATABASE",): "AlterDatabase",
    ("EXTENSION",): "AlterExtension",
    ("POLICY",): "AlterPolicy",
    ("PUBLICATION",): "AlterPublication",
    ("SUBSCRIPTION",): "AlterSubscription",
    ("TABLESPACE",): "AlterTableSpaceOptions",
    ("SERVER",): "AlterForeignServer",
    ("TEXT",): "AlterTSConfiguration",
    ("EVENT",): "AlterEventTrig",
    ("OPERATOR",): "AlterOperator",
    ("COLLATION",): "AlterCollation",
    ("FOREIGN", "DATA"): "AlterFdw",
    ("USER", "MAPPING"): "AlterUserMapping",
}


_WITH_EXPRESSIONS = frozenset(("SELECT", "WITH", "VALUES", "(", "INSERT", "UPDATE", "DELETE"))
# Functions that PostgreSQL has and Aurora DSQL does not, refused by name. With `tausql.lenient` they are there.
_FUNCTIONS = frozenset(
    (
        "PG_ADVISORY_LOCK",
        "PG_ADVISORY_LOCK_SHARED",
        "PG_ADVISORY_UNLOCK",
        "PG_ADVISORY_UNLOCK_ALL",
        "PG_ADVISORY_UNLOCK_SHARED",
        "PG_ADVISORY_XACT_LOCK",
        "PG_ADVISORY_XACT_LOCK_SHARED",
        "PG_TRY_ADVISORY_LOCK",
        "PG_TRY_ADVISORY_LOCK_SHARED",
        "PG_TRY_ADVISORY_XACT_LOCK",
        "PG_TRY_ADVISORY_XACT_LOCK_SHARED",
        "PG_BACKEND_PID",
    )
)


def word_refusal(words: Sequence[str]) -> SqlError | None:
    """The error for a statement that calls a function DSQL does not have, or says COLLATE. Functions are known by their
    words: a column of that name is none, an unquoted call is."""
    if "COLLATE" in words and words[0] in _WITH_EXPRESSIONS:
        for at, word in enumerate(words):
            # psql writes COLLATE pg_catalog.default, which is what there is; a quoted name has no word.
            name = list(words[at + 1 : at + 4])
            if word == "COLLATE" and name not in (["PG_CATALOG", ".", "DEFAULT"], ["PG_CATALOG", ".", ""]):
                return not_supported("COLLATE clause not supported")
    if _FUNCTIONS.isdisjoint(words):
        return None
    for at in range(len(words) - 1):
        if words[at] in _FUNCTIONS and words[at + 1] == "(":
            return not_supported(f"function {words[at].lower()} not supported")
    return None


def refusal_of(words: Sequence[str]) -> SqlError | None:
    """The error for a statement with these words (upper case, strings left empty), None where it may be taken."""
    first = words[0]
    second = words[1] if len(words) > 1 else ""
    if first == "VACUUM":
        return not_supported("unsupported VACUUM statement")
    if first == "MERGE":
        return not_supported("unsupported statement type: MERGE")
    if first == "SAVEPOINT":
        return not_supported("unsupported transaction statement: SAVEPOINT")
    if first == "RELEASE":
        return not_supported("unsupported transaction statement: RELEASE")
    if first == "PREPARE" and second == "TRANSACTION":
        return not_supported("unsupported transaction statement: PREPARE TRANSACTION")
    if first in ("ROLLBACK", "COMMIT") and second == "PREPARED":
        return not_supported(f"unsupported transaction statement: {first} PREPARED")
    if first in ("ROLLBACK", "ABORT") and "TO" in words[1:4]:
        return not_supported("unsupported transaction statement: ROLLBACK TO")
    node = _BY_FIRST_WORD.get(first)
    if node is not None:
        return unsupported_statement(node)
    if first == "CREATE":
        return _create_refusal([word for word in words[1:] if word not in ("OR", "REPLACE")])
    if first == "ALTER":
        return _alter_refusal(words[1:])
    if first == "DROP":
        return _drop_refusal(words[1:])
    return None


def unsupported_statement(node: str) -> SqlError:
    return not_supported(f"unsupported statement: {node}")


def _create_refusal(words: Sequence[str]) -> SqlError | None:
    if not words:
        return None
    if words[0] in ("GLOBAL", "LOCAL"):
        words = words[1:]
    head = words[0]
    if head in ("TEMP", "TEMPORARY") and "TABLE" in words[:2]:
        return not_supported("TEMPORARY or TEMP table not supported for CREATE TABLE")
    if head in ("TEMP", "TEMPORARY"):
        return not_supported(
            f"TEMPORARY or TEMP not supported for CREATE {words[1] if len(words) > 1 else ''}".rstrip()
        )
    if head == "UNLOGGED":
        return not_supported("UNLOGGED table not supported for CREATE TABLE")
    if head in ("TRIGGER", "CONSTRAINT"):
        return not_supported("CREATE TRIGGER not supported")
    if head == "PROCEDURE":
        return not_supported("CREATE PROCEDURE not supported")
    if head == "TYPE":
        return _create_type_refusal(words)
    if head == "FUNCTION":
        return _create_function_refusal(words)
    if head in ("UNIQUE", "INDEX") and "CONCURRENTLY" in words[:4]:
        return not_supported("CONCURRENTLY not supported for CREATE INDEX")
    return _by_words(_CREATE, words)


def _create_function_refusal(words: Sequence[str]) -> SqlError | None:
    if "LANGUAGE" in words:
        at = words.index("LANGUAGE") + 1
        language = words[at].lower() if at < len(words) else ""
        if language and language != "sql":
            return not_supported(f"CREATE FUNCTION with language {language} not supported")
    return None


def _create_type_refusal(words: Sequence[str]) -> SqlError:
    if "AS" in words:
        after = words[words.index("AS") + 1 :]
        if after and after[0] == "(":
            return unsupported_statement("CompositeType")
        if after and after[0] == "RANGE":
            return unsupported_statement("CreateRange")
    return not_supported("CREATE TYPE not supported")


def _alter_refusal(words: Sequence[str]) -> SqlError | None:
    if words and words[0] == "TYPE":
        if "RENAME" in words:
            return not_supported("unsupported object in RENAME statement")
        return not_supported("ALTER TYPE not supported")
    return _by_words(_ALTER, words)


_DROPPED = frozenset(
    "TABLE VIEW INDEX SEQUENCE SCHEMA DOMAIN FUNCTION ROUTINE ROLE USER GROUP STATISTICS OWNED".split()
)


def _drop_refusal(words: Sequence[str]) -> SqlError | None:
    if not words or words[0] in _DROPPED:
        return None
    if words[0] == "DATABASE":
        return unsupported_statement("Dropdb")
    if words[0] == "TABLESPACE":
        return unsupported_statement("DropTableSpace")
    if words[0] == "SUBSCRIPTION":
        return unsupported_statement("DropSubscription")
    return not_supported("unsupported object in DROP statement")


def _by_words(table: dict[tuple[str, ...], str], words: Sequence[str]) -> SqlError | None:
    for count in (2, 1):
        node = table.get(tuple(words[:count]))
        if node is not None:
            return unsupported_statement(node)
    return None


def too_deep() -> SqlError:
    return SqlError(
        Code.statement_too_complex,
        "stack depth limit exceeded",
        hint="The statement is nested too deeply.",
    )
