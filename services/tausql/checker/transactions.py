"""Which transactions count, and what each of them saw of others: the facts from which relations follow.

Counted are those acknowledged, and those of unknown outcome of which somebody has seen something; the latter's reads
may show further ones. Whoever saw a write of a transaction that was told it had failed has proven a lie by that alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.history import Attempt, Operation

Write = tuple[str, int]  # (key, value)


class View(NamedTuple):
    """What was seen of others under one key: a list without one's own appends at its end, or a register (`()`: never
    written)."""

    key: str
    values: tuple[int, ...]
    shared: bool


class Transaction:
    """One that counts. `writer`: it has committed; else only what it read counts. `locks`: those it took hold."""

    __slots__ = ("attempt", "gets", "lists", "locks", "writer")

    def __init__(self, attempt: Attempt, writer: bool) -> None:
        self.attempt = attempt
        self.writer = writer
        self.locks = writer and bool(attempt.writes())
        self.lists: list[View] = []
        self.gets: list[View] = []
        _views(attempt, self.lists, self.gets)


class History:
    """`transactions` by position; `position` of the committed writer of each write; `registers`: the keys that are."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.position: dict[Write, int] = {}
        self.registers: set[str] = set()
        self.intermediate: set[Write] = set()  # overwritten, or appended to, by their own transaction

    def attempt(self, position: int) -> Attempt:
        return self.transactions[position].attempt


def collect(attempts: Iterable[Attempt], uncommitted_reads: bool) -> History:
    """`uncommitted_reads`: transactions that did not commit have seen snapshots, too. Raises Anomaly, and ValueError
    for a workload whose writes are not unique."""
    every = list(attempts)
    history = History()
    writers = _writers(every, history)
    counted: dict[int, Transaction] = {}
    known: dict[str, tuple[int, ...]] = {}  # of each list the longest beginning of which all writers are counted

    def count(committed: Iterable[Attempt]) -> None:
        fresh = deque(committed)
        while fresh:
            attempt = fresh.popleft()
            if attempt.number not in counted:
                transaction = counted[attempt.number] = Transaction(attempt, writer=True)
                fresh += _seen_by(transaction, writers, known)

    count(attempt for attempt in every if attempt.status == "ok")
    readers = []
    for attempt in every if uncommitted_reads else ():
        if attempt.number not in counted:
            readers.append(Transaction(attempt, writer=False))
            count(_seen_by(readers[-1], writers, known))
    for reader in readers:
        if reader.lists or reader.gets:
            counted.setdefault(reader.attempt.number, reader)
    history.transactions = list(counted.values())
    for position, transaction in enumerate(history.transactions):
        if transaction.writer:
            for write in transaction.attempt.writes():
                history.position[write] = position
    return history


def _writers(every: list[Attempt], history: History) -> dict[Write, Attempt]:
    writers: dict[Write, Attempt] = {}
    numbers: set[int] = set()
    lists: set[str] = set()
    for attempt in every:
        if attempt.number in numbers:
            raise ValueError(f"two transactions have the number {attempt.number}")
        numbers.add(attempt.number)
        last: dict[str, int] = {}
        for operation in attempt.operations:
            key = operation.key
            (lists if operation.kind in ("append", "read") else history.registers).add(key)
            if operation.kind not in ("append", "write"):
                continue
            write = (key, operation.value)
            if write in writers:
                raise ValueError(f"the workload wrote {operation.value} to {key} twice: its values must be unique")
            writers[write] = attempt
            if key in last:
                history.intermediate.add((key, last[key]))
            last[key] = operation.value
    if both := lists & history.registers:
        raise ValueError(f"the workload uses {sorted(both)[0]} as a list and as a register")
    return writers


def _seen_by(reader: Transaction, writers: dict[Write, Attempt], known: dict[str, tuple[int, ...]]) -> list[Attempt]:
    """The writers of what it saw, those left out that are known already."""
    found: list[Attempt] = []
    for key, values, _ in reader.lists:
        before = known.get(key, ())
        length = len(before)
        if len(values) <= length:
            if before[: len(values)] == values:
                continue
            length = 0
        elif values[:length] == before:
            known[key] = values
        else:
            length = 0
        found += [_writer_of(reader, key, value, writers) for value in values[length:]]
    for key, values, _ in reader.gets:
        found += [_writer_of(reader, key, value, writers) for value in values]
    return found


def _writer_of(reader: Transaction, key: str, value: int, writers: dict[Write, Attempt]) -> Attempt:
    number = reader.attempt.number
    writer = writers.get((key, value))
    if writer is None:
        raise Anomaly(Name.invented, f"T{number} read {value} in {key}, which nobody wrote", (number,))
    if writer.status == "fail":
        raise Anomaly(
            Name.aborted_read,
            f"T{number} read {value} in {key}, written by T{writer.number}, which was told that it had failed",
            (number, writer.number),
        )
    return writer


def _views(attempt: Attempt, lists: list[View], gets: list[View]) -> None:
    """Fills in what was seen of others. Raises Anomaly where a transaction contradicts itself."""
    own: dict[str, tuple[int, ...]] = {}
    seen: dict[str, tuple[int, ...]] = {}
    for operation in attempt.operations:
        kind, key = operation.kind, operation.key
        if kind == "append":
            own[key] = (*own.get(key, ()), operation.value)
        elif kind == "write":
            own[key] = (operation.value,)
        elif kind == "read":
            values = _without_own(attempt, operation, own.get(key, ()))
            _same(attempt, key, seen, values)
            lists.append(View(key, values, operation.shared))
        elif key in own:
            if operation.values != own[key]:
                raise _unseen(attempt, operation, own[key])
        else:
            _same(attempt, key, seen, operation.values)
            gets.append(View(key, operation.values, operation.shared))


def _without_own(attempt: Attempt, operation: Operation, own: tuple[int, ...]) -> tuple[int, ...]:
    if not own:
        return operation.values
    if operation.values[-len(own) :] != own:
        raise _unseen(attempt, operation, own)
    return operation.values[: -len(own)]


def _unseen(attempt: Attempt, operation: Operation, own: tuple[int, ...]) -> Anomaly:
    wrote = ", ".join(map(str, own))
    text = f"T{attempt.number} wrote {wrote} to {operation.key} and then read {list(operation.values)} there"
    return Anomaly(Name.own_write_unseen, text, (attempt.number,))


def _same(attempt: Attempt, key: str, seen: dict[str, tuple[int, ...]], values: tuple[int, ...]) -> None:
    before = seen.setdefault(key, values)
    if before != values:
        text = f"T{attempt.number} read {key} as {list(before)}, then as {list(values)}"
        raise Anomaly(Name.two_snapshots, text, (attempt.number,))
