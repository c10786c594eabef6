"""Does a history of list-appends show strong snapshot isolation?

Lists make the order of writes visible: a reader of [1, 2, 3] has seen who came first. From that follow, between
committed transactions, the relations

    ww   wrote the element before yours          wr   wrote the last element you read
    sh   shared the list before your element
    rt   was over before you began               rw   you read the list as it was before their element

Snapshot isolation holds exactly when the union D of ww, wr, sh and rt, followed by at most one rw, has no cycle (Cerone
and Gotsman; Elle checks the same). Dropping rt gives plain snapshot isolation. Before that come the simple lies: an
aborted or intermediate value read, an element twice, two readers who disagree on the order, a transaction that does not
see its own append, an acknowledged append that nobody finds in the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from tausql.simulation.history import Attempt

Edge = tuple[int, str]  # (to, why)
Graph = dict[int, dict[int, str]]


class Anomaly(Exception):
    """The history cannot have come from a snapshot-isolated database; the message is the shortest witness found."""


def check_history(attempts: Iterable[Attempt], strong: bool = True) -> None:
    """Raises `Anomaly`. `strong` also demands that a snapshot holds everything acknowledged before it began."""
    every = list(attempts)
    writers = _writers(every)
    committed = _committed(every, writers)
    order = _version_order(committed, writers)
    for attempt in committed.values():
        _check_internal(attempt)
    _check_nothing_lost(committed, order)
    dependencies = _dependencies(committed, writers, order)
    if strong:
        _add_real_time(dependencies, committed)
    antidependencies = _antidependencies(committed, writers, order, shared_only=False)
    for source, targets in _antidependencies(committed, writers, order, shared_only=True).items():
        for target in targets:
            _link(dependencies, source, target, "shared a list before it was appended to by")
    _check_acyclic(dependencies, antidependencies)


def _writers(every: list[Attempt]) -> dict[tuple[str, int], Attempt]:
    writers: dict[tuple[str, int], Attempt] = {}
    for attempt in every:
        for element in attempt.appends():
            if element in writers:
                raise Anomaly(f"the workload appended {element} twice: its values must be unique")
            writers[element] = attempt
    return writers


def _committed(every: list[Attempt], writers: dict[tuple[str, int], Attempt]) -> dict[int, Attempt]:
    """Acknowledged transactions, and those of unknown outcome of which somebody has seen something."""
    committed = {attempt.number: attempt for attempt in every if attempt.status == "ok"}
    known: dict[str, tuple[int, ...]] = {}  # the longest list seen of each key: its beginnings need no second look
    for attempt in list(committed.values()):
        for operation in attempt.operations:
            seen = known.get(operation.key, ())
            if seen[: len(operation.values)] == operation.values:
                continue
            known[operation.key] = operation.values
            for value in operation.values:
                writer = writers.get((operation.key, value))
                if writer is None:
                    raise Anomaly(f"T{attempt.number} read {value} in {operation.key}, which nobody appended")
                if writer.status == "fail":
                    raise Anomaly(
                        f"aborted read: T{attempt.number} read {value} in {operation.key}, appended by "
                        f"T{writer.number}, which was told it had failed"
                    )
                committed.setdefault(writer.number, writer)
    return committed


def _strip_own(attempt: Attempt, shared_only: bool = False) -> list[tuple[str, tuple[int, ...]]]:
    """What a transaction read of others: its reads without its own appends at their ends."""
    own: dict[str, list[int]] = {}
    reads: list[tuple[str, tuple[int, ...]]] = []
    for operation in attempt.operations:
        if operation.kind == "append":
            own.setdefault(operation.key, []).append(operation.value)
            continue
        mine = own.get(operation.key, [])
        values = operation.values
        if mine:
            if list(values[-len(mine) :]) != mine:
                raise Anomaly(f"T{attempt.number} does not see its own append: {operation.key} is {list(values)}")
            values = values[: -len(mine)]
        if operation.shared or not shared_only:
            reads.append((operation.key, values))
    return reads


def _check_internal(attempt: Attempt) -> None:
    if attempt.status != "ok":
        return
    seen: dict[str, tuple[int, ...]] = {}
    for key, values in _strip_own(attempt):
        if seen.setdefault(key, values) != values:
            raise Anomaly(f"T{attempt.number} read two snapshots: {key} was {list(seen[key])}, then {list(values)}")


def _version_order(
    committed: dict[int, Attempt], writers: dict[tuple[str, int], Attempt]
) -> dict[str, tuple[int, ...]]:
    """Per key the longest list read. All others must be its beginnings, and no transaction's appends may be torn."""
    longest: dict[str, tuple[tuple[int, ...], int]] = {}
    reads = [
        (attempt.number, key, values)
        for attempt in committed.values()
        if attempt.status == "ok"
        for key, values in _strip_own(attempt)
    ]
    for number, key, values in reads:
        if len(set(values)) != len(values):
            raise Anomaly(f"T{number} read an element twice: {key} is {list(values)}")
        if len(values) > len(longest.get(key, ((), 0))[0]):
            longest[key] = (values, number)
    for number, key, values in reads:
        whole, other = longest.get(key, ((), 0))
        if whole[: len(values)] != values:
            raise Anomaly(
                f"T{number} and T{other} disagree on the order of {key}: "
                f"{list(values)} is no beginning of {list(whole)}"
            )
        _check_whole(number, key, values, writers)
    return {key: values for key, (values, _) in longest.items()}


def _check_whole(number: int, key: str, values: tuple[int, ...], writers: dict[tuple[str, int], Attempt]) -> None:
    if not values:
        return
    last = writers[key, values[-1]]
    theirs = [value for where, value in last.appends() if where == key]
    if values[-1] != theirs[-1]:
        raise Anomaly(f"intermediate read: T{number} read {key} up to {values[-1]} in the midst of T{last.number}")


def _check_nothing_lost(committed: dict[int, Attempt], order: dict[str, tuple[int, ...]]) -> None:
    """An acknowledged append must be in every list read by a transaction that began after it was acknowledged."""
    final: dict[str, tuple[float, frozenset[int], int]] = {}
    for attempt in committed.values():
        if attempt.status == "ok":
            for key, values in _strip_own(attempt):
                if attempt.invoked >= final.get(key, (-1.0, frozenset(), 0))[0]:
                    final[key] = (attempt.invoked, frozenset(values), attempt.number)
    for attempt in committed.values():
        for key, value in attempt.appends() if attempt.status == "ok" else ():
            when, there, reader = final.get(key, (-1.0, frozenset(), 0))
            if attempt.completed < when and value not in there:
                raise Anomaly(
                    f"lost: T{attempt.number} was told that {value} is in {key}; T{reader} began later "
                    "and does not find it"
                )


def _positions(
    committed: dict[int, Attempt], writers: dict[tuple[str, int], Attempt], order: dict[str, tuple[int, ...]]
) -> dict[str, list[int]]:
    """Per key the numbers of the writers in version order, one entry an element."""
    return {key: [writers[key, value].number for value in values] for key, values in order.items()}


def _unread(committed: dict[int, Attempt], order: dict[str, tuple[int, ...]]) -> dict[str, list[int]]:
    """Per key those whose appends nobody has read."""
    read = {(key, value) for key, values in order.items() for value in values}
    unread: dict[str, list[int]] = {}
    for attempt in committed.values():
        for key, value in attempt.appends():
            if (key, value) not in read:
                unread.setdefault(key, []).append(attempt.number)
    return unread


def _link(graph: Graph, source: int, target: int, why: str) -> None:
    if source != target:
        graph.setdefault(source, {}).setdefault(target, why)


def _dependencies(
    committed: dict[int, Attempt], writers: dict[tuple[str, int], Attempt], order: dict[str, tuple[int, ...]]
) -> Graph:
    graph: Graph = {}
    unread = _unread(committed, order)
    for key, numbers in _positions(committed, writers, order).items():
        for before, after in pairwise(numbers):
            _link(graph, before, after, f"appended to {key} just before it")
        if numbers:  # acknowledged, never read: after everything that was
            for number in unread.get(key, ()):
                _link(graph, numbers[-1], number, f"appended to {key} before it")
    for attempt in committed.values():
        if attempt.status == "ok":
            for key, values in _strip_own(attempt):
                if values:
                    _link(graph, writers[key, values[-1]].number, attempt.number, f"wrote what it read of {key}")
    return graph


def _antidependencies(
    committed: dict[int, Attempt],
    writers: dict[tuple[str, int], Attempt],
    order: dict[str, tuple[int, ...]],
    shared_only: bool,
) -> Graph:
    """Who did not see whose append; `shared_only`: though it shared the list."""
    graph: Graph = {}
    unread = _unread(committed, order)
    for attempt in committed.values():
        if attempt.status != "ok":
            continue
        for key, values in _strip_own(attempt, shared_only):
            whole = order.get(key, ())
            if len(values) < len(whole):
                following = [writers[key, whole[len(values)]].number]
            else:
                following = unread.get(key, [])
            for number in following:
                _link(graph, attempt.number, number, f"did not see what it appended to {key}")
    return graph


def _add_real_time(graph: Graph, committed: dict[int, Attempt]) -> None:
    """An edge from each transaction to those that began after its end, left out where it follows from others."""
    events: list[tuple[float, int, int]] = []
    for attempt in committed.values():
        events.append((attempt.invoked, 0, attempt.number))
        if attempt.status == "ok":  # of the others nobody knows when they took effect
            events.append((attempt.completed, 1, attempt.number))
    frontier: set[int] = set()
    before: dict[int, frozenset[int]] = {}
    for _, kind, number in sorted(events):
        if kind == 0:
            before[number] = frozenset(frontier)
            for earlier in frontier:
                _link(graph, earlier, number, "was acknowledged before it began")
        else:
            frontier -= before[number]
            frontier.add(number)


def _check_acyclic(dependencies: Graph, antidependencies: Graph) -> None:
    graph: Graph = {source: dict(targets) for source, targets in dependencies.items()}
    for source, targets in dependencies.items():
        for middle, why in targets.items():
            for target, why_not in antidependencies.get(middle, {}).items():
                # A step through `middle`; back at `source` it is a cycle of its own.
                step = f"{why} (T{middle}), which {why_not}"
                if target == source:
                    raise Anomaly(f"T{source} {why} (T{middle}), and T{middle} {why_not} (T{source})")
                graph.setdefault(source, {}).setdefault(target, step)
    tangled = _without_leaves(graph)
    if tangled:
        raise Anomaly(_shortest_cycle(graph, tangled))


def _without_leaves(graph: Graph) -> set[int]:
    """The nodes left when all that lie on no cycle's way are taken off from the front."""
    degree: dict[int, int] = dict.fromkeys(graph, 0)
    for targets in graph.values():
        for target in targets:
            degree[target] = degree.get(target, 0) + 1
    free = [node for node, count in degree.items() if count == 0]
    while free:
        node = free.pop()
        del degree[node]
        for target in graph.get(node, ()):
            degree[target] -= 1
            if degree[target] == 0:
                free.append(target)
    return set(degree)


def _shortest_cycle(graph: Graph, nodes: set[int]) -> str:
    best: list[int] = []
    for start in sorted(nodes)[:500]:
        parents: dict[int, int] = {}
        queue = deque([start])
        found = False
        while queue and not found:
            node = queue.popleft()
            for target in graph.get(node, ()):
                if target == start:
                    cycle = [node]
                    while cycle[-1] != start:
                        cycle.append(parents[cycle[-1]])
                    if not best or len(cycle) < len(best):
                        best = cycle[::-1]
                    found = True
                    break
                if target in nodes and target not in parents:
                    parents[target] = node
                    queue.append(target)
    if not best:
        return f"a cycle among {sorted(nodes)[:20]}"
    steps = zip(best, [*best[1:], best[0]], strict=True)
    return "; ".join(f"T{source} {graph[source][target]} (T{target})" for source, target in steps)
