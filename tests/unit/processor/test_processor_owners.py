"""The key space in stretches, and conflict keys dealt out to the streams that own them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tausql.processor.owners import Assignment, Holder, Owners
from tausql.processor.stretches import Stretches, everyone, latest
from tausql.protocol.adjudicator import AdjudicatorClient, Holding, Part
from tausql.protocol.ranges import RangeSet


def owners(*held: tuple[int, RangeSet], streams: tuple[int, ...] = ()) -> Owners:
    """Each later one is fresher news."""
    client = AdjudicatorClient(None)  # type: ignore[arg-type]
    return Owners(
        {
            stream: Holder(f"adjudicator-{stream}", client, Holding(stream, (1, 1), True, 0, ranges, streams), heard)
            for heard, (stream, ranges) in enumerate(held)
        }
    )


THREE = owners((0, ((b"", b"g"), (b"x", b""))), (3, ((b"g", b"m"),)), (5, ((b"m", b"x"),)))


def dealt(assigned: Assignment | None) -> tuple[int, list[bytes], list[bytes], tuple[Part, ...]]:
    assert assigned is not None
    return assigned.coordinator.stream, assigned.writes, assigned.shares, assigned.parts


@pytest.mark.parametrize(
    ("low", "high", "stream"),
    [
        (b"", b"f\xff", 0),
        (b"a", b"a", 0),
        (b"g", b"l", 3),
        (b"x", b"\xff\xff", 0),
        (b"a", b"g", None),
        (b"a", b"z", None),
    ],
)
def test_one_stream_owns_everything_between_two_keys(low: bytes, high: bytes, stream: int | None) -> None:
    holder = THREE.sole(low, high)
    assert (holder.stream if holder is not None else None) == stream


def test_the_lowest_owner_coordinates_and_the_others_have_parts() -> None:
    assert dealt(THREE.assign([b"n", b"h", b"w"], [b"i"])) == (
        3,
        [b"h"],
        [b"i"],
        (Part(5, [b"n", b"w"], []),),
    )
    assert dealt(THREE.assign([b"n", b"z", b"a"], [b"g", b"m"])) == (
        0,
        [b"z", b"a"],
        [],
        (Part(3, [], [b"g"]), Part(5, [b"n"], [b"m"])),
    )
    assert dealt(THREE.assign([], [b"a", b"z"])) == (0, [], [b"a", b"z"], ())


def test_a_key_without_a_known_owner_cannot_be_dealt_out() -> None:
    known = owners((0, ((b"", b"g"),)), (1, ((b"m", b""),)))
    assert known.assign([b"a", b"h"], []) is None
    assert known.assign([b"a"], [b"g"]) is None
    assert known.sole(b"h", b"i") is None
    assert dealt(known.assign([b"a", b"m"], [])) == (0, [b"a"], [], (Part(1, [b"m"], []),))


def test_every_registered_stream_has_a_part_in_a_schema_change() -> None:
    known = owners((0, ((b"", b"g"),)), (2, ()), (4, ((b"g", b""),)), streams=(0, 2, 4))
    assert dealt(known.assign_to_all([b"h"], [])) == (0, [], [], (Part(2, [], []), Part(4, [b"h"], [])))
    assert known.registered == {0, 2, 4}


def test_a_schema_change_waits_for_every_registered_stream() -> None:
    assert owners((0, ((b"", b""),)), streams=(0, 1)).assign_to_all([b"a"], []) is None
    assert owners((1, ((b"", b""),)), streams=(0, 1)).assign_to_all([b"a"], []) is None


def test_the_fresher_of_two_claims_is_believed() -> None:
    known = owners((7, ((b"", b""),)), (2, ((b"g", b"m"),)))
    assert [(low, high, holder.stream) for low, high, holder in known if holder is not None] == [
        (b"", b"g", 7),
        (b"g", b"m", 2),
        (b"m", b"", 7),
    ]
    assert [holder.stream for _, _, holder in owners((2, ((b"g", b"m"),)), (7, ((b"", b""),))) if holder] == [7]


@pytest.mark.parametrize("seed", range(20))
def test_stretches_say_of_every_key_what_the_claims_say(seed: int) -> None:
    chance = random.Random(seed)
    space = [bytes([number]) for number in range(1, 30)]

    def ranges() -> RangeSet:
        cuts = sorted(chance.sample([b"", *space], 2 * chance.randrange(4)))
        found = [(low, high) for low, high in zip(cuts[::2], cuts[1::2], strict=True)]
        if found and chance.random() < 0.3:
            found[-1] = (found[-1][0], b"")
        return tuple(found)

    claims = [(name, ranges()) for name in "abc"]
    last, all_of_them = latest(claims), everyone(claims)
    for key in [b"", *space, b"\x07\x01"]:
        who = tuple(name for name, held in claims if any(low <= key and (not high or key < high) for low, high in held))
        assert last.items[last.at(key)] == (who[-1] if who else None)
        assert all_of_them.items[all_of_them.at(key)] == who
        tables: list[Stretches[Any]] = [last, all_of_them]
        for table in tables:
            number = table.at(key)
            end = table.end(number)
            assert table.lows[number] <= key
            assert not end or key < end
            assert table.below(key + b"\x00") == number
    assert last.below(b"") == len(last.lows) - 1
