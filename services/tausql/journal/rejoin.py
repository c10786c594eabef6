"""A learner's way back: everything its lost disk may have promised, out of a majority of all others.

Copying any log would not do: the lost disk may have been one of the two that made a record committed, and the one that
is copied the third. So a majority of *all* others must first have recorded the new incarnation (from then on nothing
the lost disk said counts), and the highest promise, the highest limit and the log with the highest (epoch, seq) are
taken out of those very answers. The source goes on changing while its log is copied: every part begins with the last
record already held, which by log matching proves that nothing before it has changed, and the copy must end with
exactly the record that was answered. Else the round begins anew. Copies take room like any record, and a round may
begin anew many times: without room for them a learner waits, or the reserve for its promises would be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tausql.journal.entries import BaseEntry, ClearEntry, Entry, Genesis, LogEntry, LogState
from tausql.protocol.journal import NO_EPOCH, Epoch, Introduced, LogPart, ReadLog, Status, StreamState

PART_BYTES_MAX = 1 << 20


class _Target(Protocol):
    def persist(self, entry: Entry) -> None: ...

    def log_state(self, stream: int) -> LogState: ...

    def ask(self, replica: str, request: ReadLog, round_number: int) -> None: ...

    def has_room(self, size: int) -> bool: ...


class Rejoin:
    """`round_number` tells answers of this round from late ones of others."""

    __slots__ = ("_effects", "_finish", "_got", "_limits", "_need", "_plan", "_promises", "copying", "round_number")

    def __init__(self, others: int, effects: _Target, finish: Callable[[Genesis, list[tuple[int, ...]]], None]) -> None:
        """`finish(genesis, what each knew of incarnations)` is called once everything is written (not yet synced)."""
        self._need = others // 2 + 1
        self._effects = effects
        self._finish = finish
        self.round_number = 0
        self._got: dict[str, Introduced] = {}
        self._plan: list[tuple[StreamState, str]] = []  # (the log to copy, from whom), the present one last
        self._promises: dict[int, Epoch] = {}
        self._limits: dict[int, int] = {}
        self.copying = False

    def restart(self) -> None:
        """Forget the round: something failed or changed."""
        self.round_number += 1
        self._got.clear()
        self._plan.clear()
        self.copying = False

    def heard(self, answer: Introduced) -> None:
        """A voter that has durably recorded this incarnation."""
        if self.copying:
            return
        if any(other.fleet != answer.fleet for other in self._got.values()):
            self.restart()
        self._got[answer.replica] = answer
        if len(self._got) >= self._need and self._effects.has_room(0):
            self._begin()

    def _begin(self) -> None:
        self.round_number += 1
        self.copying = True
        self._effects.persist(ClearEntry())
        best: dict[int, tuple[StreamState, str]] = {}
        self._promises, self._limits = {}, {}
        for name, answer in sorted(self._got.items()):
            for state in answer.streams:
                stream = state.stream
                self._promises[stream] = max(self._promises.get(stream, NO_EPOCH), state.promised)
                self._limits[stream] = max(self._limits.get(stream, 0), state.limit)
                rank = (state.last_epoch, state.last_seq)
                if stream not in best or rank > (best[stream][0].last_epoch, best[stream][0].last_seq):
                    best[stream] = (state, name)
        self._plan = [best[stream] for stream in sorted(best, reverse=True)]
        for state, _ in self._plan:
            if state.trim_seq:
                self._effects.persist(BaseEntry(state.stream, state.trim_epoch, state.trim_seq))
        self._next()

    def _next(self) -> None:
        """Ask for the next part, or finish."""
        while self._plan:
            target, source = self._plan[-1]
            log = self._effects.log_state(target.stream)
            if log.last_seq < target.last_seq:
                begin = log.last_seq if log.last_seq > log.trim_seq else log.last_seq + 1
                request = ReadLog(self._got[source].fleet, target.stream, begin, PART_BYTES_MAX)
                self._effects.ask(source, request, self.round_number)
                return
            if log.last_seq == target.last_seq and log.last_epoch != target.last_epoch:
                self.restart()
                return
            self._plan.pop()
        self._complete()

    def part(self, round_number: int, answer: LogPart) -> None:
        """Records of the log being copied."""
        if round_number != self.round_number or not self.copying:
            return
        target, _ = self._plan[-1]
        log = self._effects.log_state(target.stream)
        if answer.status == Status.trimmed and answer.trim_seq > log.trim_seq:
            self._effects.persist(BaseEntry(target.stream, answer.trim_epoch, answer.trim_seq))
            self._next()
            return
        records = [record for record in answer.records if record.seq <= target.last_seq]
        if answer.status == Status.ok and records and log.last_seq > log.trim_seq:
            overlap = records.pop(0)
            if (overlap.epoch, overlap.seq) != (log.last_epoch, log.last_seq):
                records = []
        if answer.status != Status.ok or not records or records[0].seq != log.last_seq + 1:
            self.restart()
            return
        if not self._effects.has_room(sum(len(record.payload) for record in records)):
            self.restart()
            return
        promised = max(log.promised, records[-1].epoch)
        self._effects.persist(LogEntry(target.stream, promised, log.limit, log.last_seq, records))
        self._next()

    def _complete(self) -> None:
        for stream, promised in sorted(self._promises.items()):
            log = self._effects.log_state(stream)
            highest = max(promised, log.promised, log.last_epoch)
            self._effects.persist(LogEntry(stream, highest, self._limits[stream], log.last_seq, []))
        answers = list(self._got.values())
        self.copying = False
        self._finish(answers[0].genesis, [answer.known for answer in answers])
