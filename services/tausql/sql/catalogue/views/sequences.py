"""A sequence read as a relation: `SELECT last_value FROM orders_id_seq`, which dumps and migration tools do.

How far it has come is kept outside of transactions; what is read is the newest state the statement's snapshot knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.facts import Facts
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.catalogue.shapes import Row, Shape
from tausql.sql.catalogue.system import SEQUENCES, decode_sequence, system_keys
from tausql.sql.catalogue.views.relations import SEQUENCE_COLUMNS
from tausql.sql.types.type import Type


class SequenceRelation:
    """`SystemRelation` of one sequence."""

    __slots__ = ("name", "oid", "schema", "sequence")

    def __init__(self, sequence: SequenceObject) -> None:
        self.schema, self.name, self.oid, self.sequence = sequence.schema, sequence.name, sequence.oid, sequence

    @property
    def columns(self) -> Sequence[tuple[str, Type]]:
        return SEQUENCE_COLUMNS

    async def rows(self, snapshot: Snapshot, transaction: Transaction, context: Any, *arguments: Any) -> list[Row]:
        ((last, called),) = await _states(transaction, snapshot.cluster, [self.sequence])
        return [[last, 0, called]]

    def matching(self, snapshot: Snapshot, context: Any, column: int, value: Any) -> list[Row] | None:
        return None


async def _states(
    transaction: Transaction, cluster: int, sequences: Sequence[SequenceObject]
) -> list[tuple[int, bool]]:
    """(last value, whether it has been handed out) of each."""
    if not sequences:
        return []
    encode = system_keys(cluster).sequence
    found = await transaction.get(SEQUENCES, [encode((one.oid,)) for one in sequences])
    states: list[tuple[int, bool]] = []
    for one, value in zip(sequences, found, strict=True):
        if value is None:
            states.append((one.start, False))
        else:
            row = decode_sequence(value)
            states.append((row.last, row.called))
    return states


async def listed(facts: Facts, to: Shape, transaction: Transaction) -> Iterable[Row]:
    """pg_sequences; last_value is NULL before the first value."""
    states = await _states(transaction, facts.snapshot.cluster, facts.sequences)
    return [
        [one.schema, one.name, facts.role_name(one.owner), one.type_oid, one.start, one.minimum, one.maximum,
         one.increment, one.cycle, one.cache, last if called else None]
        for one, (last, called) in zip(facts.sequences, states, strict=True)
    ]  # fmt: skip
