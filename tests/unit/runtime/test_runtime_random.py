"""Nobody foretells a host's random numbers from those he has seen."""

from __future__ import annotations

import random
import statistics

import pytest

from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.strong_random import StrongRandom

STATE_WORDS = 624  # of a Mersenne Twister


def untempered(number: int) -> int:
    """The word of the state that a Mersenne Twister's number was made of."""
    number ^= number >> 18
    number ^= number << 15 & 0xEFC60000
    word = number
    for _ in range(5):
        word = number ^ word << 7 & 0x9D2C5680
    number = word
    for _ in range(3):
        word = number ^ word >> 11
    return word & 0xFFFFFFFF


def foretold(source: random.Random) -> bool:
    """Whether what it draws next follows from what it has drawn."""
    seen = [source.getrandbits(32) for _ in range(STATE_WORDS)]
    copy = random.Random()
    copy.setstate((3, (*map(untempered, seen), STATE_WORDS), None))
    return [copy.getrandbits(32) for _ in range(4)] == [source.getrandbits(32) for _ in range(4)]


def test_the_attack_works_on_others() -> None:
    assert foretold(random.Random(7))


def test_a_host_is_not_foretold() -> None:
    async def main(host: AsyncHost) -> None:
        assert not foretold(host.random)

    run_on_host(main)


def test_it_is_a_random_in_every_way() -> None:
    source = StrongRandom()
    assert 0.48 < statistics.fmean(source.random() for _ in range(20_000)) < 0.52
    assert {source.randrange(3) for _ in range(200)} == {0, 1, 2}
    assert {source.getrandbits(1) for _ in range(200)} == {0, 1}
    assert all(source.getrandbits(5) < 32 for _ in range(200))
    assert len({source.randbytes(16) for _ in range(1_000)}) == 1_000
    assert [len(source.randbytes(count)) for count in (0, 1, 4_095, 4_096, 5_000)] == [0, 1, 4_095, 4_096, 5_000]
    assert 1.0 <= source.uniform(1.0, 2.0) <= 2.0
    assert source.getrandbits(0) == 0
    with pytest.raises(ValueError, match="non-negative"):
        source.getrandbits(-1)
