"""A session that was on another processor before: its state, from what its frontend kept of it."""

from __future__ import annotations

from tausql.processor.portals import PreparedStatement
from tausql.processor.state import SessionState
from tausql.protocol.errors import lost_with_processor
from tausql.protocol.processor import CarriedStatement, Lost, Restore
from tausql.sql.statements import Statement
from tausql.sql.types import type_by_oid


def restore_state(state: SessionState, restore: Restore) -> None:
    """Settings, prepared statements, what currval says, and the failed block it may be in. Raises SqlError for what is
    not known here."""
    state.parameters.restore(restore.settings)
    for carried in restore.statements:
        statements = state.shared.plans.statements(carried.text)
        prepared = _prepared(carried, statements[0] if statements else None)
        state.prepared[prepared.name] = prepared
        if prepared.name:
            state.statement_characters += prepared.characters
    if restore.sequences:
        state.sequences().restore(restore.sequences)
    if restore.lost != Lost.nothing:
        state.block.restore(lost_with_processor() if restore.lost == Lost.untold else None)


def _prepared(carried: CarriedStatement, statement: Statement | None) -> PreparedStatement:
    """As it was, but for its plan: that is made when it is needed."""
    declared = tuple(type_by_oid(oid) if oid else None for oid in carried.types)
    prepared = PreparedStatement(carried.name, statement, declared)
    if carried.described:
        prepared.described = True
        prepared.carried_columns = carried.columns
    return prepared
