"""Several controls over one system cluster: they decide one after the other, and each hears of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from tausql.control.clusters import life, tending
from tausql.control.clusters.life import Ask, Place, Quotas
from tausql.control.clusters.records import Cluster, Leftover, Status
from tausql.control.faults import Fault
from tausql.control.system.state import Decision, Image, State
from tausql.control.system.store import MemoryStore, Put, Unavailable
from tausql.control.tenancy import FORMS

HERE = Place("us-east-1", "000000000000")
QUOTAS = Quotas(clusters=3)


def state_of(store: MemoryStore) -> State:
    return State(store, FORMS, alone=False)


def create(image: Image) -> Decision[dict[str, object]]:
    return life.create(image, HERE, Ask({}), QUOTAS, (), 1.0)


def test_two_that_decide_at_once_share_no_number_and_keep_the_quota():
    async def body() -> None:
        store = MemoryStore()
        one, other = state_of(store), state_of(store)
        await one.refresh()
        await other.refresh()
        tried = await asyncio.gather(
            *(state.change(create) for state in (one, other) for _ in range(3)), return_exceptions=True
        )
        assert sum(isinstance(found, dict) for found in tried) == 3
        assert {found.code for found in tried if isinstance(found, Fault)} == {"ServiceQuotaExceededException"}
        await one.refresh()
        await other.refresh()
        numbers = [cluster.number for cluster in one.image.of(Cluster).values()]
        assert len(set(numbers)) == 3
        assert one.image.of(Cluster) == other.image.of(Cluster)

    asyncio.run(body())


def test_one_that_was_away_too_long_reads_everything_again():
    async def body() -> None:
        store = MemoryStore()
        one, other = state_of(store), state_of(store)
        await other.refresh()
        heard: list[Sequence[str] | None] = []
        other.watch(heard.append)
        for _ in range(3):
            await one.change(create)
        await store.trim(3)
        await other.refresh()
        assert heard == [None]
        assert other.image.of(Cluster) == one.image.of(Cluster)

    asyncio.run(body())


class Forgetful(MemoryStore):
    """Loses the answer of the next write, which it has done."""

    lose = False

    async def append(self, change: int, writer: str, puts: Sequence[Put]) -> None:
        await super().append(change, writer, puts)
        if self.lose:
            self.lose = False
            raise Unavailable("the answer was lost")


def test_a_write_whose_answer_was_lost_is_seen_when_everything_is_read_again():
    async def body() -> None:
        store = Forgetful()
        state = state_of(store)
        await state.change(create)
        store.lose = True
        with pytest.raises(Unavailable):
            await state.change(create)
        assert len(state.image.of(Cluster)) == 1
        await state.change(create)
        assert len(state.image.of(Cluster)) == 3

    asyncio.run(body())


def test_what_is_known_is_told_while_the_tables_are_away():
    async def body() -> None:
        store = MemoryStore()
        state = state_of(store)
        await state.change(create)
        store.away = True
        await state.look()
        assert len(state.image.of(Cluster)) == 1
        with pytest.raises(Unavailable):
            await state.change(create)
        unborn = state_of(store)
        with pytest.raises(Unavailable):
            await unborn.look()

    asyncio.run(body())


def image_of(*clusters: Cluster) -> Image:
    image = Image(FORMS)
    for cluster in clusters:
        image.take(Put(cluster.id, msgspec.json.encode(cluster).decode()))
    return image


def cluster(name: str, number: int, status: Status, used_at: float = 0.0) -> Cluster:
    return Cluster(name * 26, number, "us-east-1", "000000000000", status, 0.0, used_at=used_at)


LIMITS = tending.Sleep(60.0, 600.0)


def test_clusters_fall_asleep_by_the_clock_and_wake_by_use():
    image = image_of(
        cluster("a", 1, Status.active, 950.0),
        cluster("b", 2, Status.active, 900.0),
        cluster("c", 3, Status.idle, 300.0),
        cluster("d", 4, Status.inactive, 100.0),
        cluster("e", 5, Status.deleting, 100.0),
    )
    puts = tending.sleep(image, {"d" * 26: 999.0}, 1_000.0, LIMITS).puts
    assert {put.identifier[0]: put.status for put in puts if isinstance(put, Cluster)} == {
        "b": Status.idle,
        "c": Status.inactive,
        "d": Status.active,
    }


def test_use_of_a_busy_cluster_is_noted_now_and_then_only():
    image = image_of(cluster("a", 1, Status.active, 950.0))
    assert tending.sleep(image, {"a" * 26: 955.0}, 955.0, LIMITS).puts == []
    assert len(tending.sleep(image, {"a" * 26: 960.0}, 960.0, LIMITS).puts) == 1


def test_data_goes_with_the_last_cluster_that_has_it_and_is_looked_for_once_more():
    one, other = cluster("a", 7, Status.deleting), cluster("b", 7, Status.pending_setup)
    image = image_of(one, other)
    assert tending.unwanted(image, 0.0) == []
    assert list(tending.shared(image).removed) == [one]
    image = image_of(one)
    assert tending.unwanted(image, 0.0) == [7]
    gone = tending.removed(image, 7, 0.0)
    assert list(gone.removed) == [one]
    (left,) = gone.puts
    assert isinstance(left, Leftover)
    again = Image(FORMS)
    again.take(Put(left.id, '{"number": 7, "again_at": 600}'))
    assert tending.unwanted(again, 599.0) == []
    assert tending.unwanted(again, 600.0) == [7]
    assert [one.id for one in tending.removed(again, 7, 600.0).removed] == ["leftover/7"]


def test_every_region_has_its_first_cluster_once_and_they_are_one():
    async def body() -> None:
        state = state_of(MemoryStore())
        there = HERE._replace(region="us-east-2")
        for place in (HERE, there, HERE, there):
            await state.change(lambda image, place=place: life.first(image, place, (), 1.0))
        one, other = sorted(state.image.of(Cluster).values(), key=lambda cluster: cluster.region)
        assert (one.number, other.number) == (1, 1)
        assert (one.peers, other.peers) == ((other.arn,), (one.arn,))
        await state.change(lambda _: Decision(None, (), (one, other)))
        await state.change(lambda image: life.first(image, HERE, (), 1.0))
        assert not state.image.of(Cluster)

    asyncio.run(body())


def test_records_of_another_release_are_left_alone():
    image = image_of(cluster("a", 1, Status.active))
    image.take(Put("cluster/" + "a" * 26, '{"status": "FUTURE"}'))
    image.take(Put("future/x", "{}"))
    assert image.of(Cluster)["a" * 26].status is Status.active
    assert len(image) == 1
