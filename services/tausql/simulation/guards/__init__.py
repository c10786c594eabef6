"""The guards of the protocol that can be taken out, to see that the simulation notices.

Every "must" of the protocol and every sync is a guard, as far as one can be taken out alone: `docs/simulation.md` lists
those that nobody misses because another stands behind them.
"""

from __future__ import annotations

from tausql.simulation.guards import (
    adjudicator,
    crossbar,
    journal,
    journal_disks,
    moves,
    processor,
    storage,
    takeover,
    votes,
)
from tausql.simulation.guards.guard import Edit, Guard, Hint

__all__ = ["ALL", "Edit", "Guard", "Hint"]

ALL: tuple[Guard, ...] = (
    *journal.GUARDS,
    *journal_disks.GUARDS,
    *takeover.GUARDS,
    *adjudicator.GUARDS,
    *votes.GUARDS,
    *moves.GUARDS,
    *crossbar.GUARDS,
    *storage.GUARDS,
    *processor.GUARDS,
)
