"""Every anomaly by its name, on histories known to be bad; and what is allowed, however odd it looks."""

from __future__ import annotations

import pytest
from histories import append, explained, get, history, read, write

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.check import check_history
from tausql.checker.history import Attempt

ALLOWED = {
    "serial": history(
        (0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [read("x", 1), append("x", 2)]), (4, 5, "ok", [read("x", 1, 2)])
    ),
    "write skew": history(
        (0, 5, "ok", [read("x"), append("y", 1)]),
        (0, 5, "ok", [read("y"), append("x", 2)]),
        (6, 7, "ok", [read("x", 2), read("y", 1)]),
    ),
    "write skew of registers": history(
        (0, 5, "ok", [get("x"), write("y", 1)]),
        (0, 5, "ok", [get("y"), write("x", 2)]),
        (6, 7, "ok", [get("x", 2), get("y", 1)]),
    ),
    "a reader that sees write skew from between": history(
        (0, 9, "ok", [read("x"), append("y", 1)]),
        (0, 9, "ok", [read("y"), append("x", 2)]),
        (0, 9, "ok", [read("x", 2), read("y")]),
    ),
    "unknown outcome, seen": history((0, 9, "info", [append("x", 1)]), (2, 3, "ok", [read("x", 1)])),
    "unknown outcome, never seen": history((0, 9, "info", [append("x", 1)]), (20, 30, "ok", [read("x")])),
    "unknown outcome, seen late": history(
        (0, 1, "info", [append("x", 1)]), (2, 3, "ok", [read("x")]), (4, 5, "ok", [read("x", 1)])
    ),
    "unknown register": history(
        (0, 1, "info", [write("x", 1)]), (2, 3, "ok", [get("x")]), (4, 5, "ok", [get("x", 1)])
    ),
    "failed, never seen": history((0, 1, "fail", [append("x", 1)]), (2, 3, "ok", [read("x")])),
    "own writes": history(
        (0, 1, "ok", [read("x"), append("x", 1), read("x", 1), append("x", 2), read("x", 1, 2)]),
        (2, 3, "ok", [get("r"), write("r", 1), get("r", 1), write("r", 2), get("r", 2)]),
    ),
    "blind appends nobody read": history((0, 5, "ok", [append("x", 1)]), (0, 5, "ok", [append("x", 2)])),
    "blind writes in any order": history(
        (0, 5, "ok", [write("x", 1)]), (0, 5, "ok", [write("x", 2)]), (6, 7, "ok", [get("x", 1)])
    ),
    "concurrent readers old and new": history(
        (0, 9, "ok", [append("x", 1)]), (1, 2, "ok", [read("x")]), (3, 4, "ok", [read("x", 1)])
    ),
    "locked one after the other": history(
        (0, 5, "ok", [read("x", shared=True), append("y", 1)]),
        (0, 5, "ok", [read("y", 1), append("x", 2)]),
        (6, 7, "ok", [read("x", 2)]),
    ),
}  # fmt: skip

FORBIDDEN: dict[str, tuple[Name, list[Attempt]]] = {
    "G0": (
        Name.write_cycle,
        history(
            (0, 5, "ok", [append("x", 1), append("y", 1)]),
            (0, 5, "ok", [append("x", 2), append("y", 2)]),
            (6, 7, "ok", [read("x", 1, 2)]),
            (6, 7, "ok", [read("y", 2, 1)]),
        ),
    ),
    "G1a": (Name.aborted_read, history((0, 1, "fail", [append("x", 1)]), (2, 3, "ok", [read("x", 1)]))),
    "G1a of a register": (Name.aborted_read, history((0, 1, "fail", [write("x", 1)]), (2, 3, "ok", [get("x", 1)]))),
    "G1b": (
        Name.intermediate_read,
        history((0, 5, "ok", [append("x", 1), append("x", 2)]), (0, 5, "ok", [read("x", 1)])),
    ),
    "G1b of a register": (
        Name.intermediate_read,
        history((0, 5, "ok", [write("x", 1), write("x", 2)]), (0, 5, "ok", [get("x", 1)])),
    ),
    "G1c": (
        Name.circular_flow,
        history((0, 5, "ok", [append("x", 1), read("y", 1)]), (0, 5, "ok", [append("y", 1), read("x", 1)])),
    ),
    "G1c of registers": (
        Name.circular_flow,
        history((0, 5, "ok", [write("x", 1), get("y", 1)]), (0, 5, "ok", [write("y", 1), get("x", 1)])),
    ),
    "G-single": (
        Name.read_skew,
        history(
            (0, 5, "ok", [append("x", 1), append("y", 1)]),
            (0, 5, "ok", [read("x", 1), read("y")]),
            (0, 9, "ok", [read("x", 1), read("y", 1)]),
        ),
    ),
    "read skew of registers": (
        Name.read_skew,
        history((0, 5, "ok", [write("x", 1), write("y", 1)]), (0, 5, "ok", [get("x", 1), get("y")])),
    ),
    "lost update": (
        Name.lost_update,
        history(
            (0, 5, "ok", [read("x"), append("x", 1)]),
            (0, 5, "ok", [read("x"), append("x", 2)]),
            (6, 7, "ok", [read("x", 1, 2)]),
        ),
    ),
    "lost update of a register": (
        Name.lost_update,
        history((0, 5, "ok", [get("x"), write("x", 1)]), (0, 5, "ok", [get("x"), write("x", 2)])),
    ),
    "long fork": (
        Name.long_fork,
        history(
            (0, 5, "ok", [append("x", 1)]),
            (0, 5, "ok", [append("y", 1)]),
            (0, 5, "ok", [read("x", 1), read("y")]),
            (0, 5, "ok", [read("x"), read("y", 1)]),
        ),
    ),
    "long fork of registers": (
        Name.long_fork,
        history(
            (0, 5, "ok", [write("x", 1)]),
            (0, 5, "ok", [write("y", 1)]),
            (0, 5, "ok", [get("x", 1), get("y")]),
            (0, 5, "ok", [get("x"), get("y", 1)]),
        ),
    ),
    "write skew though both locked": (
        Name.locked_cycle,
        history(
            (0, 5, "ok", [read("x", shared=True), append("y", 1)]),
            (0, 5, "ok", [read("y", shared=True), append("x", 2)]),
            (6, 7, "ok", [read("x", 2), read("y", 1)]),
        ),
    ),
    "write skew of registers though both locked": (
        Name.locked_cycle,
        history(
            (0, 1, "ok", [write("x", 1), write("y", 2)]),
            (2, 5, "ok", [get("x", 1, shared=True), get("y", 2), write("y", 3)]),
            (2, 5, "ok", [get("y", 2, shared=True), get("x", 1), write("x", 4)]),
        ),
    ),
    "lost": (Name.lost_write, history((0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [read("x")]))),
    "lost out of the midst": (
        Name.lost_write,
        history((0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [append("x", 2)]), (4, 5, "ok", [read("x", 2)])),
    ),
    "a register lost": (
        Name.stale_read,
        history((0, 1, "ok", [write("x", 1)]), (2, 3, "ok", [write("x", 2)]), (4, 5, "ok", [get("x", 1)])),
    ),
    "stale read": (
        Name.stale_read,
        history((0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [read("x")]), (4, 5, "ok", [read("x", 1)])),
    ),
    "stale read of a register": (Name.stale_read, history((0, 1, "ok", [write("x", 1)]), (2, 3, "ok", [get("x")]))),
    "a write from before": (
        Name.real_time,
        history((0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [append("x", 2)]), (0, 9, "ok", [read("x", 2, 1)])),
    ),
    "seen before it began": (Name.real_time, history((0, 1, "ok", [read("x", 1)]), (2, 3, "ok", [append("x", 1)]))),
    "seen, then not": (
        Name.stale_read,
        history((0, 9, "info", [append("x", 1)]), (1, 2, "ok", [read("x", 1)]), (3, 4, "ok", [read("x")])),
    ),
    "element twice": (
        Name.duplicate,
        history((0, 5, "ok", [append("x", 1)]), (0, 5, "ok", [append("x", 2)]), (0, 5, "ok", [read("x", 1, 2, 1)])),
    ),
    "order disputed": (
        Name.disputed_order,
        history(
            (0, 5, "ok", [append("x", 1)]),
            (0, 5, "ok", [append("x", 2)]),
            (0, 5, "ok", [read("x", 1, 2)]),
            (0, 5, "ok", [read("x", 2, 1)]),
        ),
    ),
    "own append unseen": (Name.own_write_unseen, history((0, 1, "ok", [append("x", 1), read("x")]))),
    "own write unseen": (Name.own_write_unseen, history((0, 1, "ok", [write("x", 1), get("x")]))),
    "two snapshots": (
        Name.two_snapshots,
        history((0, 5, "ok", [append("x", 1)]), (0, 5, "ok", [read("x"), read("x", 1)])),
    ),
    "two snapshots of a register": (
        Name.two_snapshots,
        history((0, 5, "ok", [write("x", 1)]), (0, 5, "ok", [get("x"), get("x", 1)])),
    ),
    "from nowhere": (Name.invented, history((0, 1, "ok", [read("x", 7)]))),
    "torn by an unknown outcome": (
        Name.read_skew,
        history((0, 9, "info", [append("x", 1), append("y", 1)]), (2, 3, "ok", [read("x", 1), read("y")])),
    ),
    "an unknown outcome that saw another": (
        Name.aborted_read,
        history(
            (0, 1, "fail", [append("x", 1)]),
            (0, 9, "info", [read("x", 1), append("y", 1)]),
            (2, 3, "ok", [read("y", 1)]),
        ),
    ),
}
TIMED = (Name.stale_read, Name.real_time)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_passes(name: str) -> None:
    assert explained(ALLOWED[name], strong=True)
    check_history(ALLOWED[name])
    check_history(ALLOWED[name], strong=False)


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_is_forbidden_is_found_by_its_name(case: str) -> None:
    name, attempts = FORBIDDEN[case]
    assert not explained(attempts, strong=True)
    with pytest.raises(Anomaly) as caught:
        check_history(attempts)
    assert caught.value.name is name, str(caught.value)
    assert str(caught.value).startswith(name.value)
    assert set(caught.value.transactions) <= {attempt.number for attempt in attempts}
    assert caught.value.transactions


@pytest.mark.parametrize("case", [case for case, (name, _) in FORBIDDEN.items() if name in TIMED])
def test_without_real_time_only_what_plain_snapshot_isolation_forbids_is_found(case: str) -> None:
    attempts = FORBIDDEN[case][1]
    assert explained(attempts, strong=False)
    check_history(attempts, strong=False)


def test_a_session_has_an_order_even_where_real_time_has_none() -> None:
    attempts = history((0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [read("x")]), (4, 5, "ok", [read("x", 1)]))
    check_history(attempts, strong=False, sessions=True)
    attempts[1].client = attempts[0].client
    check_history(attempts, strong=False)
    with pytest.raises(Anomaly, match="c0 ran T0 first") as caught:
        check_history(attempts, strong=False, sessions=True)
    assert caught.value.name is Name.session


def test_what_an_aborted_transaction_read_counts_when_asked() -> None:
    attempts = history(
        (0, 5, "ok", [append("x", 1), append("y", 1)]),
        (0, 5, "fail", [read("x", 1), read("y"), append("x", 2)]),
        (6, 7, "ok", [read("x", 1), read("y", 1)]),
    )
    check_history(attempts)
    with pytest.raises(Anomaly) as caught:
        check_history(attempts, uncommitted_reads=True)
    assert caught.value.name is Name.read_skew


def test_an_unknown_outcome_that_only_an_aborted_reader_saw_has_happened() -> None:
    attempts = history(
        (0, 1, "info", [append("x", 1)]),
        (0, 1, "info", [read("x", 1), append("y", 1)]),
        (2, 3, "fail", [read("y", 1)]),
        (4, 5, "ok", [read("y")]),
    )
    check_history(attempts)
    with pytest.raises(Anomaly) as caught:
        check_history(attempts, uncommitted_reads=True)
    assert caught.value.name is Name.stale_read


@pytest.mark.parametrize(
    ("attempts", "said"),
    [
        (history((0, 1, "ok", [append("x", 1)]), (0, 1, "fail", [append("x", 1)])), "must be unique"),
        (history((0, 1, "ok", [write("x", 1), write("x", 1)])), "must be unique"),
        (history((0, 1, "ok", [read("x")]), (0, 1, "ok", [get("x")])), "as a list and as a register"),
        ([*history((0, 1, "ok", [])), *history((0, 1, "ok", []))], "have the number 0"),
    ],
)
def test_a_malformed_history_is_the_workloads_fault(attempts: list[Attempt], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_history(attempts)
