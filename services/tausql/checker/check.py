"""The check itself: simple lies first, then the cycles.

Between transactions that count there are the relations

    ww     wrote the version before yours           wr     wrote what you read
    lock   locked what you then wrote               rt     was over before you began
    rw     read a version older than what you wrote

Snapshot isolation holds exactly when the union D of ww, wr and lock, followed by at most one rw, has no cycle (Cerone
and Gotsman); with rt in D it is strong: a snapshot holds all that was acknowledged before it began. Write skew is a
cycle with two rw in a row, and allowed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from tausql.checker.graph import Graph, Step, Why, arrived, left
from tausql.checker.history import Attempt
from tausql.checker.lists import Orders, check_nothing_lost, relate_lists
from tausql.checker.registers import Successors, relate_registers
from tausql.checker.transactions import History, collect
from tausql.checker.words import as_anomaly


def check_history(
    attempts: Iterable[Attempt],
    strong: bool = True,
    *,
    sessions: bool = False,
    uncommitted_reads: bool = False,
) -> None:
    """Raises Anomaly; ValueError for a malformed history (a value written twice). Time and memory are near linear:
    100,000 transactions take some seconds.

    strong: real time counts. False for clocks beyond their bound: plain snapshot isolation, still without loss, for
    which whoever reads a list last must read it in peace. sessions: without `strong`, the order of each client's
    transactions counts. uncommitted_reads: what transactions read that did not commit comes from snapshots, too."""
    history = collect(attempts, uncommitted_reads)
    orders = Orders(history)
    check_nothing_lost(history, orders)
    successors = Successors(history)

    def graph_of(real_time: bool, labelled: bool) -> Graph:
        graph = Graph(len(history.transactions), labelled)
        relate_lists(history, orders, graph)
        relate_registers(history, successors, graph, real_time)
        if real_time:
            _relate_real_time(history, graph)
        elif sessions:
            _relate_sessions(history, graph)
        return graph

    if not graph_of(strong, labelled=False).tangled():
        return
    found = graph_of(False, labelled=True).shortest_cycle()
    if strong:
        timed = graph_of(True, labelled=True).shortest_cycle()
        found = _shorter(found, timed)  # one without real time weighs more
    raise as_anomaly(history, found)


def _shorter(first: list[Step], second: list[Step]) -> list[Step]:
    return first if first and len(first) <= len(second) else second


def _relate_real_time(history: History, graph: Graph) -> None:
    """A chain of all ends in time; each end leads into it, and out of it to whoever began after that."""
    ends = sorted(
        (transaction.attempt.completed, position)
        for position, transaction in enumerate(history.transactions)
        if transaction.attempt.status != "info"  # nobody knows when those took effect
    )
    chain = [graph.between() for _ in ends]
    for at, (_, position) in enumerate(ends):
        graph.relate(left(position), chain[at], Why.real_time)
        if at:
            graph.link(chain[at - 1], chain[at])
    times = [completed for completed, _ in ends]
    for position, transaction in enumerate(history.transactions):
        before = bisect_left(times, transaction.attempt.invoked)
        if before:
            graph.link(chain[before - 1], arrived(position))


def _relate_sessions(history: History, graph: Graph) -> None:
    latest: dict[str, int] = {}

    def begun(position: int) -> tuple[float, int]:
        return history.attempt(position).invoked, history.attempt(position).number

    for position in sorted(range(len(history.transactions)), key=begun):
        attempt = history.attempt(position)
        if attempt.client in latest:
            graph.relate(left(latest[attempt.client]), arrived(position), Why.session)
        if attempt.status != "info":
            latest[attempt.client] = position
