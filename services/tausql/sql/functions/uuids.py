"""gen_random_uuid and its relatives; randomness comes from the context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tausql.sql.functions.function import VOLATILE, Function, declare
from tausql.sql.types.calendar import EPOCH_US


def random_uuid(context: Any) -> bytes:
    """Version 4."""
    raw = bytearray(context.random_bytes(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


def _extract_version(value: bytes) -> int | None:
    return value[6] >> 4 if value[8] & 0xC0 == 0x80 else None


def _extract_timestamp(value: bytes) -> int | None:
    if _extract_version(value) != 1:
        return None
    ticks = int.from_bytes(value[6:8], "big") & 0x0FFF
    ticks = ticks << 48 | int.from_bytes(value[4:6], "big") << 32 | int.from_bytes(value[:4], "big")
    return ticks // 10 - 12_219_292_800_000_000 + EPOCH_US


def functions() -> Iterator[Function]:
    yield declare("gen_random_uuid() uuid", random_uuid, volatility=VOLATILE, context=True)
    yield declare("uuid_extract_version(uuid) int2", _extract_version)
    yield declare("uuid_extract_timestamp(uuid) timestamptz", _extract_timestamp)
