"""What can be run against a fleet, each with its table, its clients, and its last word in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from tausql.chaos.bank import BankLoad, create_bank, fill_bank, read_bank_back
from tausql.chaos.clients import Load
from tausql.chaos.indexed import IndexLoad, compared, create_index, create_indexed, index_built
from tausql.chaos.lists import Ledger, ListLoad, create_lists, read_lists_back
from tausql.chaos.outcomes import Outcomes
from tausql.chaos.registers import RegisterLoad, create_registers, read_registers_back
from tausql.chaos.sessions import ClientError, Session

NAMES = ("lists", "registers", "bank", "index")


class Counts(NamedTuple):
    """Of transactions."""

    acknowledged: int
    refused: int
    unknown: int


class Workload(Protocol):
    """`table`: made by `prepare`, whose steps are each done until they succeed, in autocommit."""

    name: str
    table: str

    def prepare(self) -> list[Callable[[Session], None]]: ...

    def client(self, number: int, seed: int) -> Load: ...

    def read_back(self, session: Session, endpoint: int) -> list[str]:
        """In the end, at each endpoint, not in autocommit: what is wrong, in words. Raises ClientError."""
        ...

    def seen(self) -> list[str]:
        """What clients saw meanwhile that cannot be, in words; histories are checked elsewhere."""
        ...

    def counts(self) -> Counts: ...


def choose_workloads(text: str, table: str, keys: int, clock: Callable[[], float]) -> list[Workload]:
    """`lists,bank`: in this order, on tables that begin with `table`. Lists and registers share one history. Raises
    ValueError."""
    lists = Ledger(f"{table}_lists", keys, clock)
    chosen: list[Workload] = []
    for name in dict.fromkeys(part.strip() for part in text.split(",") if part.strip()):
        match name:
            case "lists":
                chosen.append(Lists(lists))
            case "registers":
                chosen.append(Registers(Ledger(f"{table}_registers", keys, clock, "r", beside=lists)))
            case "bank":
                chosen.append(Bank(f"{table}_bank"))
            case "index":
                chosen.append(Indexed(f"{table}_index"))
            case _:
                raise ValueError(f"there is no workload {name!r}, but {', '.join(NAMES)}")
    if not chosen:
        raise ValueError(f"choose a workload: {', '.join(NAMES)}")
    return chosen


def _counts(ledger: Ledger) -> Counts:
    statuses = Counter(attempt.status for attempt in ledger.mine)
    return Counts(statuses["ok"], statuses["fail"], statuses["info"])


class Lists:
    name = "lists"

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.table = ledger.table

    def prepare(self) -> list[Callable[[Session], None]]:
        return [lambda session: create_lists(session, self.table)]

    def client(self, number: int, seed: int) -> Load:
        return ListLoad(self.ledger, f"c{number}", seed)

    def read_back(self, session: Session, endpoint: int) -> list[str]:
        read_lists_back(session, self.ledger, f"final-{endpoint}")
        return []

    def seen(self) -> list[str]:
        return []

    def counts(self) -> Counts:
        return _counts(self.ledger)


class Registers:
    name = "registers"

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.table = ledger.table

    def prepare(self) -> list[Callable[[Session], None]]:
        return [lambda session: create_registers(session, self.table)]

    def client(self, number: int, seed: int) -> Load:
        return RegisterLoad(self.ledger, f"c{number}", seed)

    def read_back(self, session: Session, endpoint: int) -> list[str]:
        read_registers_back(session, self.ledger, f"final-{endpoint}")
        return []

    def seen(self) -> list[str]:
        return []

    def counts(self) -> Counts:
        return _counts(self.ledger)


class _Counted:
    """Of workloads that need no history."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._outcomes: list[Outcomes] = []

    def seen(self) -> list[str]:
        return [text for outcomes in self._outcomes for text in outcomes.violations]

    def counts(self) -> Counts:
        return Counts(
            sum(one.acknowledged for one in self._outcomes),
            sum(one.refused for one in self._outcomes),
            sum(one.unknown for one in self._outcomes),
        )


class Bank(_Counted):
    name = "bank"

    def prepare(self) -> list[Callable[[Session], None]]:
        return [lambda session: create_bank(session, self.table), lambda session: fill_bank(session, self.table)]

    def client(self, number: int, seed: int) -> Load:
        load = BankLoad(self.table, seed)
        self._outcomes.append(load.outcomes)
        return load

    def read_back(self, session: Session, endpoint: int) -> list[str]:
        return read_bank_back(session, self.table)


class Indexed(_Counted):
    name = "index"

    def prepare(self) -> list[Callable[[Session], None]]:
        return [
            lambda session: create_indexed(session, self.table),
            lambda session: create_index(session, self.table),
            self._await_index,
        ]

    def _await_index(self, session: Session) -> None:
        if not index_built(session, self.table):
            raise ClientError("55000", "the index is not built yet", usable=True)

    def client(self, number: int, seed: int) -> Load:
        load = IndexLoad(self.table, seed)
        self._outcomes.append(load.outcomes)
        return load

    def read_back(self, session: Session, endpoint: int) -> list[str]:
        return compared(session, self.table, -1)
