"""Checks of workloads whose invariant says it all: no graph is needed, and the witness is a row or two.

Each raises Anomaly (except `write_skews`, which counts what is allowed) and takes plain values, so that they serve any
database that can be asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.history import Attempt

SHOWN = 10


def check_bank(snapshots: Iterable[tuple[int, Mapping[str, int]]], total: int, floor: int | None = 0) -> None:
    """Money moves between accounts and is neither made nor lost: every transaction that read them all saw `total`, and
    no account below `floor` (None: may be). `snapshots`: (number of the transaction, balance of every account)."""
    for number, balances in snapshots:
        found = sum(balances.values())
        if found != total:
            shown = ", ".join(f"{account} {balance}" for account, balance in list(balances.items())[:SHOWN])
            text = f"T{number} saw {found} in all accounts together, where {total} are: {shown}"
            raise Anomaly(Name.wrong_total, text, (number,))
        for account, balance in balances.items() if floor is not None else ():
            if floor is not None and balance < floor:
                text = f"T{number} saw {balance} in {account}: two must have drawn from it without seeing each other"
                raise Anomaly(Name.lost_update, text, (number,))


def check_inserts(
    found: Sequence[int], acknowledged: Collection[int], refused: Collection[int], unknown: Collection[int]
) -> None:
    """Unique inserts: `found` is the whole table in the end, the others what clients were told of what they sent."""
    there = set(found)
    if lost := set(acknowledged) - there:
        raise Anomaly(Name.lost_write, f"{len(lost)} acknowledged inserts are not there: {some(lost)}")
    if undead := there & set(refused):
        raise Anomaly(Name.undead_write, f"{len(undead)} inserts are there that were refused: {some(undead)}")
    if strange := there - set(acknowledged) - set(unknown):
        raise Anomaly(Name.invented, f"{len(strange)} rows are there that nobody inserted: {some(strange)}")
    if len(there) < len(found):
        twice = {value for at, value in enumerate(sorted(found)[1:]) if sorted(found)[at] == value}
        raise Anomaly(Name.duplicate, f"{len(twice)} unique rows are there twice: {some(twice)}")


def check_long_fork(reads: Iterable[tuple[int, Collection[str], Collection[str]]]) -> None:
    """Every key of a group is written once, alone. Of two readers of a group one has seen all that the other has; else
    each saw a write that the other lacks, and the writes have no order. `reads`: (number of the transaction, the keys
    it asked for, those it found), for one group of keys."""
    seen: dict[frozenset[str], list[tuple[int, frozenset[str]]]] = {}
    for number, asked, found in reads:
        seen.setdefault(frozenset(asked), []).append((number, frozenset(found)))
    for one_group in seen.values():
        one_group.sort(key=lambda read: len(read[1]))
        for (first, fewer), (second, more) in pairwise(one_group):
            if not fewer <= more:
                text = (
                    f"T{first} saw {some(fewer - more)} and not {some(more - fewer)}, "
                    f"T{second} saw {some(more - fewer)} and not {some(fewer - more)}"
                )
                raise Anomaly(Name.long_fork, text, (first, second))


def write_skews(attempts: Iterable[Attempt]) -> list[tuple[int, int]]:
    """Pairs of committed transactions neither of which saw what the other wrote where it had read. Snapshot isolation
    allows them, and a workload that never shows one has not been concurrent. Of keys that are used by two transactions
    only, as registers or lists."""
    users: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.status == "ok":
            for key in {operation.key for operation in attempt.operations}:
                users.setdefault(key, []).append(attempt)
    pairs = {
        (one.number, other.number) if one.number < other.number else (other.number, one.number): (one, other)
        for one, other in (pair for pair in users.values() if len(pair) == 2)
    }
    return sorted(
        numbers for numbers, (one, other) in pairs.items() if _overlooks(one, other) and _overlooks(other, one)
    )


def _overlooks(reader: Attempt, writer: Attempt) -> bool:
    wrote = dict(writer.writes())
    return any(
        operation.kind in ("read", "get") and operation.key in wrote and wrote[operation.key] not in operation.values
        for operation in reader.operations
    )


def check_no_write_skew(attempts: Iterable[Attempt]) -> None:
    """Where each transaction locked what it read (SELECT FOR UPDATE) there must be none."""
    if pairs := write_skews(attempts):
        first, second = pairs[0]
        text = f"T{first} and T{second} each read what the other wrote, before it did, though both had locked it"
        raise Anomaly(Name.write_skew, text, (first, second))


def check_index(number: int, table: Iterable[tuple[Any, ...]], index: Iterable[tuple[Any, ...]]) -> None:
    """A secondary index has the rows of its table, in every snapshot: what transaction `number` read of both, in any
    order."""
    of_table, of_index = list(table), list(index)
    missing = set(of_table) - set(of_index)
    strange = set(of_index) - set(of_table)
    if missing or strange:
        text = f"T{number} found {len(missing)} rows in the table only ({some(missing)}), " + (
            f"and {len(strange)} in the index only ({some(strange)})"
        )
        raise Anomaly(Name.torn_index, text, (number,))
    if len(of_table) != len(of_index):
        text = f"T{number} found {len(of_table)} rows in the table and {len(of_index)} in the index"
        raise Anomaly(Name.duplicate, text, (number,))


def some(values: Iterable[Any]) -> str:
    """A few of them, in order."""
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:SHOWN])) + (" ..." if len(ordered) > SHOWN else "") or "none"
