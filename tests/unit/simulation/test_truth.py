"""What is committed, and what must not be."""

from __future__ import annotations

import msgspec
import pytest

from tausql.protocol.adjudicator import Transaction
from tausql.runtime.check import InvariantViolation
from tausql.simulation.engine import SimulatedEngine
from tausql.simulation.truth import Truth
from tausql.storage.applier import STATE_KEY, State, encoded_state
from tausql.storage.shards import SHARDS_KEY, Kept, Shards
from tausql.storage.versions import ROW, TOMBSTONE, version_key

_encode = msgspec.msgpack.encode


def commit(
    truth: Truth,
    tau: int,
    tau_start: int,
    writes: list[bytes],
    shares: list[bytes] | None = None,
    txn: bytes | None = None,
    value: bytes | None = b"v",
) -> None:
    body = _encode([(key, value) for key in sorted(writes)])
    low, high = (min(writes), max(writes)) if writes else (b"", b"")
    txn = txn if txn is not None else tau.to_bytes(16, "big")
    truth.appended(tau, _encode(Transaction(txn, tau_start, writes, shares or [], [], low, high, body)))
    truth.released(tau)


def store_of(watermark: int, rows: dict[tuple[bytes, int], bytes | None], base: int = 0) -> SimulatedEngine:
    engine = SimulatedEngine()
    batch = engine.batch()
    batch.put(STATE_KEY, encoded_state(State("fleet", watermark)))
    batch.put(SHARDS_KEY, Shards([Kept(b"", b"m", base)]).encoded())
    for (key, tau), value in rows.items():
        batch.put(version_key(key, tau), TOMBSTONE if value is None else ROW + value)
    engine.write(batch)
    return engine


def test_first_committer_wins():
    truth = Truth()
    commit(truth, 100, 50, [b"a"])
    commit(truth, 200, 100, [b"a"])
    with pytest.raises(InvariantViolation, match="I6"):
        commit(truth, 300, 150, [b"a"])


def test_the_order_in_which_they_are_heard_of_does_not_matter():
    truth = Truth()
    commit(truth, 300, 150, [b"a"])
    with pytest.raises(InvariantViolation, match="I6"):
        commit(truth, 200, 100, [b"a"])


def test_sharers_do_not_mind_each_other_but_writers():
    truth = Truth()
    commit(truth, 100, 50, [b"a"], [b"s"])
    commit(truth, 200, 50, [b"b"], [b"s"])
    with pytest.raises(InvariantViolation, match="I6"):
        commit(truth, 300, 150, [b"s"])


def test_one_transaction_commits_once():
    truth = Truth()
    commit(truth, 100, 50, [b"a"], txn=b"t" * 16)
    truth.released(100)
    with pytest.raises(InvariantViolation, match="I7"):
        commit(truth, 200, 150, [b"b"], txn=b"t" * 16)


def test_what_nobody_appended_cannot_be_released():
    with pytest.raises(InvariantViolation, match="I1"):
        Truth().released(5)


def test_a_store_holds_the_rows_of_its_watermark():
    truth = Truth()
    commit(truth, 100, 50, [b"a"], value=b"1")
    commit(truth, 200, 100, [b"a"], value=b"2")
    commit(truth, 300, 50, [b"b"], value=None)
    commit(truth, 400, 50, [b"z"])  # outside of what the replica keeps
    whole = {(b"a", 100): b"1", (b"a", 200): b"2", (b"b", 300): None}
    truth.check_store(store_of(300, whole), "one")
    truth.check_store(store_of(150, {(b"a", 100): b"1"}), "one")
    truth.check_store(store_of(300, {(b"a", 200): b"2"}), "one")  # collected: the old version, and the tombstone
    with pytest.raises(InvariantViolation, match="I8"):
        truth.check_store(store_of(300, {(b"a", 100): b"1"}), "one")
    with pytest.raises(InvariantViolation, match="I8"):
        truth.check_store(store_of(300, {}), "one")
    with pytest.raises(InvariantViolation, match="I8"):
        truth.check_store(store_of(300, {**whole, (b"c", 250): b"3"}), "one")


def test_a_shard_that_is_ahead_of_the_rest_is_not_looked_at_yet():
    truth = Truth()
    commit(truth, 100, 50, [b"a"])
    truth.check_store(store_of(150, {}, base=200), "one")
    with pytest.raises(InvariantViolation, match="I8"):
        truth.check_store(store_of(200, {}, base=200), "one")
