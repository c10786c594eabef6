"""What a sound database shows passes; spoilt it fails; and small histories are judged as by the definition."""

from __future__ import annotations

import random

import pytest
from histories import Row, append, explained, get, history, read, write
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_database import SPOILS, good_history

from tausql.checker.anomaly import Anomaly
from tausql.checker.check import check_history
from tausql.checker.history import Attempt, Operation

QUICK = settings(max_examples=150, deadline=None)


def passes(attempts: list[Attempt], strong: bool = True) -> bool:
    try:
        check_history(attempts, strong)
    except Anomaly:
        return False
    return True


@QUICK
@given(seed=st.integers(0, 2**32), clients=st.integers(1, 6), keys=st.integers(1, 4), transactions=st.integers(1, 120))
def test_what_a_sound_database_shows_passes(seed: int, clients: int, keys: int, transactions: int) -> None:
    attempts = good_history(seed, transactions, clients, keys)
    check_history(attempts)
    check_history(attempts, uncommitted_reads=True)
    check_history(attempts, strong=False, sessions=True)


@pytest.mark.parametrize("name", SPOILS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_spoilt_it_fails(name: str, seed: int) -> None:
    attempts = good_history(seed, 60, unknown=0.0)
    if SPOILS[name](attempts, random.Random(seed)):
        assert not passes(attempts), name


def test_every_way_to_spoil_is_tried() -> None:
    for name, spoil in SPOILS.items():
        tried = sum(spoil(good_history(seed, 60, unknown=0.0), random.Random(seed)) for seed in range(30))
        assert tried > 10, name


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_small_good_histories_are_good_by_the_definition(seed: int) -> None:
    assert explained(good_history(seed, 4, clients=3, keys=2, steps=2, unknown=0.3, final=False), strong=True)


@st.composite
def small_histories(draw: st.DrawFn) -> list[Attempt]:
    """Two to four transactions that saw arbitrary beginnings of an arbitrary order, and one that saw all there is."""
    count = draw(st.integers(2, 4))
    keys = ["x", "y"][: draw(st.integers(1, 2))]
    appended = {number: draw(st.sets(st.sampled_from(keys))) for number in range(count)}
    status = {number: draw(st.sampled_from(["ok", "ok", "ok", "info"])) for number in range(count)}
    order = {
        key: tuple(draw(st.permutations([number for number in appended if key in appended[number]]))) for key in keys
    }
    rows: list[Row] = []
    for number in range(count):
        operations: list[Operation] = []
        for key in keys:
            others = tuple(value for value in order[key] if value != number)
            if draw(st.booleans()):
                seen = others[: draw(st.integers(0, len(others)))]
                operations.append(read(key, *seen, shared=draw(st.integers(0, 3)) == 0))
            if key in appended[number]:
                operations.append(append(key, number))
        invoked = draw(st.integers(0, 3))
        rows.append((invoked, invoked + draw(st.integers(1, 5)), status[number], operations))  # type: ignore[arg-type]
    rows.append((20, 21, "ok", [read(key, *order[key]) for key in keys]))
    return history(*rows)


@settings(max_examples=300, deadline=None)
@given(attempts=small_histories(), strong=st.booleans())
def test_small_histories_are_judged_as_by_the_definition(attempts: list[Attempt], strong: bool) -> None:
    assert passes(attempts, strong) == explained(attempts, strong)


@st.composite
def small_registers(draw: st.DrawFn) -> list[Attempt]:
    """Transactions that saw arbitrary values of registers; each reads before it writes."""
    count = draw(st.integers(2, 4))
    keys = ["x", "y"][: draw(st.integers(1, 2))]
    written = {number: draw(st.sets(st.sampled_from(keys))) for number in range(count)}
    blind = draw(st.booleans())
    rows: list[Row] = []
    for number in range(count):
        operations: list[Operation] = []
        for key in keys:
            others = [other for other in written if other != number and key in written[other]]
            if draw(st.booleans()) or (key in written[number] and not blind):
                operations.append(get(key, *draw(st.sampled_from([(), *((other,) for other in others)]))))
            if key in written[number]:
                operations.append(write(key, number))
        invoked = draw(st.integers(0, 3))
        rows.append((invoked, invoked + draw(st.integers(1, 5)), "ok", operations))
    return history(*rows)


@settings(max_examples=300, deadline=None)
@given(attempts=small_registers(), strong=st.booleans())
def test_registers_are_never_accused_wrongly(attempts: list[Attempt], strong: bool) -> None:
    """Not all that is wrong shows where writes are blind; with a read before each write all of it does."""
    good = explained(attempts, strong)
    if good:
        assert passes(attempts, strong)
    elif all(_read_first(attempt) for attempt in attempts):
        assert not passes(attempts, strong)


def _read_first(attempt: Attempt) -> bool:
    got = {operation.key for operation in attempt.operations if operation.kind == "get"}
    return {key for key, _ in attempt.writes()} <= got
