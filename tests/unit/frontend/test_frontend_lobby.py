"""Who of many strangers is talked to next, by hand."""

from __future__ import annotations

import pytest
from frontend_by_hand import ManualHost

from tausql.frontend.lobby import (
    ADDRESSES_MAX,
    HANDSHAKE_SECONDS,
    PRESSED_SECONDS,
    SILENT_SECONDS,
    SUSPECT_FAILURES,
    WAITING_FACTOR,
    WINDOW_SECONDS,
    Lobby,
    Suspects,
    Visitor,
    address_of,
    waiting_max,
)
from tausql.frontend.metrics import FrontendMetrics


class FakeStranger:
    def __init__(self, name: str, house: House) -> None:
        self.name = name
        self.house = house
        self.silent = False
        self.connected = True
        self.welcome = False

    def time_out(self) -> None:
        self.house.timed_out.append(self.name)
        self.house.end(self.name)

    def close(self) -> None:
        self.house.end(self.name)


class House:
    def __init__(self, startups_max: int) -> None:
        self.host = ManualHost()
        self.metrics = FrontendMetrics()
        self.lobby = Lobby(self.host, self.metrics, startups_max, waiting_max(startups_max, 1 << 20))
        self.talking: dict[str, FakeStranger] = {}
        self.timed_out: list[str] = []
        self.dropped: list[str] = []

    def arrive(self, name: str) -> None:
        """`name`: its address, and anything after a dash."""

        def talk() -> FakeStranger:
            self.talking[name] = FakeStranger(name, self)
            return self.talking[name]

        self.lobby.arrive(Visitor(name.partition("-")[0], talk, lambda: self.dropped.append(name)))

    def end(self, name: str, welcome: bool = False) -> None:
        stranger = self.talking.pop(name)
        stranger.welcome = welcome
        self.lobby.ended(stranger)


def test_turns_go_round_by_address() -> None:
    house = House(4)
    for name in ("a-1", "a-2", "a-3", "a-4", "a-5", "b-1", "c-1", "c-2"):
        house.arrive(name)
    assert list(house.talking) == ["a-1", "a-2", "b-1", "c-1"]  # half of the places are for others
    assert house.lobby.waiting == 4
    house.end("a-1")
    assert "a-3" in house.talking
    house.end("b-1")
    assert "c-2" in house.talking
    house.end("a-2")
    assert "a-4" in house.talking
    house.arrive("d-1")
    assert "d-1" not in house.talking
    house.end("c-1")
    assert "d-1" in house.talking
    assert list(house.talking) == ["a-3", "c-2", "a-4", "d-1"]
    assert house.metrics.startups == len(house.lobby) == 4


def test_a_flood_of_one_address_does_not_keep_others_waiting() -> None:
    house = House(4)
    for number in range(20):
        house.arrive(f"bad-{number}")
    house.arrive("good-1")
    assert "good-1" in house.talking
    house.end("good-1", welcome=True)
    for name in ("other-1", "more-1", "good-2"):
        house.arrive(name)
    house.end("other-1")
    assert "good-2" in house.talking


def test_accepting_stops_where_the_lobby_is_full_and_goes_on_once_there_is_room() -> None:
    house = House(2)
    rooms: list[int] = []
    house.lobby.on_room.append(lambda: rooms.append(house.lobby.waiting))
    number = 0
    while not house.lobby.full:
        house.arrive(f"a-{number}")
        number += 1
    assert number == 1 + 2 * WAITING_FACTOR
    house.end("a-0")
    assert rooms == [2 * WAITING_FACTOR - 1]
    house.end("a-1")
    assert len(rooms) == 1
    assert house.dropped == []  # a burst waits


def test_those_who_wait_take_a_part_of_the_descriptors_only() -> None:
    assert [waiting_max(256, descriptors) for descriptors in (1 << 20, 1024, 0)] == [1024, 128, 1]


def test_dawdlers_go_only_while_somebody_waits() -> None:
    house = House(2)
    house.arrive("a-1")
    house.arrive("b-1")
    house.talking["a-1"].silent = True
    house.host.pass_time(100)
    assert house.timed_out == []
    house.arrive("c-1")
    house.host.pass_time(SILENT_SECONDS)
    assert house.timed_out == ["a-1", "b-1"]
    assert list(house.talking) == ["c-1"]
    house.arrive("d-1")
    house.arrive("e-1")
    house.host.pass_time(PRESSED_SECONDS - 1.1)
    assert "c-1" in house.talking  # it has said something
    house.host.pass_time(2)
    assert "e-1" in house.talking


def test_nobody_goes_because_we_are_slow() -> None:
    house = House(2)
    for name in ("a-1", "b-1", "c-1"):
        house.arrive(name)
        house.host.now += PRESSED_SECONDS
    house.talking["a-1"].silent = True
    house.host.pass_time(0)
    assert house.timed_out == []
    house.host.pass_time(SILENT_SECONDS / 2)
    assert house.timed_out == ["a-1", "b-1"]


def test_half_a_handshake_has_less_time() -> None:
    house = House(2)
    for name in ("a-1", "b-1", "c-1"):
        house.arrive(name)
    house.talking["b-1"].connected = False
    house.host.pass_time(HANDSHAKE_SECONDS + SILENT_SECONDS / 2)
    assert house.timed_out == ["b-1"]
    assert list(house.talking) == ["a-1", "c-1"]


def test_an_address_that_only_fails_is_cut_off_where_many_wait() -> None:
    house = House(2)
    for number in range(SUSPECT_FAILURES):
        house.arrive(f"bad-{number}")
        house.end(f"bad-{number}")
    house.arrive("bad-x")
    assert house.dropped == []  # there is room
    for number in range(4):
        house.arrive(f"good-{number}")
    house.arrive("bad-y")
    assert house.dropped == ["bad-y"]
    assert house.metrics.refused_unseen == 1
    house.arrive("good-5")
    assert house.dropped == ["bad-y"]
    house.lobby.close()
    assert house.dropped == ["bad-y", "good-1", "good-2", "good-3", "good-5"] or "good-5" in house.dropped
    assert house.talking == {}


def test_failures_are_forgotten() -> None:
    host = ManualHost()
    suspects = Suspects(host.monotonic)
    for _ in range(SUSPECT_FAILURES):
        suspects.note("a", good=False)
    assert suspects.suspect("a")
    suspects.note("a", good=True)
    assert not suspects.suspect("a")
    for _ in range(SUSPECT_FAILURES):
        suspects.note("a", good=False)
    host.now += 2 * WINDOW_SECONDS + 1
    assert not suspects.suspect("a")
    suspects.note("a", good=False)
    assert not suspects.suspect("a")
    for _ in range(SUSPECT_FAILURES):
        suspects.note("b", good=False)
    for number in range(ADDRESSES_MAX):
        suspects.note(str(number), good=False)
    assert not suspects.suspect("b")  # it was not heard of for longest


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_network_of_ipv6_is_one_address(host: str, address: str) -> None:
    assert address_of(host) == address
