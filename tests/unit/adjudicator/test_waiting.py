"""The order of those who wait for a limit."""

from __future__ import annotations

from tausql.adjudicator.waiting import Waiting


def filled(room: int, *clusters: int) -> Waiting[tuple[int, int]]:
    waiting: Waiting[tuple[int, int]] = Waiting(room)
    for at, cluster in enumerate(clusters):
        assert waiting.add(cluster, (cluster, at)) is None
    return waiting


def test_those_of_one_cluster_keep_their_order() -> None:
    waiting = filled(10, 7, 7, 7)
    assert waiting.take() == [(7, 0), (7, 1), (7, 2)]
    assert len(waiting) == 0
    assert waiting.take() == []


def test_clusters_take_turns_whoever_sent_most_and_first() -> None:
    waiting = filled(100, *[1] * 50, 2, 3, 2)
    assert waiting.take()[:6] == [(1, 0), (2, 50), (3, 51), (1, 1), (2, 52), (1, 2)]


def test_without_room_the_cluster_that_has_most_gives_up_its_newest() -> None:
    waiting = filled(4, 1, 1, 1, 1)
    assert waiting.add(1, (1, 9)) == (1, 9)
    assert waiting.add(2, (2, 9)) == (1, 3)
    assert waiting.add(2, (2, 10)) == (1, 2)
    assert waiting.add(2, (2, 11)) == (2, 11), "both have as many"
    assert waiting.add(3, (3, 9)) is not None
    assert len(waiting) == len(list(waiting)) == 4


def test_no_room_at_all() -> None:
    waiting: Waiting[int] = Waiting(0)
    assert waiting.add(1, 5) == 5
