"""Random numbers that nobody can foretell from those he has seen.

Python's own generator is none of that: from 624 of its numbers follow all others, past and future. One process's
numbers go to clients of many clusters (`random()`, `gen_random_uuid()`) and are also what keeps them apart (the secrets
of cancel requests), so whoever draws some thousand for himself would know those of everybody else.

The kernel is asked for many bytes at a time: asking for each number costs ten times as much.
"""

from __future__ import annotations

import os
import random
from struct import Struct
from typing import Any, Final

_TAKEN_BYTES: Final = 4096
_NUMBERS: Final = Struct(f"={_TAKEN_BYTES // 8}Q")
_FRACTION: Final = 2.0**-53


class StrongRandom(random.Random):
    """The kernel's random numbers, as a `Random`. Cannot be seeded, and has no state to save."""

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0
        self._fractions: list[float] = []
        super().__init__()

    def randbytes(self, n: int) -> bytes:
        begin = self._at
        end = begin + n
        if end > len(self._bytes):
            if n > _TAKEN_BYTES:
                return os.urandom(n)
            self._bytes = os.urandom(_TAKEN_BYTES)
            begin, end = 0, n
        self._at = end
        return self._bytes[begin:end]

    def getrandbits(self, k: int) -> int:
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        count = (k + 7) // 8
        return int.from_bytes(self.randbytes(count), "big") >> (count * 8 - k)

    def random(self) -> float:
        fractions = self._fractions
        if not fractions:
            fractions.extend((number >> 11) * _FRACTION for number in _NUMBERS.unpack(os.urandom(_TAKEN_BYTES)))
        return fractions.pop()

    def seed(self, *given: Any, **named: Any) -> None:
        """Without effect, as `SystemRandom`'s."""

    def getstate(self) -> Any:
        raise NotImplementedError("there is no state to save")

    def setstate(self, state: Any) -> None:
        raise NotImplementedError("there is no state to go back to")
