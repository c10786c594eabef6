"""What CREATE TABLE says of a temporary table (extensions): that it is one, where it goes, what a commit does to it."""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.temporary import DELETE, DROP, KEEP, TEMPORARY_SCHEMA
from tausql.sql.ddl.reading import QualifiedName, Words


def take_temporary(words: Words) -> bool:
    """TEMP or TEMPORARY, and what the standard has before it."""
    words.take_one("LOCAL", "GLOBAL")
    return bool(words.take_one("TEMP", "TEMPORARY"))


def temporary_place(place: QualifiedName) -> QualifiedName:
    """Where a table goes that is said to be temporary. Raises 42P16 for another schema."""
    if place.schema not in (None, TEMPORARY_SCHEMA):
        raise SqlError(Code.invalid_table_definition, "cannot create temporary relation in non-temporary schema")
    return place._replace(schema=TEMPORARY_SCHEMA)


def read_on_commit(words: Words, temporary: bool) -> str:
    """ON COMMIT of a temporary table."""
    if not temporary or not words.take("ON", "COMMIT"):
        return KEEP
    if words.take("DROP"):
        return DROP
    kept = words.take_one("PRESERVE", "DELETE")
    if not kept:
        raise words.error()
    words.expect("ROWS")
    return DELETE if kept == "DELETE" else KEEP
