"""Assertions that stay on: the invariants of the transaction protocol, by name.

`assert` is stripped by `-O` and says nothing about which promise broke. An `InvariantViolation` is a BaseException on
purpose: `except Exception` around a statement must not turn a broken promise into an error message to one client.
The process logs it and leaves; the simulation reports it.
"""

from __future__ import annotations

from typing import Any

I1 = "I1"  # per stream: committed seqs contiguous, tau strictly rising, epochs never falling, tau ranges disjoint
I2 = "I2"  # no acknowledgement below the promised epoch; a promise is on disk before it is spoken
I3 = "I3"  # an answered commit is on a majority of disks and in the log of every later epoch
I4 = "I4"  # heartbeat <= limit, vote upper <= limit, limit durable on a majority before use
I5 = "I5"  # once anyone holds "closed to tau" for a stream, no record <= tau is ever committed in it
I6 = "I6"  # two committed transactions with incompatible modes on a key do not overlap in (tau_start, tau_commit]
I7 = "I7"  # a txn id commits at most once, whole; told 40001, it never commits
I8 = "I8"  # storage at watermark w has applied exactly the records of its range with tau <= w
I9 = "I9"  # if A was answered, or shown to anyone, before B began anywhere, tau_commit(A) <= tau_start(B)
I10 = "I10"  # no read inside the transaction window meets a collected version; trimming passes no needed record
I11 = "I11"  # same shard, same watermark: same state hash, on every replica
I12 = "I12"  # promises, limits, horizons, trim points and a process's taus never fall


class InvariantViolation(BaseException):
    """An invariant of the protocol does not hold: nothing this process says can be trusted any more."""

    def __init__(self, invariant: str, text: str, facts: dict[str, Any]) -> None:
        told = "".join(f" {name}={value!r}" for name, value in facts.items())
        super().__init__(f"{invariant}: {text}{told}")
        self.invariant = invariant
        self.text = text
        self.facts = facts


def check(invariant: str, condition: bool, text: str, **facts: Any) -> None:
    """Raise `InvariantViolation` unless `condition`. `text` says what is wrong when it is."""
    if not condition:
        raise InvariantViolation(invariant, text, facts)
