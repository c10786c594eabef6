from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.frontend.balance import Balance
from tausql.protocol.fleet import Member
from tausql.protocol.processor import Load

A1, A2, B1 = (Member(name, name[0], f"{name}:1", f"{name}:2") for name in ("a1", "a2", "b1"))


def balance_of(*members: Member) -> Balance:
    balance = Balance("a")
    for member in members:
        balance.joined(member)
    return balance


def names(balance: Balance, count: int) -> str:
    return " ".join(member.name if member else "-" for member in (balance.place() for _ in range(count)))


def test_own_zone_is_filled_evenly_before_another_is_used() -> None:
    balance = balance_of(B1, A1, A2)
    for member in (A1, A2, B1):
        balance.loaded(member.name, Load(0, 2, False))
    assert names(balance, 7) == "a1 a2 a1 a2 b1 b1 -"


def test_fuller_processor_waits() -> None:
    balance = balance_of(A1, A2)
    balance.loaded("a1", Load(50, 100, False))
    balance.loaded("a2", Load(3, 10, False))
    assert names(balance, 3) == "a2 a2 a1"


def test_lost_draining_and_unheard_processors_get_nothing() -> None:
    balance = balance_of(A1, A2, B1)
    assert balance.place() is None
    assert not balance.available
    balance.loaded("a1", Load(0, 10, False))
    balance.loaded("a2", Load(0, 10, True))
    balance.lost("a1")
    assert balance.place() is None
    assert balance.known == 1
    balance.loaded("a1", Load(0, 10, False))
    assert balance.available
    assert balance.place({"a1"}) is None
    assert balance.place() == A1


def test_what_was_placed_counts_until_the_processor_speaks() -> None:
    balance = balance_of(A1)
    balance.loaded("a1", Load(0, 1, False))
    assert names(balance, 2) == "a1 -"
    balance.loaded("a1", Load(0, 1, False))
    assert names(balance, 2) == "a1 -"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), st.booleans()), min_size=3, max_size=3))
@settings(max_examples=100, deadline=None)
def test_nobody_is_overfilled(loads: list[tuple[int, int, bool]]) -> None:
    balance = balance_of(A1, A2, B1)
    room = 0
    for member, (sessions, most, draining) in zip((A1, A2, B1), loads, strict=True):
        balance.loaded(member.name, Load(sessions, most, draining))
        room += 0 if draining else max(most - sessions, 0)
    placed = [balance.place() for _ in range(70)]
    assert sum(member is not None for member in placed) == room
