"""The reference: versions of every key in a dictionary of lists, and strategies that make histories of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import strategies as st

from tausql.protocol.crossbar import Cursor, Delivered, Delivery
from tausql.protocol.ranges import EVERYTHING
from tausql.storage.applier import Applier
from tausql.storage.engine import Engine
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.store import RocksEngine

FLEET = "fleet-1"
KEYS = [b"", b"\x00", b"\x00\x00", b"\x00\xff", b"a", b"a\x00", b"a\x00\x01", b"a\x00\xff", b"a\xff", b"b", b"\xff"]
keys = st.one_of(st.sampled_from(KEYS), st.binary(max_size=3))
values = st.one_of(st.none(), st.binary(max_size=4))
bodies = st.dictionaries(keys, values, min_size=1, max_size=4)


@st.composite
def histories(draw, transactions_max: int = 12):
    """[(tau, {key: row or None})], tau rising."""
    tau = 0
    history = []
    for body in draw(st.lists(bodies, min_size=1, max_size=transactions_max)):
        tau += draw(st.integers(1, 5))
        history.append((tau, body))
    return history


class Model:
    """What the store should answer."""

    def __init__(self, history) -> None:
        self.versions: dict[bytes, list[tuple[int, bytes | None]]] = {}
        for tau, body in history:
            for key, value in body.items():
                self.versions.setdefault(key, []).append((tau, value))

    def get(self, key: bytes, tau: int) -> tuple[int, bytes | None]:
        """(tau touched or 0, row)."""
        found = (0, None)
        for at, value in self.versions.get(key, []):
            if at <= tau:
                found = (at, value)
        return found

    def scan(self, low: bytes, high: bytes, tau: int, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        keys = [key for key in sorted(self.versions, reverse=reverse) if key >= low and (not high or key < high)]
        rows = [(key, self.get(key, tau)[1]) for key in keys]
        return [(key, row) for key, row in rows if row is not None]


def delivered(tau: int, body: dict[bytes, bytes | None], changes: tuple[int, ...] = ()) -> Delivered:
    return Delivered(tau, list(changes), msgspec.msgpack.encode(sorted(body.items())))


def deliveries(history, sizes: list[int], idle: list[int] | None = None) -> list[Delivery]:
    """The history cut into deliveries of so many transactions each; cursors count them."""
    made: list[Delivery] = []
    at = 0
    for number, size in enumerate([*sizes, len(history)]):
        part = history[at : at + size]
        at += len(part)
        watermark = (history[at - 1][0] if at else 0) + (idle[number % len(idle)] if idle and at == len(history) else 0)
        if made and watermark <= made[-1].watermark:
            continue
        made.append(Delivery(FLEET, [delivered(tau, body) for tau, body in part], watermark, (Cursor(0, (1, 1), at),)))
    return made


def opened(engine: Engine, *ranges: tuple[bytes, bytes]) -> Applier:
    """The applier of a store; a blank one keeps `ranges`, or everything."""
    applier = Applier(engine)
    if applier.blank:
        applier.keep(ranges or EVERYTHING)
    return applier


def make_engine(kind: str, directory: Path) -> Engine:
    return MemoryEngine() if kind == "memory" else RocksEngine(directory, 1 << 20, 1 << 20)
