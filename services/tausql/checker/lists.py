"""Lists make the order of writes visible: a reader of [1, 2, 3] has seen who came first."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.graph import Graph, Why, arrived, left
from tausql.checker.transactions import History


class Orders:
    """`of`: per list the longest that was read, of which all others must be beginnings; `unread`: positions of those
    whose appends to a list nobody has read, which come after all that was."""

    def __init__(self, history: History) -> None:
        self.of: dict[str, tuple[int, ...]] = {}
        self.reader: dict[str, int] = {}  # who read it
        self.unread: dict[str, list[int]] = {}
        self._find_longest(history)
        self._compare(history)
        self._find_unread(history)

    def _find_longest(self, history: History) -> None:
        of = self.of
        for position, transaction in enumerate(history.transactions):
            for key, values, _ in transaction.lists:
                if len(values) > len(of.get(key, ())):
                    of[key] = values
                    self.reader[key] = position
        for key, values in of.items():
            _check_unique(history, self.reader[key], key, values)

    def _compare(self, history: History) -> None:
        for position, transaction in enumerate(history.transactions):
            number = transaction.attempt.number
            for key, values, _ in transaction.lists:
                if not values:
                    continue
                if self.of[key][: len(values)] != values:
                    _check_unique(history, position, key, values)
                    other = history.attempt(self.reader[key]).number
                    text = f"T{number} read {key} as {list(values)}, T{other} as {list(self.of[key])}"
                    raise Anomaly(Name.disputed_order, text, (number, other))
                if (key, values[-1]) in history.intermediate:
                    writer = history.attempt(history.position[key, values[-1]]).number
                    if writer != number:
                        text = f"T{number} read {key} up to {values[-1]}, in the midst of the appends of T{writer}"
                        raise Anomaly(Name.intermediate_read, text, (number, writer))

    def _find_unread(self, history: History) -> None:
        read = {(key, value) for key, values in self.of.items() for value in values}
        for write, position in history.position.items():
            if write not in read and write[0] not in history.registers:
                self.unread.setdefault(write[0], []).append(position)

    def next_writer(self, history: History, key: str, seen: int) -> int | None:
        """Who appended first to the list of which `seen` elements were read; None: nobody, or those unread."""
        whole = self.of.get(key, ())
        return history.position[key, whole[seen]] if seen < len(whole) else None


def _check_unique(history: History, position: int, key: str, values: tuple[int, ...]) -> None:
    if len(set(values)) == len(values):
        return
    number = history.attempt(position).number
    twice = next(value for at, value in enumerate(values) if value in values[:at])
    writer = history.attempt(history.position[key, twice]).number
    text = f"T{number} read {key} as {list(values)}: {twice}, appended once by T{writer}, is there twice"
    raise Anomaly(Name.duplicate, text, (number, writer))


class LastRead(NamedTuple):
    invoked: float
    position: int
    values: frozenset[int]


def check_nothing_lost(history: History, orders: Orders) -> None:
    """Who read a list last speaks for the end: what was acknowledged before, and nobody ever saw, is lost."""
    last: dict[str, LastRead] = {}
    for position, transaction in enumerate(history.transactions):
        invoked = transaction.attempt.invoked
        for key, values, _ in transaction.lists if transaction.writer else ():
            if key in orders.unread and (key not in last or invoked >= last[key].invoked):
                last[key] = LastRead(invoked, position, frozenset(values))
    for key, positions in orders.unread.items():
        found = last.get(key)
        for position in positions:
            writer = history.attempt(position)
            if found is None or writer.status != "ok" or writer.completed >= found.invoked:
                continue
            lost = [value for where, value in writer.appends() if where == key and value not in found.values]
            if lost:
                reader = history.attempt(found.position)
                text = (
                    f"T{writer.number} of {writer.client} appended {lost[0]} to {key} and was told so at "
                    f"{writer.completed:.6f} s; nobody ever saw it, and T{reader.number}, which began at "
                    f"{reader.invoked:.6f} s, read {key} without it"
                )
                raise Anomaly(Name.lost_write, text, (writer.number, reader.number))


def relate_lists(history: History, orders: Orders, graph: Graph) -> None:
    """Edges from what was read and in which order."""
    position = history.position
    overlooked: dict[str, int] = {}
    for key, values in orders.of.items():
        for before, after in pairwise(values):
            graph.relate(left(position[key, before]), arrived(position[key, after]), Why.ww, key)
    for key, unread in orders.unread.items():
        values = orders.of.get(key, ())
        overlooked[key] = node = graph.between()
        for number in unread:
            graph.link(node, left(number))
            if values:
                graph.relate(left(position[key, values[-1]]), arrived(number), Why.ww, key)
    for reader, transaction in enumerate(history.transactions):
        for key, values, shared in transaction.lists:
            if values:
                graph.relate(left(position[key, values[-1]]), arrived(reader), Why.wr, key)
            following = orders.next_writer(history, key, len(values))
            locked = shared and transaction.locks
            if following is not None:
                graph.relate(arrived(reader), left(following), Why.rw, key)
                if locked:
                    graph.relate(left(reader), arrived(following), Why.lock, key)
            elif key in overlooked:
                graph.relate(arrived(reader), overlooked[key], Why.rw, key)
                for number in orders.unread[key] if locked else ():
                    graph.relate(left(reader), arrived(number), Why.lock, key)
