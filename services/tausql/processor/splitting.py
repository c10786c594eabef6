"""One read asked of several replicas side by side, and one answer made of theirs.

Rows that lie in different shards may well be kept by different replicas. Each part is a read of its own, hedged and
tried again for itself, at the same snapshot: what they say together is what one replica with all the rows would say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.replicas import Group, Replica
from tausql.protocol.storage import Page, Read, Rows


class Running(Protocol):
    """A read under way."""

    def drop(self) -> None: ...


class Reader(Protocol):
    """Who reads the parts."""

    metrics: ProcessorMetrics

    def begin(self, request: Read, target: Any, deadline: float, asked: Collection[Replica]) -> Running: ...


class Target(Protocol):
    """Who wants the answer."""

    def resolve(self, value: Rows) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Split:
    """A read in parts. `asked`: replicas not to be asked at first; `deadline`: monotonic seconds."""

    __slots__ = ("_asked", "_deadline", "_left", "_newest", "_pages", "_parts", "_reader", "_target", "_values", "done")

    def __init__(
        self,
        reader: Reader,
        request: Read,
        groups: Sequence[Group],
        target: Target,
        deadline: float,
        asked: Collection[Replica],
    ) -> None:
        self._reader = reader
        self._target = target
        self._deadline = deadline
        self._asked = asked
        self._newest = 0
        self._values: list[bytes | None] = [None] * len(request.gets)
        self._pages: list[Page | None] = [None] * len(request.scans)
        self._parts = [_Part(self, request, group) for group in groups]
        self._left = len(self._parts)
        self.done = False

    def begin(self) -> None:
        """Ask. May be answered, or fail, before this returns."""
        self._reader.metrics.reads_split += 1
        for part in self._parts:
            if self.done:
                return
            part.ask()

    def drop(self) -> None:
        """Nobody wants the answer any more."""
        self.done = True
        for part in self._parts:
            part.drop()

    def ask(self, request: Read, part: _Part) -> Running:
        return self._reader.begin(request, part, self._deadline, self._asked)

    def values(self, places: Sequence[int], values: Sequence[bytes | None]) -> None:
        for place, value in zip(places, values, strict=True):
            self._values[place] = value

    def pages(self, places: Sequence[int], pages: Sequence[Page]) -> None:
        for place, page in zip(places, pages, strict=True):
            self._pages[place] = page

    def touched(self, newest: int) -> None:
        if newest > self._newest:
            self._newest = newest

    def ended(self) -> None:
        """A part is complete."""
        self._left -= 1
        if not self._left and not self.done:
            self.done = True
            self._target.resolve(Rows(self._newest, self._values, [page for page in self._pages if page is not None]))

    def failed(self, error: Exception) -> None:
        if not self.done:
            self.drop()
            self._target.fail(error)


class _Part:
    """What one replica is asked for. The target of its own read."""

    __slots__ = ("_gets", "_request", "_running", "_scans", "_split")

    def __init__(self, split: Split, request: Read, group: Group) -> None:
        self._split = split
        self._request = request
        self._gets = group.gets  # places among the gets of the whole read, those still to be read
        self._scans = group.scans
        self._running: Running | None = None

    def ask(self) -> None:
        whole = self._request
        gets = [whole.gets[place] for place in self._gets]
        scans = [whole.scans[place] for place in self._scans]
        self._running = self._split.ask(Read(whole.tau, whole.schema, gets, scans), self)

    def drop(self) -> None:
        if self._running is not None:
            self._running.drop()

    def resolve(self, rows: Rows) -> None:
        split = self._split
        if split.done:
            return
        split.touched(rows.newest)
        split.pages(self._scans, rows.pages)
        read = len(rows.values)
        split.values(self._gets[:read], rows.values)
        if read < len(self._gets):  # large rows: more than one answer holds
            self._gets, self._scans = self._gets[read:], []
            self.ask()
        else:
            split.ended()

    def fail(self, error: Exception) -> None:
        self._split.failed(error)
