"""The adjudicator's shell: routes, channels to the journal, one candidate a stream."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from tausql.adjudicator.bounds import TenureLimits
from tausql.adjudicator.colleagues import OtherHolders
from tausql.adjudicator.estate import EstateLimits
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.others import Others
from tausql.adjudicator.ownership import STREAM_OF_REGISTRY
from tausql.adjudicator.pace import Pace, PaceLimits
from tausql.adjudicator.preference import Preference
from tausql.adjudicator.proposer import ProposerLimits
from tausql.adjudicator.roster import Roster
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.adjudicator.surroundings import Streams
from tausql.adjudicator.takeover import Candidate, CandidateLimits, Won
from tausql.adjudicator.tenure import Tenure
from tausql.adjudicator.watchers import Watchers
from tausql.protocol.adjudicator import (
    Aborted,
    Beat,
    Commit,
    Holding,
    Lag,
    Nudge,
    Outcome,
    Reason,
    Settle,
    StreamSealed,
    TakeRange,
    Undecided,
    Vote,
    WatchBeats,
    WatchHoldings,
)
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.journal import Description, JournalClient
from tausql.protocol.tau import micros_of
from tausql.rpc.interface import Network, Peer, Reply, Routes, Sink
from tausql.runtime import logs
from tausql.runtime.fault_points import DROP_A_NUDGE, fault
from tausql.runtime.fleet import Directory
from tausql.runtime.host import ClockUnsure, Host
from tausql.runtime.process import Process

_DESCRIBE_SECONDS = 0.05  # between questions to a journal that cannot say yet which fleet it is; doubled each time
_DESCRIBE_SECONDS_MAX = 1.0
_WRITER_BITS = 63
_PREFER_SECONDS = 1.0

log = logs.get("adjudicator")


class AdjudicatorService:
    """One adjudicator process: a candidate for every stream, the holder of some."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: AdjudicatorSettings,
        member: Member | None = None,
    ) -> None:
        self.host, self.fleet, self.settings = host, fleet, settings
        self.metrics = AdjudicatorMetrics()
        self.metrics.sample = self._sample
        self._appends_before = [0, 0]  # appends and resends of epochs that are over
        self._moves_before = [0, 0]  # ranges given and taken in them
        self.member = member if member is not None else _member_of(fleet.fleet, host)
        members = sorted(fleet.fleet.journal, key=lambda one: one.name)  # fixed at genesis, however the map changes
        clients = [JournalClient(network.connect(one.address, "journal")) for one in members]
        self.roster = Roster([one.name for one in members], clients)
        self.tenures: dict[int, Tenure] = {}
        self.candidates: dict[int, Candidate] = {}
        self._others = Others(host, network, fleet, self.member.name, self._let_go, self._told)
        self._preference = Preference(self.member.name, self._others.heard)
        self.streams = Streams(
            host, fleet, self.roster, self.tenures, self._others, self._streams_changed, self._read_end
        )
        self._colleagues = OtherHolders(self.tenures, self._others)
        self._far: frozenset[str] = frozenset()  # crossbars of other regions
        self._map_changed()
        fleet.watch(self._map_changed)
        self._holdings = Watchers(settings.watchers_max)
        self._beats = Watchers(settings.watchers_max)
        self._leads: dict[int, Lead] = {}
        pace = PaceLimits(settings.storage_lag_seconds, settings.storage_hold_seconds_max, settings.waiting_max)
        self.pace = Pace(host, pace, self._held)
        self._writer = host.random.getrandbits(_WRITER_BITS)
        self._complaints: dict[int, str] = {}
        self._leaving = False
        self._idle = asyncio.Event()
        self._network = network
        self._network.serve("adjudicator", self._routes())

    def start(self) -> None:
        """Find out which fleet the journal is, then be a candidate for every stream."""
        for index in range(len(self.roster.clients)):
            self._describe(index, _DESCRIBE_SECONDS)

    def ready(self) -> tuple[bool, str]:
        if self._leaving:
            return False, "draining"
        if not self.host.clock.ready:
            return False, "the clock is unsure"
        if not self.roster.ready:
            return False, "no majority of the journal has answered yet"
        return True, ""

    def status(self) -> dict[str, Any]:
        streams = []
        for stream, candidate in sorted(self.candidates.items()):
            tenure = self.tenures.get(stream)
            one: dict[str, Any] = {"stream": stream, "held": tenure is not None and tenure.serving}
            if tenure is None:
                one |= {"holder": candidate.holder, "rank": candidate.rank, "attempts": candidate.attempts}
            else:
                proposer = tenure.proposer
                one |= {
                    "epoch": list(tenure.epoch),
                    "floor": tenure.holding.floor,
                    "limit": proposer.limit,
                    "closed": tenure.heartbeat.closed,
                    "last_seq": proposer.log.last_seq,
                    "commit_seq": proposer.commit_seq,
                    "lead_micros": tenure.lead.micros,
                    "matches": {self.roster.names[one.index]: one.match for one in proposer.replicas},
                    **self._owning(tenure),
                }
            streams.append(one)
        return {"name": self.member.name, "fleet": self.roster.fleet, "streams": streams}

    def _owning(self, tenure: Tenure) -> dict[str, Any]:
        """What control plans by: the ranges of a stream, how busy they are, and who else there is."""
        owned, load = tenure.estate.current, tenure.docket.load
        wanted = [one for one in self.streams.wanted.placement if one.stream == tenure.stream]
        told: dict[str, Any] = {
            "commits": load.total,
            "ranges": load.rows(((one.low, one.high) for one in owned.owned), wanted),
            "given": [{"low": one.low.hex(), "high": one.high.hex(), "to": one.to} for one in owned.given],
        }
        if tenure.estate.streams:
            told["registered"] = [one.stream for one in tenure.estate.streams]
        return told

    async def drain(self) -> None:
        """Hand every stream over and return when none is held any more."""
        self.hand_over()
        await self._idle.wait()

    def hand_over(self) -> None:
        """Stop being a candidate, and end what is held in good order."""
        self._leaving = True
        for candidate in self.candidates.values():
            candidate.stop()
        for tenure in list(self.tenures.values()):
            tenure.hand_over()
        if not self.tenures:
            self._idle.set()

    def stop(self) -> None:
        """End at once."""
        self._leaving = True
        self._others.stop()
        for candidate in self.candidates.values():
            candidate.stop()
        for tenure in list(self.tenures.values()):
            tenure.end("stopped")
        self._holdings.end()
        self._beats.end()

    # the journal

    def _describe(self, index: int, pause: float) -> None:
        if not self._leaving:
            self.roster.clients[index].describe(1.0, partial(self._described, index, pause))

    def _described(self, index: int, pause: float, answer: Any) -> None:
        was_ready = self.roster.ready
        if isinstance(answer, Description):
            complaint = self.roster.describe(index, answer)
            if complaint and self._complaints.get(index) != complaint:
                log.error("a journal replica does not belong here", replica=self.roster.names[index], why=complaint)
            self._complaints[index] = complaint
        if not self.roster.ready:
            self.host.later(pause, self._describe, index, min(pause * 2, _DESCRIBE_SECONDS_MAX))
        elif not was_ready and not self._leaving:
            self._stand()

    def _stand(self) -> None:
        """The fleet is known: be a candidate."""
        self._stand_for(STREAM_OF_REGISTRY, 0)
        self._streams_changed()
        self.fleet.watch(self._rerank)
        self._others.start()
        self.host.later(_PREFER_SECONDS, self._prefer)

    def _stand_for(self, stream: int, start: int) -> None:
        settings = self.settings
        limits = CandidateLimits(settings.probe_seconds, settings.standby_seconds)._replace(
            patience_seconds=settings.patience_seconds
        )
        won = partial(self._won, stream)
        name, rank = self.member.name, self._rank(stream)
        candidate = Candidate(self.host, name, self.roster, stream, rank, self._writer, limits, won)
        candidate.start = start
        self.candidates[stream] = candidate
        candidate.resume()

    def _streams_changed(self) -> None:
        """Be a candidate for every registered stream, and for no other."""
        if self._leaving or not self.roster.ready:
            return
        registered = self.streams.registered
        for stream, start in registered.items():
            if stream not in self.candidates and not self.streams.has_ended(stream):
                self._stand_for(stream, start)
        for stream in [one for one in self.candidates if one not in registered]:
            self.candidates.pop(stream).stop()

    def _read_end(self, stream: int) -> None:
        """What did a stream own at its end? Winning it tells; as nothing can follow its end, that changes nothing."""
        if stream not in self.candidates and not self._leaving and self.roster.ready:
            self._stand_for(stream, 0)

    def _told(self, holding: Holding) -> None:
        """Another one holds a stream: there may be something to give to it."""
        self.streams.hear(holding)
        self._poke()

    def _poke(self) -> None:
        for tenure in list(self.tenures.values()):
            tenure.estate.tick()

    def _prefer(self) -> None:
        """Hand over what somebody else is to hold."""
        if self._leaving:
            return
        self.host.later(_PREFER_SECONDS, self._prefer)
        now = self.host.monotonic()
        for stream, tenure in list(self.tenures.items()):
            if tenure.serving and self._preference.due(self.fleet.fleet, stream, now):
                log.info("a stream is handed over to whom the map prefers", stream=stream)
                tenure.hand_over()

    def _rank(self, stream: int) -> int:
        """How many others are to be preferred as holders of `stream`."""
        return len(self._preference.before(self.fleet.fleet, stream))

    def _let_go(self, stream: int, name: str) -> None:
        """Another one holds `stream` no more: no need to wait for those that cannot be there."""
        if stream in self.candidates and not self._leaving:
            before = self._preference.before(self.fleet.fleet, stream)
            present = [one for one in before if one != name and self._others.heard(one)]
            self.candidates[stream].hurry(len(present))

    def _rerank(self) -> None:
        for stream, candidate in self.candidates.items():
            candidate.rank = self._rank(stream)
        self._poke()

    # holding

    def _won(self, stream: int, won: Won) -> None:
        log.info("epoch granted", stream=stream, epoch=won.epoch[0], last_seq=won.log.last_seq, floor=won.floor)
        settings = self.settings
        if stream not in self.streams.registered:
            if won.sealed:  # and on a majority, or it would be registered
                self.streams.ended(stream, won.ownership)
                self.candidates.pop(stream).stop()
            else:
                self.candidates[stream].lost()
            return
        if stream not in self._leads:
            self._leads[stream] = Lead(settings.lead_start_micros, settings.lead_way_micros, settings.lead_micros_max)
        tenure = Tenure(
            self.host,
            self.member.name,
            self.roster,
            stream,
            won,
            self._leads[stream],
            TenureLimits(
                (settings.transaction_seconds_max + settings.window_margin_seconds) * 1_000_000,
                settings.history_bytes_max,
                settings.outcomes_max,
                settings.limit_ahead_micros,
                settings.limit_seconds_between,
                settings.resign_seconds,
                settings.waiting_max,
            ),
            ProposerLimits(
                settings.in_flight_max,
                settings.append_bytes_max,
                uncommitted_max=settings.uncommitted_max,
                uncommitted_bytes_max=settings.uncommitted_bytes_max,
                append_deadline_seconds=settings.append_deadline_seconds,
            ),
            self.metrics,
            self,
            self._colleagues,
            self.streams,
            EstateLimits(settings.ownership_seconds, settings.seal_seconds),
        )
        self.tenures[stream] = tenure
        tenure.begin()

    def held(self, holding: Holding) -> None:
        """A tenure begins to serve, or ceases to, or judges other ranges than before."""
        before = self._holdings.latest.get(holding.stream)
        if holding.held and not (isinstance(before, Holding) and before.held and before.epoch == holding.epoch):
            self.metrics.takeovers += 1
            log.info("stream held", stream=holding.stream, epoch=holding.epoch[0], floor=holding.floor)
            self.host.soon(self._poke)
        self.streams.hear(holding)
        self._holdings.publish(holding.stream, holding)
        self.metrics.streams_held = sum(tenure.serving for tenure in self.tenures.values())

    def beaten(self, beat: Beat) -> None:
        self.metrics.beats += 1
        self._beats.publish(beat.stream, beat)

    def ended(self, tenure: Tenure, why: str) -> None:
        log.info("stream given up", stream=tenure.stream, epoch=tenure.epoch[0], why=why)
        self.metrics.resignations += 1
        self._appends_before[0] += tenure.proposer.appends
        self._appends_before[1] += tenure.proposer.resends
        self._moves_before[0] += tenure.estate.given
        self._moves_before[1] += tenure.estate.taken
        del self.tenures[tenure.stream]
        self._beats.latest.pop(tenure.stream, None)
        if tenure.sealed is not None:
            self.streams.ended(tenure.stream, tenure.estate.current, tenure.sealed)
        if not self._leaving:
            candidate = self.candidates.get(tenure.stream)
            if candidate is not None and tenure.sealed is None:
                candidate.lost()
        elif not self.tenures:
            self._idle.set()

    # metrics

    def _sample(self) -> None:
        """What is looked at when somebody scrapes."""
        metrics, roster = self.metrics, self.roster
        tenures = self.tenures
        proposers = [tenure.proposer for tenure in tenures.values()]
        metrics.appends = self._appends_before[0] + sum(one.appends for one in proposers)
        metrics.resends = self._appends_before[1] + sum(one.resends for one in proposers)
        metrics.ranges_given = self._moves_before[0] + sum(one.estate.given for one in tenures.values())
        metrics.ranges_taken = self._moves_before[1] + sum(one.estate.taken for one in tenures.values())
        metrics.ranges = {one.stream: len(one.estate.current.owned) for one in tenures.values() if one.serving}
        metrics.registered = len(self.streams.registered)
        metrics.majority = roster.majority
        metrics.held = {stream: stream in tenures and tenures[stream].serving for stream in self.candidates}
        serving = {stream: tenure for stream, tenure in tenures.items() if tenure.serving}
        metrics.epochs = {stream: tenure.epoch[0] for stream, tenure in serving.items()}
        metrics.held_back, metrics.storage_lag_seconds = self.pace.held, self.pace.lag_seconds
        metrics.answers_waiting = sum(len(tenure.answers) for tenure in tenures.values())
        metrics.votes_pending = sum(len(tenure.docket.votes) for tenure in tenures.values())
        metrics.history_keys = sum(tenure.history_keys for tenure in serving.values())
        metrics.acknowledging = {
            (stream, roster.names[one.index]): one.trusted and not one.failures
            for stream, tenure in serving.items()
            for one in tenure.proposer.replicas
        }
        metrics.behind_records = {
            (stream, roster.names[one.index]): tenure.proposer.log.last_seq - max(one.match, 0)
            for stream, tenure in serving.items()
            for one in tenure.proposer.replicas
        }
        try:
            now = self.host.clock.now()
        except ClockUnsure:
            metrics.limit_remaining_seconds = metrics.closed_lag_seconds = {}
            return
        metrics.limit_remaining_seconds = {
            stream: (micros_of(tenure.proposer.limit) - now.latest) / 1e6 for stream, tenure in serving.items()
        }
        metrics.closed_lag_seconds = {
            stream: (now.earliest - micros_of(tenure.heartbeat.closed)) / 1e6 for stream, tenure in serving.items()
        }

    # requests

    def _routes(self) -> Routes:
        return Routes(
            calls={
                Commit: self._commit,
                Vote: self._vote,
                Outcome: self._outcome,
                TakeRange: self._take_range,
                StreamSealed: self._stream_sealed,
            },
            streams={WatchHoldings: self._watch_holdings, WatchBeats: self._watch_beats},
            casts={Nudge: self._nudge, Settle: self._settle, Lag: self._lag},
        )

    def _commit(self, request: Commit, reply: Reply) -> None:
        tenure = self.tenures.get(request.stream)
        if tenure is None:
            self.metrics.aborts[Reason.not_holder] += 1
            reply.answer(Aborted(Reason.not_holder))
        elif self.pace.slow:
            self.pace.hold(request, reply)
        else:
            tenure.docket.commit(request, reply)

    def _held(self, request: Commit, reply: Reply) -> None:
        """A commit that was held back goes on."""
        tenure = self.tenures.get(request.stream)
        if tenure is None:
            self.metrics.aborts[Reason.not_holder] += 1
            reply.answer(Aborted(Reason.not_holder))
        else:
            tenure.docket.commit(request, reply)

    def _lag(self, lag: Lag, _: Peer) -> None:
        self.pace.hear(lag)

    def _vote(self, request: Vote, reply: Reply) -> None:
        tenure = self.tenures.get(request.stream)
        if tenure is None:
            reply.answer(Aborted(Reason.not_holder))
        else:
            tenure.docket.vote(request, reply)

    def _take_range(self, request: TakeRange, reply: Reply) -> None:
        tenure = self.tenures.get(request.to)
        if tenure is None:
            reply.answer(Undecided())
        else:
            tenure.estate.take(request, reply)

    def _stream_sealed(self, request: StreamSealed, reply: Reply) -> None:
        tenure = self.tenures.get(STREAM_OF_REGISTRY)
        if tenure is None:
            reply.answer(Undecided())
        else:
            tenure.estate.remove(request, reply)

    def _settle(self, verdict: Settle, _: Peer) -> None:
        tenure = self.tenures.get(verdict.stream)
        if tenure is not None:
            tenure.docket.settle(verdict)

    def _outcome(self, request: Outcome, reply: Reply) -> None:
        self.metrics.outcomes += 1
        tenure = self.tenures.get(request.stream)
        if tenure is not None:
            reply.answer(tenure.outcome(request))
        elif request.stream in self.candidates:
            reply.answer(Undecided(self.candidates[request.stream].holder))
        else:
            reply.answer(Undecided())

    def _watch_holdings(self, _: WatchHoldings, sink: Sink) -> None:
        self._holdings.add(sink)

    def _watch_beats(self, _: WatchBeats, sink: Sink) -> None:
        self._beats.add(sink)

    def _nudge(self, nudge: Nudge, peer: Peer) -> None:
        self.metrics.nudges += 1
        tenure = self.tenures.get(nudge.stream)
        if tenure is not None and not fault(self.host, DROP_A_NUDGE):
            if peer.name in self._far:
                self._nudged_from_far(tenure, nudge, peer.name)
            tenure.nudge(nudge.tau)

    def _nudged_from_far(self, tenure: Tenure, nudge: Nudge, sender: str) -> None:
        """Readers of another region wait, and their nudge tells how far away they are."""
        try:
            now = self.host.clock.now()
        except ClockUnsure:
            return
        wanted = micros_of(nudge.tau)
        tenure.lead.nudged(sender, now.earliest - wanted, now.latest - wanted, self.host.monotonic())

    def _map_changed(self) -> None:
        fleet = self.fleet.fleet
        self._far = frozenset(one.name for one in fleet.crossbar if one.region not in ("", fleet.region))


def _member_of(fleet: Fleet, host: Host) -> Member:
    """This process's own entry: by name, else by zone."""
    for alike in ("name", "zone"):
        for member in fleet.adjudicator:
            if getattr(member, alike) == getattr(host, alike):
                return member
    raise LookupError(f"no adjudicator of the fleet is named {host.name!r} or lies in zone {host.zone!r}")


def build(process: Process) -> AdjudicatorService:
    return AdjudicatorService(
        process.host, process.network, process.fleet, AdjudicatorSettings(), process.member("adjudicator")
    )
