"""Reading the log back from a replica: for a replica that lags, for outcomes of earlier epochs, for a handover's end.

The proposer adopted a log by its end alone; the records themselves stay on the disks until somebody needs them. A
replica may have been overwritten by a higher epoch meanwhile, so every record read is compared, by position and epoch,
with the adopted history before anyone uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tausql.adjudicator.log import Log
from tausql.adjudicator.roster import Roster
from tausql.protocol.journal import LogPart, ReadLog, Record, Status

ReadDone = Callable[[int, int, "list[Record] | None"], None]  # (tag, first seq, records; None: try again later)


class Readback:
    """Reads of one stream's adopted log. `source` is the replica whose log was adopted."""

    __slots__ = ("_bytes_max", "_deadline_seconds", "_log", "_roster", "_source", "_stream", "_turn")

    def __init__(
        self,
        roster: Roster,
        stream: int,
        log: Log,
        source: int,
        bytes_max: int = 1 << 20,
        deadline_seconds: float = 2.0,
    ) -> None:
        self._roster = roster
        self._stream = stream
        self._log = log
        self._source = source
        self._bytes_max = bytes_max
        self._deadline_seconds = deadline_seconds
        self._turn = 0

    def read(self, seq: int, holders: Sequence[int], tag: int, done: ReadDone, bytes_max: int = 0) -> bool:
        """Ask one of `holders` (replicas known to hold our log), or the source, for the records from `seq` on. False:
        there is nobody to ask but the replica `tag` itself."""
        known = [index for index in holders if index != tag] or [self._source]
        self._turn += 1
        replica = known[self._turn % len(known)]
        if replica == tag:
            return False
        request = ReadLog(self._roster.fleet, self._stream, seq, bytes_max or self._bytes_max)
        client = self._roster.clients[replica]
        client.read_log(request, self._deadline_seconds, partial(self._got, tag, seq, done))
        return True

    @property
    def trim_seq(self) -> int:
        """Up to where the log is known to be gone."""
        return self._log.trim_seq

    def _got(self, tag: int, seq: int, done: ReadDone, answer: Any) -> None:
        if isinstance(answer, LogPart) and answer.status == Status.ok:
            records = [record for record in answer.records if record.seq <= self._log.last_seq]
            if self._log.matches(records, seq):
                done(tag, seq, records)
                return
        elif isinstance(answer, LogPart) and answer.status == Status.trimmed:
            self._log.trimmed(answer.trim_seq)
        done(tag, seq, None)
