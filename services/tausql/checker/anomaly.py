"""What a history can be found guilty of, by the names that the literature has for it."""

from __future__ import annotations

from enum import Enum


class Name(Enum):
    """In Adya's words where he has one."""

    aborted_read = "aborted read (G1a)"
    intermediate_read = "intermediate read (G1b)"
    write_cycle = "write cycle (G0)"
    circular_flow = "circular information flow (G1c)"
    read_skew = "read skew (G-single)"
    lost_update = "lost update"
    long_fork = "long fork"
    locked_cycle = "a lock did not hold"
    stale_read = "stale read"
    real_time = "against real time"
    session = "against the session's order"
    lost_write = "lost write"
    undead_write = "refused write that is there"
    invented = "value from nowhere"
    duplicate = "duplicate"
    disputed_order = "disputed order"
    own_write_unseen = "own write unseen"
    two_snapshots = "two snapshots in one transaction"
    wrong_total = "wrong total"
    write_skew = "write skew"
    torn_index = "index and table differ"


class Anomaly(Exception):
    """The history cannot have come from a snapshot-isolated database. The message is the witness: its first line says
    what it is and of whom, the others who did what and why each must come before the next. `transactions`: numbers."""

    def __init__(self, name: Name, text: str, transactions: tuple[int, ...] = ()) -> None:
        super().__init__(f"{name.value}: {text}")
        self.name = name
        self.transactions = transactions
