"""SET CONSTRAINTS: when a transaction's deferrable foreign keys are checked."""

from __future__ import annotations

from tausql.processor.state import SessionState
from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import ForeignKey, Snapshot
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.statements import Statement


async def set_constraints(state: SessionState, statement: Statement) -> None:
    """SET CONSTRAINTS { ALL | name, ... } { DEFERRED | IMMEDIATE }. IMMEDIATE checks what was put off so far: 23503."""
    words = Words(statement.text, statement.options["tokens"])
    words.expect("SET", "CONSTRAINTS")
    names: list[QualifiedName] = []
    if not words.take("ALL"):
        names.append(words.qualified_name())
        while words.take(","):
            names.append(words.qualified_name())
    mode = words.take_one("DEFERRED", "IMMEDIATE")
    if not mode:
        raise words.error()
    words.expect_end()
    if not state.block.in_block:
        state.notice(
            SqlError(
                Code.no_active_sql_transaction,
                "SET CONSTRAINTS can only be used in transaction blocks",
                severity="WARNING",
            )
        )
        return
    transaction = state.block.current()
    snapshot = await state.shared.catalogue.of(transaction)
    chosen = [key for name in names for key in _named(snapshot, name, state.parameters.search_path)]
    deferred = transaction.deferred_constraints()
    if not names:
        deferred.modes.clear()
        deferred.all_deferred = mode == "DEFERRED"
    for key in chosen:
        deferred.modes[key.oid] = mode == "DEFERRED"
    if mode == "IMMEDIATE":
        await transaction.check_deferred(frozenset(key.oid for key in chosen) if names else None)


def _named(snapshot: Snapshot, name: QualifiedName, path: tuple[str, ...]) -> list[ForeignKey]:
    """The constraints of that name in the first schema that has any. Raises 42704 and 42809."""
    for schema in (name.schema,) if name.schema is not None else path:
        tables = [table for table in snapshot.tables.values() if table.schema == schema]
        others = any(
            name.name in {table.primary_key_name, *(index.name for index in table.indexes if index.constraint)}
            or any(check.name == name.name for check in table.checks)
            for table in tables
        )
        found = [key for table in tables for key in table.foreign_keys if key.name == name.name]
        if (others and not found) or any(not key.deferrable for key in found):
            raise SqlError(Code.wrong_object_type, f'constraint "{name.name}" is not deferrable')
        if found:
            return found
    raise SqlError(Code.undefined_object, f'constraint "{name}" does not exist')
