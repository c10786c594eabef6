"""Cycles in which never two anti-dependencies follow each other, and the shortest of them.

Snapshot isolation holds exactly when the relation "depends on, and then perhaps does not see" (D;RW?) has no cycle.
Composing it would square the number of edges. Instead each transaction is two nodes: `arrived` by a dependency, from
where it may overlook another's write, and `left`, from where dependencies go out. A dependency leads from the one's
`left` to the other's `arrived`, an anti-dependency from `arrived` to `left`, and `arrived` leads to `left`. Any cycle
of that graph is a cycle of the relation, and the graph stays as large as the history.

Relations between many and many (all that ended before, all that overlooked) go over nodes between, which cost nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

ARCS_MAX = 4_000_000  # looked at for a short cycle, before any will do
DEPTH_MAX = 32


class Why(Enum):
    """Why one transaction comes before another."""

    ww = "wrote before"
    wr = "was read by"
    rw = "did not see"
    lock = "had locked before"
    session = "came before in its session"
    real_time = "was over before"


class Label(NamedTuple):
    why: Why
    key: str


class Step(NamedTuple):
    """The transaction at position `source` comes before the one at `target`."""

    source: int
    target: int
    why: Why
    key: str


class Graph:
    """Of `size` transactions, by position. `labelled`: keep why, for `shortest_cycle`; needs far more memory."""

    def __init__(self, size: int, labelled: bool = False) -> None:
        self._size = size
        self._out: list[list[int]] = [[] for _ in range(2 * size)]
        self._labels: dict[tuple[int, int], Label] | None = {} if labelled else None
        for transaction in range(size):
            self._out[arrived(transaction)].append(left(transaction))

    def between(self) -> int:
        """A node that is no transaction."""
        self._out.append([])
        return len(self._out) - 1

    def link(self, source: int, target: int) -> None:
        """From a node between, to such a one or to a transaction's."""
        self._out[source].append(target)

    def relate(self, source: int, target: int, why: Why, key: str = "") -> None:
        """From a transaction's node (`left` for dependencies, `arrived` for anti-dependencies)."""
        if source < 2 * self._size and target < 2 * self._size and source >> 1 == target >> 1:
            return
        self._out[source].append(target)
        if self._labels is not None:
            self._labels.setdefault((source, target), Label(why, key))

    def tangled(self) -> set[int]:
        """The nodes that are left when all are taken off which no cycle leads to; empty: there is no cycle."""
        out = self._out
        degree = [0] * len(out)
        for targets in out:
            for target in targets:
                degree[target] += 1
        free = [node for node, count in enumerate(degree) if not count]
        done = 0
        while free:
            done += 1
            for target in out[free.pop()]:
                degree[target] -= 1
                if not degree[target]:
                    free.append(target)
        return {node for node, count in enumerate(degree) if count} if done < len(out) else set()

    def shortest_cycle(self) -> list[Step]:
        """The shortest found with bounded effort, as steps that close; empty where there is none."""
        components = sorted(self._components(self.tangled()), key=len)
        if not components:
            return []
        # From everywhere, and only so far, before going farther from anywhere: a start that lies on no short cycle
        # would spend all effort on a long one.
        spent = 0
        for most in (*range(2, DEPTH_MAX), 2 * len(components[-1])):
            for component in components:
                for start in component:
                    if start >= 2 * self._size or start != left(start >> 1):
                        continue  # every cycle comes through a `left`
                    found, arcs = self._cycle_through(start, component, most + 1)
                    spent += arcs
                    if found:
                        return self._steps(found)
                    if spent > ARCS_MAX and most < DEPTH_MAX:
                        break
        raise AssertionError("a component without a cycle")

    def _costs(self, source: int, target: int) -> int:
        """1 for a step of the relation; nodes between, and going from `arrived` to `left`, are free."""
        return 0 if source >= 2 * self._size or (target < 2 * self._size and source >> 1 == target >> 1) else 1

    def _cycle_through(self, start: int, component: set[int], most: int) -> tuple[list[int], int]:
        """A cycle of fewer than `most` steps, and how many arcs were looked at."""
        back = -1  # stands for `start` once we are there again
        distance = {start: 0}
        parents: dict[int, int] = {}
        queue = deque([start])
        done: set[int] = set()
        arcs = 0
        while queue:
            node = queue.popleft()
            if node == back:
                cycle = [parents[back]]
                while cycle[-1] != start:
                    cycle.append(parents[cycle[-1]])
                return cycle[::-1], arcs
            if node in done:
                continue
            done.add(node)
            for target in self._out[node]:
                if target not in component:
                    continue
                arcs += 1
                cost = self._costs(node, target)
                there = distance[node] + cost
                seen = back if target == start else target
                if there < distance.get(seen, most):
                    distance[seen] = there
                    parents[seen] = node
                    if cost:
                        queue.append(seen)
                    else:
                        queue.appendleft(seen)
        return [], arcs

    def _steps(self, cycle: list[int]) -> list[Step]:
        """`cycle` begins at a transaction's `left`."""
        labels = self._labels
        assert labels is not None
        steps: list[Step] = []
        source, label = -1, Label(Why.ww, "")
        for node, target in _pairs(cycle):
            if node < 2 * self._size and (node, target) in labels:
                source, label = node >> 1, labels[node, target]
            if target < 2 * self._size and source >= 0:
                steps.append(Step(source, target >> 1, label.why, label.key))
                source = -1
        return steps

    def _components(self, nodes: set[int]) -> Iterator[set[int]]:
        """Strongly connected ones of more than one node (Tarjan), without recursion."""
        order: dict[int, int] = {}
        low: dict[int, int] = {}
        stack: list[int] = []
        stacked: set[int] = set()
        for root in nodes:
            if root in order:
                continue
            work: list[tuple[int, Iterator[int]]] = [(root, iter(self._out[root]))]
            order[root] = low[root] = len(order)
            stack.append(root)
            stacked.add(root)
            while work:
                node, targets = work[-1]
                for target in targets:
                    if target not in nodes:
                        continue
                    if target not in order:
                        order[target] = low[target] = len(order)
                        stack.append(target)
                        stacked.add(target)
                        work.append((target, iter(self._out[target])))
                        break
                    if target in stacked:
                        low[node] = min(low[node], order[target])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[node])
                    if low[node] == order[node]:
                        component: set[int] = set()
                        while node not in component:
                            component.add(stack.pop())
                        stacked -= component
                        if len(component) > 1:
                            yield component


def left(transaction: int) -> int:
    return 2 * transaction


def arrived(transaction: int) -> int:
    return 2 * transaction + 1


def _pairs(cycle: list[int]) -> Iterator[tuple[int, int]]:
    return zip(cycle, [*cycle[1:], *cycle[:1]], strict=True)
