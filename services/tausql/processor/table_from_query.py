"""CREATE TABLE AS and SELECT INTO (extensions): a table of a query's columns, and the query's rows in it.

Both are one transaction, and the rows are rows like any others: 3,000 of them and 10 MiB at most. There is no primary
key, as in PostgreSQL, and a column of type numeric without a precision gets what one in CREATE TABLE gets.
"""

from __future__ import annotations

from typing import Final

from tausql.processor.execution import Executor
from tausql.processor.portals import PreparedStatement
from tausql.processor.schema_changes import change_schema
from tausql.processor.state import SessionState
from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.catalogue.temporary import TEMPORARY_SCHEMA
from tausql.sql.ddl.reading import QualifiedName
from tausql.sql.ddl.temporary_tables import temporary_place
from tausql.sql.engine import ResultColumn
from tausql.sql.statements import Statement
from tausql.sql.types.builtin import TEXT, UNKNOWN

_UNNAMED: Final = '"(a table that is being made)"'


async def create_table_from_query(state: SessionState, executor: Executor, statement: Statement) -> str:
    """The command tag. Raises what CREATE TABLE, the query and INSERT do."""
    options = statement.options
    name: str = options["name"]
    schema, bare = options["place"]
    snapshot = await state.shared.catalogue.of(state.block.current())
    temporary = options["temporary"] or schema == TEMPORARY_SCHEMA
    path = (TEMPORARY_SCHEMA,) if temporary else state.parameters.search_path
    if options["if_not_exists"] and snapshot.find(schema, bare, path) is not None:
        state.notice(SqlError(Code.duplicate_table, f'relation "{bare}" already exists, skipping', severity="NOTICE"))
        return "CREATE TABLE AS"
    query = PreparedStatement("", options["query"], ())
    await executor.plan(query)
    plan = query.plan
    assert plan is not None
    if plan.parameter_types or plan.columns is None:
        raise SqlError(Code.undefined_parameter, "there is no parameter $1")
    columns = ", ".join(_columns(plan.columns, options["columns"]))
    if temporary:
        return await _temporary(state, executor, statement, columns)
    await change_schema(state, executor, _parsed(state, f"CREATE TABLE {name} ({columns})"))
    return await _fill(state, executor, name, statement)


async def _temporary(state: SessionState, executor: Executor, statement: Statement, columns: str) -> str:
    """A temporary table comes before others of its name: it gets that name when the query has been run, which may read
    one of them. Raises 42P16 for another schema."""
    options = statement.options
    schema, name = options["place"]
    place = temporary_place(QualifiedName(schema, name, 0))
    unnamed = f"{TEMPORARY_SCHEMA}.{_UNNAMED}"
    made = _parsed(state, f"CREATE TEMPORARY TABLE {unnamed} ({columns}) {options['on_commit']}")
    await change_schema(state, executor, made)
    tag = await _fill(state, executor, unnamed, statement)
    await change_schema(state, executor, _parsed(state, f"ALTER TABLE {unnamed} RENAME TO {quoted(place.name)}"))
    return tag


async def _fill(state: SessionState, executor: Executor, name: str, statement: Statement) -> str:
    if statement.options["no_data"]:
        return "CREATE TABLE AS"
    insert = PreparedStatement("", _parsed(state, f"INSERT INTO {name} {statement.options['query'].text}"), ())
    execution = await executor.collect(insert, [])
    return f"SELECT {execution.tag.rpartition(' ')[2]}"


def _columns(columns: tuple[ResultColumn, ...], names: list[str]) -> list[str]:
    """Their definitions. Raises 42601 for more names than columns."""
    if len(names) > len(columns):
        raise SqlError(Code.syntax_error, "too many column names were specified")
    made: list[str] = []
    for at, column in enumerate(columns):
        name = names[at] if at < len(names) else column.name
        type_ = TEXT if column.type is UNKNOWN else column.type
        doubled = name.replace('"', '""')
        made.append(f'"{doubled}" {type_.display(column.typmod)}')
    return made


def _parsed(state: SessionState, text: str) -> Statement:
    (statement,) = state.shared.plans.statements(text)
    statement.refuse()
    return statement
