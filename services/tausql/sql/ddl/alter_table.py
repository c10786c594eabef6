"""ALTER TABLE: its actions are read one by one, put in PostgreSQL's order, and change one descriptor that is written
once. What an action does not find, and what Aurora DSQL does not take, is refused before anything is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import View
from tausql.sql.ddl import alter_columns, alter_constraints, renames, views
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.names import check_owner, find_relation, kind_of
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.table_change import TableChange

COMMAND = "ALTER TABLE"
ACTIONS_MAX = 1600

# When an action runs, as PostgreSQL orders them: what goes, what comes, what relies on it, the rest.
DROPS, ADDS, CONSTRAINTS, REST = range(4)


@dataclass(slots=True)
class Action:
    order: int
    run: Callable[[TableChange], Awaitable[None]]
    words: Words = field(repr=False)


async def alter_table(change: SchemaChange) -> DdlResult:
    """Raises 42P01, 42809, 42501, what its actions raise, and 0A000 in Aurora DSQL's words for actions it lacks."""
    words = change.words()
    words.expect("ALTER", "TABLE")
    is_async = words.take("ASYNC")
    missing_ok = words.take("IF", "EXISTS")
    words.take("ONLY")
    place = words.qualified_name()
    words.take("*")
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        missing = f'relation "{place}" does not exist'
        if not missing_ok:
            raise SqlError(Code.undefined_table, missing, position=place.position)
        change.notice(f"{missing}, skipping")
        return change.result(COMMAND)
    if not isinstance(relation, Table):
        if isinstance(relation, View):
            check_owner(change, relation.owner, "view", relation.name)
            await views.alter(change, relation, words)
            return change.result(COMMAND)
        if await renames.rename_other(change, relation, words):
            return change.result(COMMAND)
        raise SqlError(
            Code.wrong_object_type, f'"{place.name}" is not a table',
            detail=f"This operation is not supported for {_plural(kind_of(relation))}.",
        )  # fmt: skip
    check_owner(change, relation.owner, "table", relation.name)
    if is_async:
        return await alter_constraints.validate_async(change, relation, words)
    if await renames.rename(change, relation, words):
        return change.result(COMMAND)
    actions = [_read_action(words)]
    while words.take(","):
        actions.append(_read_action(words))
    words.expect_end()
    if len(actions) > ACTIONS_MAX:
        raise SqlError(Code.statement_too_complex, f"ALTER TABLE has more than {ACTIONS_MAX} actions")
    altered = TableChange(change, relation)
    for action in sorted(actions, key=lambda one: one.order):
        await action.run(altered)
    altered.write()
    return change.result(COMMAND, jobs_entered=altered.jobs)


def _plural(kind: str) -> str:
    return kind + ("es" if kind == "index" else "s")


def _read_action(words: Words) -> Action:
    """One action up to the comma behind it; the words it needs are kept for its turn."""
    first = words.at
    words.until(",")
    own = Words(words.text, words.tokens[: words.at], first)
    order, run = _action(own)
    return Action(order, lambda altered: _finished(run, altered, own), own)


async def _finished(run: Callable[[TableChange, Words], Awaitable[None]], altered: TableChange, words: Words) -> None:
    await run(altered, words)
    words.expect_end()


Run = Callable[[TableChange, Words], Awaitable[None]]


def _action(words: Words) -> tuple[int, Run]:
    if words.take("ADD"):
        if words.peek() in ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN", "EXCLUDE"):
            return CONSTRAINTS, alter_constraints.add_constraint
        words.take("COLUMN")
        return ADDS, alter_columns.add_column
    if words.take("DROP"):
        if words.take("CONSTRAINT"):
            return DROPS, alter_constraints.drop_constraint
        words.take("COLUMN")
        return DROPS, alter_columns.drop_column
    if words.take("ALTER"):
        if words.take("CONSTRAINT"):
            return REST, alter_constraints.alter_constraint
        words.take("COLUMN")
        return alter_columns.order_of(words), alter_columns.alter_column
    if words.next_is("VALIDATE", "CONSTRAINT"):
        raise unsupported("VALIDATE CONSTRAINT")
    if words.take("OWNER", "TO"):
        return REST, renames.set_owner
    if words.next_is("ENABLE") or words.next_is("DISABLE"):
        return REST, _triggers
    raise _unsupported_action(words)


def unsupported(action: str) -> SqlError:
    return not_supported(f"unsupported ALTER TABLE {action} statement")


_UNSUPPORTED = (
    (("REPLICA", "IDENTITY"), "REPLICA IDENTITY"),
    (("NO", "INHERIT"), "NO INHERIT"),
    (("INHERIT",), "INHERIT"),
    (("FORCE", "ROW", "LEVEL", "SECURITY"), "FORCE ROW SECURITY"),
    (("NO", "FORCE", "ROW", "LEVEL", "SECURITY"), "NO FORCE ROW SECURITY"),
    (("CLUSTER", "ON"), "CLUSTER ON"),
    (("SET", "WITHOUT", "CLUSTER"), "SET WITHOUT CLUSTER"),
    (("SET", "WITHOUT", "OIDS"), "SET WITHOUT OIDS"),
    (("SET", "LOGGED"), "SET LOGGED"),
    (("SET", "UNLOGGED"), "SET UNLOGGED"),
    (("SET", "TABLESPACE"), "SET TABLESPACE"),
    (("SET", "ACCESS", "METHOD"), "SET ACCESS METHOD"),
    (("SET", "("), "SET"),
    (("RESET", "("), "RESET"),
    (("NOT", "OF"), "NOT OF"),
    (("OF",), "OF"),
    (("ATTACH", "PARTITION"), "ATTACH PARTITION"),
    (("DETACH", "PARTITION"), "DETACH PARTITION"),
)


def _unsupported_action(words: Words) -> SqlError:
    for pattern, action in _UNSUPPORTED:
        if words.next_is(*pattern):
            return unsupported(action)
    return words.error()


async def _triggers(altered: TableChange, words: Words) -> None:
    """ENABLE | DISABLE TRIGGER ALL | USER: there are no triggers, so nothing is to be done."""
    verb = words.take_one("ENABLE", "DISABLE")
    if words.next_is("ROW", "LEVEL", "SECURITY"):
        raise unsupported(f"{verb} ROW SECURITY")
    if words.next_is("RULE"):
        raise unsupported(f"{verb} RULE")
    mode = words.take_one("REPLICA", "ALWAYS")
    if mode:
        raise unsupported(f"{verb} {mode} {words.peek()}")
    words.expect("TRIGGER")
    if not words.take_one("ALL", "USER"):
        name = words.name()
        raise SqlError(Code.undefined_object, f'trigger "{name}" for table "{altered.table.name}" does not exist')


HANDLERS = {"alter_table": alter_table, "alter_index": renames.alter_index}
