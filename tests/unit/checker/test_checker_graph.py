"""The graph alone: which cycles count, that the shortest is found, and that large graphs are no trouble."""

from __future__ import annotations

from tausql.checker.graph import Graph, Why, arrived, left


def depends(graph: Graph, source: int, target: int) -> None:
    graph.relate(left(source), arrived(target), Why.wr, "d")


def overlooks(graph: Graph, source: int, target: int) -> None:
    graph.relate(arrived(source), left(target), Why.rw, "r")


def labelled(size: int) -> Graph:
    return Graph(size, labelled=True)


def test_two_that_overlook_each_other_are_no_cycle() -> None:
    graph = labelled(2)
    overlooks(graph, 0, 1)
    overlooks(graph, 1, 0)
    assert not graph.tangled()
    assert graph.shortest_cycle() == []


def test_one_anti_dependency_after_a_dependency_closes_a_cycle() -> None:
    graph = labelled(2)
    depends(graph, 0, 1)
    overlooks(graph, 1, 0)
    assert graph.tangled()
    assert sorted((step.source, step.target, step.why) for step in graph.shortest_cycle()) == [
        (0, 1, Why.wr),
        (1, 0, Why.rw),
    ]


def test_two_anti_dependencies_count_only_with_dependencies_between() -> None:
    graph = labelled(4)
    overlooks(graph, 0, 1)
    depends(graph, 1, 2)
    overlooks(graph, 2, 3)
    assert not graph.tangled()
    depends(graph, 3, 0)
    assert len(graph.shortest_cycle()) == 4


def test_nodes_between_cost_nothing() -> None:
    graph = labelled(3)
    first, second = graph.between(), graph.between()
    graph.relate(left(0), first, Why.real_time)
    graph.link(first, second)
    graph.link(second, arrived(1))
    graph.link(second, arrived(2))
    overlooks(graph, 2, 0)
    steps = graph.shortest_cycle()
    assert {(step.source, step.target, step.why) for step in steps} == {(0, 2, Why.real_time), (2, 0, Why.rw)}


def test_a_relation_to_oneself_is_none() -> None:
    graph = labelled(1)
    depends(graph, 0, 0)
    overlooks(graph, 0, 0)
    assert not graph.tangled()


def test_the_shortest_of_many_cycles_is_found_in_a_long_ring() -> None:
    size = 30_000
    graph = labelled(size)
    for number in range(size):
        depends(graph, number, (number + 1) % size)
    depends(graph, 20_004, 20_000)
    assert len(graph.tangled()) == 2 * size
    assert [step.source for step in sorted(graph.shortest_cycle())] == list(range(20_000, 20_005))
