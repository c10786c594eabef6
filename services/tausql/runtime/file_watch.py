"""Notices that files were replaced.

Kubernetes swaps a mounted Secret by turning a symbolic link, which notifies nobody who watches the files themselves;
a look every few seconds at what the names lead to works for every way of replacing a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tausql.runtime.host import Host, Timer

SECONDS_BETWEEN = 10.0  # a Secret takes a minute to reach the node anyway

_Mark = tuple[tuple[int, int, int], ...]
_MISSING = (0, 0, 0)


class FileWatch:
    """Calls `changed` after any of `paths` was replaced, appeared or disappeared.

    What counts as unchanged is what was there when the watch was made, or when `changed` was last called: read the
    files after making it, and a replacement meanwhile is noticed.
    """

    __slots__ = ("_changed", "_host", "_mark", "_paths", "_seconds", "_timer")

    def __init__(
        self, host: Host, paths: Iterable[Path], changed: Callable[[], None], seconds: float = SECONDS_BETWEEN
    ) -> None:
        self._host = host
        self._paths = tuple(paths)
        self._changed = changed
        self._seconds = seconds
        self._timer: Timer | None = None
        self._mark = self._look()

    def start(self) -> None:
        self._timer = self._host.later(self._seconds, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Look now."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            self._changed()

    def _tick(self) -> None:
        self.look()
        self.start()

    def _look(self) -> _Mark:
        return tuple(_mark_of(path) for path in self._paths)


def _mark_of(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:  # gone, or in the middle of being swapped
        return _MISSING
    return found.st_ino, found.st_mtime_ns, found.st_size
