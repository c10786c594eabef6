"""Histories in shorthand, and the same by the definition: does any order of snapshots and commits explain one?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tausql.checker.history import Attempt, Operation, Status

Row = tuple[float, float, Status, list[Operation]]


def read(key: str, *values: int, shared: bool = False) -> Operation:
    return Operation("read", key, values=values, shared=shared)


def append(key: str, value: int) -> Operation:
    return Operation("append", key, value)


def get(key: str, *values: int, shared: bool = False) -> Operation:
    return Operation("get", key, values=values, shared=shared)


def write(key: str, value: int) -> Operation:
    return Operation("write", key, value)


def history(*rows: Row) -> list[Attempt]:
    """One client each."""
    return [
        Attempt(number, f"c{number}", invoked, completed, status, operations)
        for number, (invoked, completed, status, operations) in enumerate(rows)
    ]


def explained(attempts: list[Attempt], strong: bool) -> bool:
    """By trying every order of beginnings and commits. For a handful of transactions."""
    settled = [one for one in attempts if one.status == "ok"]
    unknown = [one for one in attempts if one.status == "info"]
    return any(
        _search([*settled, *(one for one, there in zip(unknown, chosen, strict=True) if there)], strong)
        for chosen in product((True, False), repeat=len(unknown))
    )


def _search(transactions: list[Attempt], strong: bool) -> bool:
    before = {
        later.number: {
            earlier.number
            for earlier in transactions
            if strong and earlier.status == "ok" and earlier.completed < later.invoked
        }
        for later in transactions
    }

    def go(running: dict[int, Attempt], state: dict[str, tuple[int, ...]], committed: frozenset[int]) -> bool:
        if len(committed) == len(transactions):
            return True
        for one in transactions:
            if one.number in committed or one.number in running:
                continue
            if (
                before[one.number] <= committed
                and _sees(one, state)
                and go({**running, one.number: one}, state, committed)
            ):
                return True
        for number, one in running.items():
            others = {other: them for other, them in running.items() if other != number}
            if any(_conflict(one, other) for other in others.values()):
                continue
            if go(others, {**state, **dict(_after(one, state))}, committed | {number}):
                return True
        return False

    return go({}, {}, frozenset())


def _sees(one: Attempt, state: dict[str, tuple[int, ...]]) -> bool:
    own = dict(state)
    for operation in one.operations:
        if operation.kind in ("read", "get"):
            if own.get(operation.key, ()) != operation.values:
                return False
        else:
            own.update(_applied(operation, own))
    return True


def _applied(operation: Operation, state: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    before = state.get(operation.key, ()) if operation.kind == "append" else ()
    return {operation.key: (*before, operation.value)}


def _after(one: Attempt, state: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    own = dict(state)
    for operation in one.operations:
        if operation.kind in ("append", "write"):
            own.update(_applied(operation, own))
            yield operation.key, own[operation.key]


def _conflict(one: Attempt, other: Attempt) -> bool:
    """Both ran at once and both committed: only if neither touched what the other wrote or locked."""

    def touched(attempt: Attempt, locked: bool) -> set[str]:
        wrote = {key for key, _ in attempt.writes()}
        return wrote | {one.key for one in attempt.operations if locked and wrote and one.shared}

    return bool(touched(one, True) & touched(other, False) or touched(one, False) & touched(other, True))
