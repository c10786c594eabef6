"""What travels in one WebSocket message: a MessagePack array of (head, message) pairs.

A frame an exchange would cost two system calls and a parser's start-up each time; so everything that waits for the same
peer goes as one array, and is decoded in one step by one decoder that knows every message type. The head is a single
integer, the message either a struct of the protocol or one of the few control values below.

    head = id << 8 | service << 3 | kind        id: of the call or stream, 0 for casts; service: number agreed by `bind`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tausql.rpc.interface import Cause, Encoded, Failure

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
FRAME_BYTES_MAX = MESSAGE_BYTES_MAX + 1024  # a single message of the greatest size, and its head
VERSION = 1

# From the client.
CALL = 0
CAST = 1
STREAM = 2
CANCEL = 3  # None: the client wants no more of the stream
CREDIT = 4  # int: so many more items of the stream were consumed
BIND = 5  # str: the name of the service that `service` stands for from now on
# From the server.
ANSWER = 0
FAIL = 1  # RpcFailure
ITEM = 2
END = 3  # RpcFailure, or None in good order
# From both.
HELLO = 7  # RpcHello, the first message of either side

ID_MAX = (1 << 24) - 1
SERVICES_MAX = 32


class RpcHello(msgspec.Struct, tag="rpc_hello", array_like=True, gc=False):
    """Who speaks."""

    version: int
    name: str  # of the process


class RpcFailure(msgspec.Struct, tag="rpc_failure", array_like=True, gc=False):
    """A `Failure` on the wire."""

    cause: Cause
    message: str = ""


class BrokenFrame(Exception):
    """The peer does not speak this protocol: the connection is of no use."""


class Unreadable:
    """Stands for a single message that could not be decoded, where the rest of its frame could."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


_BROKEN = (msgspec.DecodeError, RecursionError)


class Codec:
    """Packs and unpacks frames. `messages`: the union of all struct types of the protocol."""

    def __init__(self, messages: Any) -> None:
        self._plain = msgspec.msgpack.Encoder()
        self._encoder = msgspec.msgpack.Encoder(enc_hook=self._as_raw)
        control = int | str | None | RpcHello | RpcFailure
        self._decoder: msgspec.msgpack.Decoder[list[Any]] = msgspec.msgpack.Decoder(list[control | messages])
        self._one: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(control | messages)
        self._apart: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])

    def pack_message(self, message: Any) -> bytes:
        """The bytes of one struct; of an `Encoded`, made once and kept there. Raises TypeError, OverflowError or
        ValueError for what MessagePack cannot hold."""
        if type(message) is Encoded:
            packed = message.packed
            if packed is None:
                packed = message.packed = self._plain.encode(message.message)
            return packed
        return self._plain.encode(message)

    def pack(self, entries: list[Any]) -> bytes:
        """One frame of `entries` = [head, message, head, message, ...]."""
        return self._encoder.encode(entries)

    def _as_raw(self, message: Any) -> msgspec.Raw:
        if type(message) is not Encoded:
            raise TypeError(f"{type(message).__name__} cannot be sent")
        return msgspec.Raw(self.pack_message(message))

    def unpack(self, frame: bytes | memoryview) -> list[Any]:
        """The entries of a frame. Raises `BrokenFrame`; a lone message that does not decode becomes `Unreadable`.

        That heads are integers and in pairs is not looked at: a receiver stumbles over it, and asks `well_formed` then.
        """
        try:
            entries = self._decoder.decode(frame)
        except (msgspec.ValidationError, UnicodeDecodeError):
            entries = self._unpack_apart(bytes(frame))
        except _BROKEN as error:
            raise BrokenFrame(str(error)) from error
        return entries

    def _unpack_apart(self, frame: bytes) -> list[Any]:
        try:
            parts = self._apart.decode(frame)
        except _BROKEN as error:
            raise BrokenFrame(str(error)) from error
        entries: list[Any] = []
        for part in parts:
            try:
                entries.append(self._one.decode(part))
            except (*_BROKEN, UnicodeDecodeError) as error:
                entries.append(Unreadable(str(error)))
        return entries


def well_formed(entries: list[Any]) -> bool:
    """Whether `entries` are pairs that begin with an integer each."""
    return not len(entries) & 1 and all(type(head) is int for head in entries[::2])


def failure_of(message: Any) -> Failure:
    """The `Failure` that an RpcFailure, or something broken in its place, stands for."""
    if type(message) is RpcFailure:
        return Failure(message.cause, message.message)
    return Failure(Cause.unavailable, "the answer could not be read")


def split(entries: Sequence[Any], sizes: Sequence[int], bytes_max: int) -> list[list[Any]]:
    """Divide `entries` (pairs; `sizes` one a pair) into runs of at most `bytes_max`, a larger pair alone."""
    runs: list[list[Any]] = []
    room = -1
    for number, size in enumerate(sizes):
        if size > room:
            runs.append([])
            room = bytes_max
        runs[-1] += (entries[2 * number], entries[2 * number + 1])
        room -= size
    return runs
