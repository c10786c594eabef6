"""The crossbar's messages: a subscription to a key range of all streams, merged by tau."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tausql.protocol.journal import Epoch
from tausql.rpc.interface import Channel, Stream


class Cursor(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """How far one stream has been taken: every record up to (epoch, seq), filtered ones included."""

    stream: int
    epoch: Epoch
    seq: int


class Subscribe(msgspec.Struct, tag="subscribe", array_like=True, gc=False):
    """Stream request: `Delivery` items for keys in `ranges`, each [low, high), from `cursors` on. `high` b"" = no end.
    Without cursors the registry is read from its start (stream 0), and with it every stream. Refused when a cursor lies
    below the journal's trim point (take a checkpoint from a peer), or when `fleet` is not the journal's."""

    fleet: str  # "" = not known yet: the first delivery tells it
    replica: str  # the subscriber's name
    ranges: tuple[tuple[bytes, bytes], ...]
    watermark: int
    cursors: tuple[Cursor, ...]


class Delivered(msgspec.Struct, array_like=True, gc=False):
    """One committed transaction: the post images that touch the ranges (maybe more: the subscriber filters)."""

    tau: int
    changes: list[int]  # relations whose schema changed at tau
    body: bytes  # MessagePack of list[adjudicator.PostImage], in key order


class Delivery(msgspec.Struct, tag="delivery", array_like=True, gc=False):
    """Records in tau order, all above the last watermark; after them everything at or below `watermark` is complete,
    and `cursors` are where to resume."""

    fleet: str
    records: list[Delivered]
    watermark: int
    cursors: tuple[Cursor, ...]


class Want(msgspec.Struct, tag="want", array_like=True, gc=False):
    """Cast: a read waits for this tau."""

    tau: int


class Durable(msgspec.Struct, tag="durable", array_like=True, gc=False):
    """Cast to every crossbar, now and then: what this replica of these ranges would resume from after losing power."""

    replica: str
    zone: str
    ranges: tuple[tuple[bytes, bytes], ...]
    watermark: int
    cursors: tuple[Cursor, ...]


class CrossbarClient:
    """Typed calls to one crossbar."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def subscribe(
        self, request: Subscribe, on_delivery: Callable[[Delivery], None], on_end: Callable[[Any], None]
    ) -> Stream:
        return self.channel.stream(request, on_delivery, on_end)

    def want(self, tau: int) -> None:
        self.channel.cast(Want(tau))

    def durable(self, report: Durable) -> None:
        self.channel.cast(report)


MESSAGES = Subscribe | Delivery | Want | Durable
