"""How long this process itself was kept waiting.

On a machine that is busy with something else nobody is served for a while, and no fault is to blame. One thread only
wants to wake up fifty times a second, and one to sync a few bytes to the fleet's disk five times a second: they feel
the machine as the fleet does, and what they felt is told beside the figures.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

BEAT_SECONDS = 0.02
SYNC_SECONDS = 0.2


class Pulse:
    """`longest` delay of a beat, `longest_sync` of a sync in `folder` (None: nothing is synced), in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, folder: Path | None = None) -> None:
        self._clock = clock
        self._stop = threading.Event()
        self._folder = folder
        self._threads = [threading.Thread(target=self._beat, name="chaos-pulse", daemon=True)]
        if folder is not None:
            self._threads.append(threading.Thread(target=self._sync, args=(folder,), name="chaos-sync", daemon=True))
        self.longest = 0.0
        self.longest_sync = 0.0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _beat(self) -> None:
        due = self._clock() + BEAT_SECONDS
        while not self._stop.wait(max(0.0, due - self._clock())):
            now = self._clock()
            self.longest = max(self.longest, now - due)
            due = now + BEAT_SECONDS

    def _sync(self, folder: Path) -> None:
        path = folder / f".chaos-{os.getpid()}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not self._stop.wait(SYNC_SECONDS):
                begun = self._clock()
                os.pwrite(descriptor, b"pulse", 0)
                os.fsync(descriptor)
                self.longest_sync = max(self.longest_sync, self._clock() - begun)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
