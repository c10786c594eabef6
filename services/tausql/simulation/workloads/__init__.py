"""What clients of a simulated fleet do over SQL, each with what must hold: see `turns.SqlWorkload`.

`OFFERS` is what a seed may choose from; `MARKS` are the places a batch of them should reach.
"""

from __future__ import annotations

from tausql.simulation.workload import Offer
from tausql.simulation.workloads.appends import Appends
from tausql.simulation.workloads.bank import Bank
from tausql.simulation.workloads.indexed import Indexed
from tausql.simulation.workloads.inserts import Inserts
from tausql.simulation.workloads.long_fork import LongFork
from tausql.simulation.workloads.registers import Registers
from tausql.simulation.workloads.schema_changes import SchemaChanges
from tausql.simulation.workloads.sightings import Sightings
from tausql.simulation.workloads.tokens import Tokens
from tausql.simulation.workloads.write_skew import WriteSkew

OFFERS: tuple[Offer, ...] = (
    Offer("bank", Bank, 2),
    Offer("inserts", Inserts, 3),
    Offer("tokens", Tokens, 2),
    Offer("appends", Appends, 2),
    Offer("registers", Registers, 2),
    Offer("long fork", LongFork, 1),
    Offer("write skew", WriteSkew, 1),
    Offer("indexed", Indexed, 3),
    Offer("schema changes", SchemaChanges, 2),
    Offer("sightings", Sightings, 1),
)

MARKS: tuple[str, ...] = (
    "OC001 under load",
    "a connection was reset with bytes unread",
    "a dropped table was gone",
    "a dropped table was written to in vain",
    "a job found a duplicate",
    "a job met a conflict and halved its batch",
    "a lock kept write skew away",
    "a long transaction read again",
    "a reader saw one of two concurrent writes",
    "a row was seen by two, one after the other",
    "a session moved",
    "a session went on elsewhere",
    "a transaction across a schema change was refused",
    "a transaction grew too old",
    "a unique index refused a row",
    "a unique index was compared",
    "a witnessed commit: aborted",
    "a witnessed commit: committed",
    "an index was built under load",
    "an index was entered under load",
    "two met at an entry of a unique index",
    "write skew without a lock",
)
