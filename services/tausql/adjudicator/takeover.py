"""How a process comes to hold a stream: watch, ask, adopt.

Electing a leader first and opening the log afterwards would need a second agreement beside the log's own. Opening is
the election: whoever a majority of replicas grants the higher epoch holds the stream. What is left to do here is calm:
not to open while the holder is alive, not to get in each other's way, and to be quick when it has died.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from tausql.adjudicator.log import Log
from tausql.adjudicator.ownership import begun, genesis, ownership_of, repeated
from tausql.adjudicator.readback import Readback
from tausql.adjudicator.roster import Roster
from tausql.protocol.journal import (
    Epoch,
    EpochEnd,
    Kind,
    Open,
    Opened,
    Ownership,
    Probe,
    Probed,
    Record,
    Status,
)
from tausql.runtime.host import Host, Timer


class CandidateLimits(NamedTuple):
    """Seconds."""

    probe_seconds: float = 0.1  # nobody seems to hold it
    standby_seconds: float = 0.25  # somebody does
    probe_deadline_seconds: float = 0.25
    open_deadline_seconds: float = 0.5
    patience_seconds: float = 0.04  # for every adjudicator preferred to this one
    backoff_seconds: float = 0.02  # doubled with every attempt lost in a row
    backoff_seconds_max: float = 1.0
    hurry_seconds: float = 0.5  # after the holder let go, or was heard no more
    hurry_probe_seconds: float = 0.005


class Won(NamedTuple):
    """A majority granted `epoch`. `log` is what it adopts, `floor` what it starts above, `last_tau` the tau of the
    log's last record (0 = not known). `ownership`: what the log says last. `sealed`: nothing may follow any more."""

    epoch: Epoch
    log: Log
    readback: Readback
    source: int
    floor: int
    last_tau: int
    ownership: Ownership
    sealed: bool = False


class Candidate:
    """One process's claim to one stream. `rank` 0 = the preferred holder. `on_won` is called once for every `resume`
    that succeeds; the candidate then rests until it is resumed."""

    __slots__ = (
        "_counter",
        "_grantable_since",
        "_grants",
        "_host",
        "_hurried_rank",
        "_hurried_until",
        "_limits",
        "_lost",
        "_name",
        "_on_won",
        "_roster",
        "_round",
        "_stream",
        "_timer",
        "_trip",
        "_trip_before",
        "_waiting",
        "_writer",
        "active",
        "attempts",
        "holder",
        "rank",
        "start",
    )

    def __init__(
        self,
        host: Host,
        name: str,
        roster: Roster,
        stream: int,
        rank: int,
        writer: int,
        limits: CandidateLimits,
        on_won: Callable[[Won], None],
    ) -> None:
        self._host, self._name, self._roster, self._stream, self._writer = host, name, roster, stream, writer
        self.rank = rank
        self._limits, self._on_won = limits, on_won
        self.start = 0  # of a stream: its first epoch begins above it
        self._counter = 0  # the highest epoch counter seen or used: every attempt takes a new one
        self._round = 0  # answers to an earlier round are void
        self._waiting = 0
        self._lost = 0
        self._grantable_since = -1.0
        self._hurried_rank = rank
        self._hurried_until = 0.0
        self._trip = 0.0  # seconds to the farthest replica that answered in this round, and in the one before
        self._trip_before = 0.0
        self._grants: dict[int, Opened] = {}
        self._timer: Timer | None = None
        self.active = False
        self.attempts = 0
        self.holder = ""  # whom the journal heard last

    def resume(self, delay_seconds: float = 0.0) -> None:
        """Be a candidate (again)."""
        self.active = True
        self._grantable_since = -1.0
        self._again(delay_seconds)

    def stop(self) -> None:
        """Want the stream no more."""
        self.active = False
        self._round += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hurry(self, rank: int) -> None:
        """The holder has let go, or is heard no more: look at once, and often for a moment. `rank`: how many of those
        that are there are to be preferred."""
        if not self.active:
            return
        self._hurried_rank = rank
        self._hurried_until = self._host.monotonic() + self._limits.hurry_seconds
        if self._timer is not None:  # else answers are on their way
            self._again(0.0)

    @property
    def _hurried(self) -> bool:
        return self._host.monotonic() < self._hurried_until

    def _again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._round += 1
        self._timer = self._host.later(seconds, self._probe)

    # probing: changes nothing at the replicas

    def _probe(self) -> None:
        self._timer = None
        if not self.active:
            return
        if not self._host.clock.ready:  # a holder that does not know the time is none
            self._again(self._limits.probe_seconds)
            return
        self._round += 1
        self._trip_before, self._trip = self._trip, 0.0
        answers: list[Probed] = []
        self._waiting = len(self._roster.clients)
        request = Probe(self._roster.fleet, self._stream)
        done = partial(self._probed, self._round, self._host.monotonic(), answers)
        for client in self._roster.clients:
            client.probe(request, self._limits.probe_deadline_seconds, done)

    def _probed(self, number: int, sent: float, answers: list[Probed], answer: Any) -> None:
        if number != self._round or not self.active:
            return
        self._waiting -= 1
        if isinstance(answer, Probed):
            answers.append(answer)
            self._trip = self._host.monotonic() - sent
            self._counter = max(self._counter, answer.promised[0])
        grantable = sum(probed.status == Status.ok for probed in answers)
        if grantable >= self._roster.majority:
            self._grantable()
        elif self._waiting == 0 or (grantable + self._waiting < self._roster.majority and self._hurried):
            reluctant = [probed for probed in answers if probed.status == Status.reluctant]
            if reluctant:
                self.holder = reluctant[0].holder
            self._grantable_since = -1.0
            if self._hurried:
                self._again(self._limits.hurry_probe_seconds)
            else:
                self._again(self._limits.standby_seconds if reluctant else self._limits.probe_seconds)

    def _grantable(self) -> None:
        """A majority would grant. The preferred holder goes at once, the others give it time, and look again: more
        where it may be in another region, and its own way to a majority is longer than ours."""
        now = self._host.monotonic()
        if self._grantable_since < 0.0:
            self._grantable_since = now
        rank = self._hurried_rank if self._hurried else self.rank
        patience = (self._limits.patience_seconds + max(self._trip, self._trip_before)) * rank
        waited = now - self._grantable_since
        if waited + 0.0005 >= patience:
            self._open()
        else:
            self._again((patience - waited) * (1.0 + 0.1 * self._host.random.random()))

    # opening

    def _open(self) -> None:
        self._round += 1
        self._counter += 1
        self.attempts += 1
        self._grants = {}
        self._waiting = len(self._roster.clients)
        epoch = (self._counter, self._writer)
        request = Open(self._roster.fleet, self._stream, epoch, self._name)
        for index, client in enumerate(self._roster.clients):
            done = partial(self._opened, self._round, epoch, index)
            client.open(request, self._limits.open_deadline_seconds, done)

    def _opened(self, number: int, epoch: Epoch, index: int, answer: Any) -> None:
        if number != self._round or not self.active:
            return
        self._waiting -= 1
        if isinstance(answer, Opened):
            self._counter = max(self._counter, answer.promised[0])
            if self._roster.current(index, answer.incarnation, answer.known) and answer.status == Status.ok:
                self._grants[index] = answer
        newest = self._roster.newest
        grants = {at: grant for at, grant in self._grants.items() if grant.incarnation == newest[at]}
        if len(grants) >= self._roster.majority:
            self._round += 1
            self._adopt(epoch, grants)
        elif self._waiting == 0:
            self._fail()

    def _fail(self) -> None:
        """Somebody else was faster, or too few replicas answer."""
        limits = self._limits
        self._grantable_since = -1.0
        backoff = min(limits.backoff_seconds * (1 << min(self._lost, 10)), limits.backoff_seconds_max)
        self._lost += 1
        self._again(backoff * (0.5 + self._host.random.random()))

    def _adopt(self, epoch: Epoch, grants: dict[int, Opened]) -> None:
        """The log with the highest (epoch, seq) holds everything that was ever committed; the highest limit bounds
        everything that was ever handed out."""
        source = max(grants, key=lambda index: _end(grants[index]))
        chosen = grants[source]
        _, last_seq = _end(chosen)
        floor = max(grant.limit for grant in grants.values())
        log = Log(chosen.history, last_seq, chosen.trim_epoch, chosen.trim_seq, floor)
        readback = Readback(self._roster, self._stream, log, source)
        last_tau = max(grant.last_tau for grant in grants.values() if _end(grant) == _end(chosen))
        won = Won(epoch, log, readback, source, floor, last_tau, genesis(self._stream))
        if last_seq == 0:
            log.tau = max(floor, self.start)
            self._win(won._replace(floor=log.tau))
            return
        alike = [index for index, grant in grants.items() if _end(grant) == _end(chosen)]
        self._read(won, alike, last_seq, partial(self._adopt_end, won, alike, chosen.ownership_seq))

    def _read(self, won: Won, alike: list[int], seq: int, then: Callable[[Record], None]) -> None:
        """Have the record at `seq` of the adopted log from one of the replicas that granted with it, or the next."""
        number, tries = self._round, iter(range(len(alike)))

        def ask() -> None:
            if next(tries, None) is None:
                self._fail()
            else:
                won.readback.read(seq, alike, -1, got, bytes_max=1)

        def got(_: int, __: int, records: list[Record] | None) -> None:
            if number != self._round or not self.active:
                return
            if records:
                then(records[0])
            else:
                ask()

        ask()

    def _adopt_end(self, won: Won, alike: list[int], ownership_seq: int, last: Record) -> None:
        """A planned handover says how far its epoch went: the next may start there instead of at the limit. Who judges
        what is nowhere but in the log: without that nothing may begin."""
        if last.kind == Kind.epoch_end:
            end = msgspec.msgpack.decode(last.payload, type=EpochEnd)
            won.log.tau = end.high
            won = won._replace(floor=end.high, sealed=end.sealed)
        if last.seq == ownership_seq:
            self._adopt_ownership(won, last)
        elif ownership_seq:
            self._read(won, alike, ownership_seq, partial(self._adopt_ownership, won))
        else:
            self._fail()

    def _adopt_ownership(self, won: Won, record: Record) -> None:
        self._win(won._replace(ownership=repeated(begun(ownership_of(record), won.floor))))

    def _win(self, won: Won) -> None:
        self.active = False
        self._hurried_until = 0.0
        self._lost = 0
        self.holder = self._name
        self._on_won(won)

    def lost(self) -> None:
        """What was won is lost again: stand back a little and go on."""
        self.active = True
        self._fail()


def _end(grant: Opened) -> tuple[Epoch, int]:
    """Where a replica's log ends; a trimmed log ends at least at its base."""
    return max((grant.last_epoch, grant.last_seq), (grant.trim_epoch, grant.trim_seq))
