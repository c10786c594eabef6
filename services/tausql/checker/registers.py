"""Registers hold one value, so most of the order of writes is hidden; but not all of it.

A transaction that read a value and then wrote has overwritten just that value: under snapshot isolation nobody wrote
in between, or an update is lost. Nothing comes before "never written". And where real time counts, a write that began
after another was acknowledged comes after it. Writes of which none of this tells anything stay without order: what they
could have proven is not proven.
"""

from __future__ import annotations

from bisect import bisect_right

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.graph import Graph, Why, arrived, left
from tausql.checker.transactions import History

NEVER = None  # what a register holds that nobody has written
Version = tuple[str, int | None]


class Successors:
    """`of`: who overwrote which version, having read it; `writes`: positions of all writers of a register, by when they
    began."""

    def __init__(self, history: History) -> None:
        self.of: dict[Version, int] = {}
        self.writes: dict[str, list[int]] = {}
        for position, transaction in enumerate(history.transactions):
            if transaction.gets or transaction.writer:
                self._add(history, position)
        for positions in self.writes.values():
            positions.sort(key=lambda position: history.attempt(position).invoked)

    def _add(self, history: History, position: int) -> None:
        transaction = history.transactions[position]
        attempt = transaction.attempt
        written = {key for key, _ in attempt.writes() if key in history.registers} if transaction.writer else set()
        for key in written:
            self.writes.setdefault(key, []).append(position)
        for key, values, _ in transaction.gets:
            if values and (key, values[0]) in history.intermediate:
                writer = history.attempt(history.position[key, values[0]]).number
                if writer != attempt.number:
                    text = f"T{attempt.number} read {key} as {values[0]}, which T{writer} itself overwrote"
                    raise Anomaly(Name.intermediate_read, text, (attempt.number, writer))
            if key not in written:
                continue
            version = (key, values[0] if values else NEVER)
            other = self.of.setdefault(version, position)
            if other != position:
                first = history.attempt(other).number
                text = f"T{first} and T{attempt.number} both read {key} as {list(values)} and then wrote it"
                raise Anomaly(Name.lost_update, text, (first, attempt.number))


def relate_registers(history: History, successors: Successors, graph: Graph, strong: bool) -> None:
    """Edges from what was read and overwritten. `strong`: real time orders writes, too."""
    later: dict[str, list[int]] = {}  # of each register nodes that lead to the writers from there on
    begun: dict[str, list[float]] = {}
    for key, positions in successors.writes.items():
        nodes = [graph.between() for _ in positions]
        for at, position in enumerate(positions):
            graph.link(nodes[at], left(position))
            if at + 1 < len(nodes):
                graph.link(nodes[at], nodes[at + 1])
        later[key] = nodes
        begun[key] = [history.attempt(position).invoked for position in positions]
    for reader, transaction in enumerate(history.transactions):
        for key, values, shared in transaction.gets:
            version = (key, values[0] if values else NEVER)
            following = successors.of.get(version)
            if following is not None:
                graph.relate(arrived(reader), left(following), Why.rw, key)
                if shared and transaction.locks:
                    graph.relate(left(reader), arrived(following), Why.lock, key)
            if not values:
                if key in later:
                    graph.relate(arrived(reader), later[key][0], Why.rw, key)
                continue
            writer = history.position[key, values[0]]
            graph.relate(left(writer), arrived(reader), Why.wr, key)
            if following == reader:
                graph.relate(left(writer), arrived(reader), Why.ww, key)
            attempt = history.attempt(writer)
            if strong and attempt.status == "ok":
                first = bisect_right(begun[key], attempt.completed)
                if first < len(later[key]):
                    graph.relate(arrived(reader), later[key][first], Why.rw, key)
