"""Sessions' ages with one timer, and sessions that are gone when they have ended."""

from __future__ import annotations

import gc

import pytest
from processor_client import Client, rows
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.processor.ages import Ages
from tausql.processor.session import Session
from tausql.simulation.world import World


class Came:
    """Who came of age, and when."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[tuple[str, float]] = []
        self.host = world.add("one", "a", lambda process: None)
        self.host.start()
        self.ages: Ages[str] = Ages(self.host)

    def put(self, name: str, seconds: float) -> int:
        return self.ages.put(name, seconds, self.note)

    def note(self, name: str) -> None:
        self.seen.append((name, self.host.monotonic()))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


@pytest.fixture
def came() -> Came:
    return Came(World(7))


def test_each_comes_of_age_at_most_a_second_late(came: Came) -> None:
    begun = came.host.monotonic()
    wanted = {"late": 3600.0, "soon": 0.3, "now": 0.0, "between": 61.5}
    for name, seconds in wanted.items():
        came.put(name, seconds)
    came.world.run(4000)
    assert set(came.names[:2]) == {"now", "soon"}
    assert came.names[2:] == ["between", "late"]
    for name, at in came.seen:
        assert wanted[name] <= at - begun <= wanted[name] + 1.01


def test_who_is_removed_does_not_come_of_age(came: Came) -> None:
    kept, removed = came.put("kept", 10.0), came.put("removed", 10.0)
    came.ages.remove("removed", removed)
    came.ages.remove("removed", removed)
    came.world.run(20)
    assert came.names == ["kept"]
    came.ages.remove("kept", kept)


def test_one_that_is_due_earlier_is_not_kept_waiting(came: Came) -> None:
    came.put("hour", 3600.0)
    came.put("minute", 60.0)
    came.world.run(62)
    assert came.names == ["minute"]


def test_coming_of_age_may_put_another_in(came: Came) -> None:
    def follow(name: str) -> None:
        came.note(name)
        came.put("second", 5.0)

    came.ages.put("first", 1.0, follow)
    came.world.run(10)
    assert came.names == ["first", "second"]


def living() -> int:
    return sum(isinstance(one, Session) for one in gc.get_objects())


def test_an_ended_session_is_free_without_a_collection() -> None:
    fleet = TestFleet()
    Client(fleet).query("SELECT 1")
    gc.collect()
    gc.disable()
    try:
        before = living()
        for end in ("terminate", "lost", "in a block", "cut in a statement"):
            one = Client(fleet)
            assert rows(one.query("SELECT 1")) == [("1",)]
            one.query("SET application_name = 'mine'")
            if end == "in a block":
                one.query("BEGIN")
            if end == "cut in a statement":
                one.send(client.query("SELECT count(*) FROM items"))
            if end == "terminate":
                one.send(client.TERMINATE)
            else:
                one.session.lost()
            fleet.run(1)
            del one
        assert living() == before
    finally:
        gc.enable()
