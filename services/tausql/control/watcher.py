"""A thread that keeps the loop told of the objects of one kind, for as long as the process lives.

List, then watch from the list's version on; a watch that ends is taken up where it broke, and only where the server has
forgotten that far back is everything listed again. Whatever goes wrong is tried again, at growing and random intervals:
a thousand clients that lost their API server together must not come back together.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from tausql.control.asking import Gone, Trouble
from tausql.control.cluster import Named
from tausql.control.listing import Event, Part

PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 10.0
STEADY_SECONDS = 5.0  # a watch that lasted so long starts the pauses anew
UNDER_WAY_MAX = 256  # reports that the loop has not looked at yet

Thing = TypeVar("Thing", bound=Named)


class Listed(NamedTuple, Generic[Thing]):
    """All there is."""

    things: list[Thing]


class Changed(NamedTuple, Generic[Thing]):
    """What changed; nothing at all: the watch is alive."""

    events: tuple[Event[Thing], ...]


class Failed(NamedTuple):
    """It will be tried again in a while."""

    trouble: Trouble


class Escaped(NamedTuple):
    """The thread has died of a mistake of ours."""

    error: Exception


Report = Listed[Thing] | Changed[Thing] | Failed | Escaped


class Origin(Protocol[Thing]):
    """Where the objects come from: `listing.Source`."""

    def read_all(self) -> tuple[list[Thing], str]: ...

    def watch(self, version: str) -> Iterator[Part[Thing]]: ...

    def interrupt(self) -> None: ...


class Watcher(Generic[Thing]):
    """Reports to `report`, on the loop, by way of `post` (`loop.call_soon_threadsafe`)."""

    def __init__(
        self,
        name: str,
        origin: Origin[Thing],
        post: Callable[..., object],
        report: Callable[[Report[Thing]], None],
    ) -> None:
        self._origin = origin
        self._post = post
        self._report = report
        self._stopping = threading.Event()
        self._room = threading.BoundedSemaphore(UNDER_WAY_MAX)
        self._pause = PAUSE_SECONDS_MIN
        self._chance = random.Random()
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Report nothing more. Does not wait for the thread, which is under way for a few seconds at most."""
        self._stopping.set()
        self._origin.interrupt()

    def join(self, seconds: float) -> bool:
        """Whether the thread has ended; blocks."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        version = ""
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                if not version:
                    things, version = self._origin.read_all()
                    self._say(Listed(things))
                for part in self._origin.watch(version):
                    version = part.version
                    self._say(Changed(part.events))
                    if self._stopping.is_set():
                        return
            except Gone:
                version = ""
            except Trouble as trouble:
                self._say(Failed(trouble))
            except Exception as error:  # nobody else hears of what a thread dies of
                self._say(Escaped(error))
                return
            self._wait(time.monotonic() - began)

    def _wait(self, lasted: float) -> None:
        if lasted >= STEADY_SECONDS:
            self._pause = PAUSE_SECONDS_MIN
        self._stopping.wait(self._pause * self._chance.uniform(0.5, 1.0))
        self._pause = min(self._pause * 2, PAUSE_SECONDS_MAX)

    def _say(self, report: Report[Thing]) -> None:
        while not self._room.acquire(timeout=1.0):
            if self._stopping.is_set():
                return
        if not self._stopping.is_set():
            self._post(self._hear, report)

    def _hear(self, report: Report[Thing]) -> None:
        self._room.release()
        if not self._stopping.is_set():
            self._report(report)
