"""The transport between services of one process: the same core, lists instead of bytes.

Calling the other service's handler directly would be cheaper still, and wrong: it would run within the caller's own
step, half way through its state change. Delivery is by the turn's flush, so a burst costs one `soon`.
"""

from __future__ import annotations

from typing import Any

from tausql.rpc.answering import Answerer
from tausql.rpc.calling import Caller
from tausql.rpc.interface import Cause, Encoded, Message

ITEM_BYTES = 1024  # what an item counts for in its stream's window: objects have no size worth finding out


def measure(message: Message) -> tuple[Any, int]:
    return message, ITEM_BYTES


class MemoryLink:
    """Joins this process's caller to its own answerer, for as long as the process lives."""

    def __init__(self, caller: Caller, answerer: Answerer) -> None:
        self._caller = caller
        self._answerer = answerer

    def open(self) -> None:
        self._answerer.opened(self._to_caller, _never)
        self._caller.opened(self._to_answerer, _never)

    def close(self) -> None:
        self._answerer.lost()
        self._caller.lost(Cause.cancelled, "the channel was closed")

    def _to_answerer(self, entries: list[Any]) -> None:
        self._answerer.receive(_bare(entries), 0)

    def _to_caller(self, entries: list[Any]) -> None:
        self._caller.receive(_bare(entries), len(entries) * (ITEM_BYTES // 2))


def _bare(entries: list[Any]) -> list[Any]:
    return [entry.message if type(entry) is Encoded else entry for entry in entries]


def _never() -> bool:
    return False
