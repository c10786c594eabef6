"""Sessions that a statement over HTTP has left, for the next one of the same owner.

A statement alone would else open a session each time: that is most of its time, and a cluster's limit on new
connections, which is meant for clients that connect, would be one on statements. A kept session is reset before it is
used again, and only whoever could have opened it gets it. Not for long, so that what was granted or revoked meanwhile
is seen: an idle one a few seconds, a busy one `AGE_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Hashable

from tausql.frontend.http_session import HttpSession
from tausql.runtime.host import Host, Timer

AGE_SECONDS = 60.0
COUNT_MAX = 64


class _Kept:
    __slots__ = ("cluster", "session", "timer")

    def __init__(self, cluster: str, session: HttpSession) -> None:
        self.cluster = cluster
        self.session = session
        self.timer: Timer | None = None


class KeptSessions:
    """By owner; the one left last is taken first, so that those that are not needed grow old. idle_seconds: 0 keeps
    none."""

    def __init__(self, host: Host, idle_seconds: float) -> None:
        self._host = host
        self._idle_seconds = idle_seconds
        self._kept: dict[Hashable, list[_Kept]] = {}
        self._count = 0

    def keep(self, owner: Hashable, cluster: str, session: HttpSession) -> None:
        """It is nobody's now. Where it is old, or there is no room, it is ended."""
        young = self._host.monotonic() - session.born < AGE_SECONDS
        if not (young and session.idle and self._idle_seconds > 0 and self._count < COUNT_MAX):
            session.end()
            return
        kept = _Kept(cluster, session)
        kept.timer = self._host.later(self._idle_seconds, self._expire, owner, kept)
        self._kept.setdefault(owner, []).append(kept)
        self._count += 1

    def take(self, owner: Hashable) -> HttpSession | None:
        """One that still lives."""
        while (listed := self._kept.get(owner)) is not None:
            session = self._remove(owner, listed[-1])
            if session.idle:
                return session
            session.end()
        return None

    def drop_of(self, cluster: str) -> bool:
        """End a cluster's: it is being deleted, or needs the places. False: there were none."""
        found = [(owner, kept) for owner, listed in self._kept.items() for kept in listed if kept.cluster == cluster]
        for owner, kept in found:
            self._remove(owner, kept).end()
        return bool(found)

    def drop_all(self) -> None:
        for owner, listed in list(self._kept.items()):
            for kept in list(listed):
                self._remove(owner, kept).end()

    def __len__(self) -> int:
        return self._count

    def _expire(self, owner: Hashable, kept: _Kept) -> None:
        self._remove(owner, kept).end()

    def _remove(self, owner: Hashable, kept: _Kept) -> HttpSession:
        if kept.timer is not None:
            kept.timer.cancel()
        listed = self._kept[owner]
        listed.remove(kept)
        if not listed:
            del self._kept[owner]
        self._count -= 1
        return kept.session
