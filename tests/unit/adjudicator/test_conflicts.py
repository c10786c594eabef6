"""The conflict table against a brute-force list of everything that committed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.adjudicator.conflicts import BUCKET_MICROS, KEY_COST_BYTES, Conflicts
from tausql.protocol.tau import SHIFT, closing, commit_tau

KEY = st.sampled_from([b"a", b"b", b"c", b"d"])
TRANSACTION = st.tuples(
    st.lists(KEY, max_size=3, unique=True),  # writes
    st.lists(KEY, max_size=3, unique=True),  # shares
    st.integers(0, 6_000_000),  # how long before its commit it started, in microseconds
    st.integers(1, 2_500_000),  # how long after the commit before, likewise
    st.booleans(),  # prune before it?
)


def conflicting(committed, tau_start, writes, shares):
    for tau, their_writes, their_shares in committed:
        if tau > tau_start and (
            set(writes) & (set(their_writes) | set(their_shares)) or set(shares) & set(their_writes)
        ):
            return True
    return False


@settings(max_examples=300, deadline=None)
@given(st.lists(TRANSACTION, max_size=40), st.sampled_from([1 << 30, KEY_COST_BYTES * 6]))
def test_first_committer_wins_whatever_is_forgotten(transactions, bytes_max):
    conflicts = Conflicts(0, window_micros=3_000_000, bytes_max=bytes_max)
    committed, micros = [], 10_000_000
    for writes, shares, age, pause, prune in transactions:
        micros += pause
        if prune:
            conflicts.prune(commit_tau(micros, 0), keys_max=2)
        tau_start = closing(micros - 1 - age)
        expected = conflicting(committed, tau_start, writes, shares)
        if tau_start <= conflicts.floor:
            continue  # refused, whatever the history says
        found = conflicts.find(b"txn", tau_start, writes, shares)
        assert (found is not None) == expected
        assert found is None or found in writes or found in shares
        if found is None:
            conflicts.record(commit_tau(micros, 0), writes, shares)
            committed.append((commit_tau(micros, 0), writes, shares))


def test_a_short_window_is_judged_inside_the_window():
    conflicts = Conflicts(0, window_micros=360_000_000)
    conflicts.record(commit_tau(400_000_000, 0), [b"a"], [])
    conflicts.prune(commit_tau(500_000_000, 0))
    assert conflicts.floor == 0
    assert conflicts.find(b"t", closing(399_999_999), [b"a"], []) == b"a"
    assert conflicts.find(b"t", closing(400_000_000), [b"a"], []) is None


def test_the_past_is_forgotten_and_becomes_the_floor():
    conflicts = Conflicts(0, window_micros=10_000_000)
    for number in range(5_000):
        conflicts.record(commit_tau(1_000_000 + number * 10_000, 0), [b"%d" % number], [b"s%d" % number])
    assert len(conflicts) == 10_000
    last = commit_tau(1_000_000 + 4_999 * 10_000, 0)
    for _ in range(20):
        conflicts.prune(last)
    assert last - (11_100_000 << SHIFT) < conflicts.floor <= last - (10_000_000 << SHIFT)
    assert len(conflicts) < 2_300
    assert conflicts.cost_bytes < 2_300 * (KEY_COST_BYTES + 10)


def test_a_hot_key_is_listed_once_a_bucket():
    conflicts = Conflicts(0)
    for number in range(3_000):
        conflicts.record(commit_tau(10_000_000 + number * BUCKET_MICROS // 1_000, 0), [b"hot"], [])
    assert conflicts.cost_bytes <= 4 * (KEY_COST_BYTES + 3)


def test_the_budget_raises_the_floor_instead_of_forgetting_silently():
    conflicts = Conflicts(0, bytes_max=100 * KEY_COST_BYTES)
    for number in range(2_000):
        conflicts.record(commit_tau(10_000_000 + number * 10_000, 0), [b"%d" % number], [])
    assert conflicts.cost_bytes <= 100 * (KEY_COST_BYTES + 4)
    assert conflicts.floor > commit_tau(25_000_000, 0)
    assert len(conflicts) < 300


def test_pending_keys_refuse_others_until_released():
    conflicts = Conflicts(0)
    conflicts.reserve(b"one", [b"w"], [b"s"])
    assert conflicts.find(b"two", closing(5), [b"w"], []) == b"w"
    assert conflicts.find(b"two", closing(5), [b"s"], []) == b"s"
    assert conflicts.find(b"two", closing(5), [], [b"w"]) == b"w"
    assert conflicts.find(b"two", closing(5), [], [b"s"]) is None
    assert conflicts.find(b"one", closing(5), [b"w", b"s"], []) is None
    conflicts.reserve(b"three", [], [b"s"])
    assert conflicts.find(b"one", closing(5), [b"s"], []) == b"s"
    conflicts.release(b"one")
    conflicts.release(b"three")
    assert conflicts.find(b"two", closing(5), [b"w", b"s"], [b"w"]) is None
