"""Every error that a client met, and when: whether one was to be expected depends on what was broken at that moment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

import msgspec

from tausql.chaos.sessions import ClientError

KEPT_MAX = 200_000  # some 60 MB; a run that meets more has failed anyway
TEXT_MAX = 300


class Met(msgspec.Struct, frozen=True):
    """`load`: what the client was doing (`lists`, `inserts`, `reads`). `begun`, `ended`: when the round that failed
    began and when it was told, in seconds of the run's clock."""

    load: str
    code: str
    text: str
    begun: float
    ended: float


class Errors:
    """Filled by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.met: list[Met] = []
        self.left_out = 0  # more than KEPT_MAX

    def note(self, load: str, begun: float, ended: float, error: ClientError) -> None:
        with self._lock:
            if len(self.met) >= KEPT_MAX:
                self.left_out += 1
            else:
                text = " ".join(error.text.split())[:TEXT_MAX]
                self.met.append(Met(load, error.code, text, begun, ended))


def by_code(met: Iterable[Met]) -> dict[str, int]:
    """Counts, most frequent first."""
    return dict(Counter(one.code for one in met).most_common())
