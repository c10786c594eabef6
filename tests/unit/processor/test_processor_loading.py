"""Rows into a cluster that is being restored: every batch once and in order, whoever sends it how often."""

from __future__ import annotations

from typing import Any

import pytest
from processor_client import errors, rows
from processor_fleet import TestFleet
from test_processor_tenants import session

from tausql.processor.loading import Loading
from tausql.protocol.backup import Loaded, LoadPairs
from tausql.protocol.keys import cluster_range, relation_prefix
from tausql.rpc.interface import Cause

NEW = 5
Pair = tuple[bytes, bytes | None]


class Reply:
    def __init__(self) -> None:
        self.told: Any = None

    def answer(self, message: Any) -> None:
        assert self.told is None
        self.told = message

    def fail(self, cause: Cause, message: str = "") -> None:
        assert self.told is None
        self.told = (cause, message)


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2)


def load(fleet: TestFleet, batch: int, *pairs: Pair, attempt: str = "a", last: bool = False, at: int = 0) -> Any:
    reply = Reply()
    loading = Loading(fleet.processors[at].tenants.internal)
    loading.load(LoadPairs(NEW, attempt, batch, pairs, last), reply)  # type: ignore[arg-type]
    fleet.until(lambda: reply.told is not None)
    return reply.told


def kept(fleet: TestFleet) -> list[Pair]:
    """A cluster's rows, as those of the new one; its table has a row and no entries, so only keys differ."""
    one = session(fleet, 2)
    assert not errors(one.query("CREATE TABLE t (id int PRIMARY KEY, v text)"))
    assert not errors(one.query("INSERT INTO t VALUES (7, 'seven')"))
    one.session.lost()
    low, high = cluster_range(2)
    own = relation_prefix(NEW, 0)[:4]
    return [(own + key[4:], value) for key, value in fleet.data.at(1 << 63).items() if low <= key < high]


def test_what_was_kept_is_a_cluster_again_once_the_last_batch_is_in(fleet: TestFleet) -> None:
    pairs = kept(fleet)
    assert load(fleet, 0) == Loaded()
    assert load(fleet, 1, *pairs[:1]) == Loaded()
    assert load(fleet, 1, *pairs[:1], at=1) == Loaded(), "the answer was lost, another processor is asked"
    assert load(fleet, 2, *pairs[1:], last=True, at=1) == Loaded()
    assert load(fleet, 2, *pairs[1:], last=True) == Loaded(True)
    for at in (0, 1):
        one = session(fleet, NEW, at=at)
        assert rows(one.query("SELECT * FROM t")) == [("7", "seven")]
    assert errors(one.query("INSERT INTO t VALUES (7, 'again')"))
    assert not errors(one.query("CREATE TABLE u (id int PRIMARY KEY)"))


def test_a_batch_out_of_turn_of_another_attempt_or_after_the_end_changes_nothing(fleet: TestFleet) -> None:
    key = relation_prefix(NEW, 16400) + b"\x01"
    refused = Cause.refused
    assert load(fleet, 1, (key, b"\x90"))[0] is refused, "none has begun"
    assert load(fleet, 0) == Loaded()
    assert load(fleet, 2, (key, b"\x90"))[0] is refused
    assert load(fleet, 1, (key, b"\x91\x01")) == Loaded()
    assert load(fleet, 0, attempt="b") == Loaded()
    for batch in (1, 2):
        assert load(fleet, batch, (key, b"\x90"))[0] is refused, "somebody else has begun again"
    assert load(fleet, 1, attempt="b", last=True) == Loaded()
    assert load(fleet, 0, attempt="c") == Loaded(True)
    assert load(fleet, 1, (key, b"\x90"), attempt="c") == Loaded(True)
    assert fleet.data.at(1 << 63)[key] == b"\x91\x01"


def test_a_cluster_that_has_been_used_and_keys_of_others_are_refused(fleet: TestFleet) -> None:
    assert not errors(session(fleet, NEW).query("CREATE TABLE t (id int PRIMARY KEY)"))
    assert load(fleet, 0) == (Cause.refused, "the cluster has been used")
    stranger = relation_prefix(NEW + 1, 16400) + b"\x01"
    assert load(fleet, 1, (stranger, b"\x90")) == (Cause.refused, "keys of another cluster")
    reply = Reply()
    Loading(fleet.processor.tenants.internal).load(LoadPairs(0, "a", 0), reply)  # type: ignore[arg-type]
    assert reply.told[0] is Cause.refused
