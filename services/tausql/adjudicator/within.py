"""A call from one stream to another that this very process holds: the answer's way back, without a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.rpc.interface import Cause, Failure, Message, Peer


class _Here:
    """The caller of a call within the process."""

    __slots__ = ()

    name = ""
    connected = True


_HERE = _Here()


class AnswerWithin:
    """A reply that goes straight to `done`."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[Any], None]) -> None:
        self._done = done

    @property
    def peer(self) -> Peer:
        return _HERE

    def answer(self, message: Message) -> None:
        self._done(message)

    def fail(self, cause: Cause, message: str = "") -> None:
        self._done(Failure(cause, message))
