"""The adjudicator's shell: routes, channels to the journal, one candidate a stream."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from tausql.adjudicator.bounds import TenureLimits
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.others import Others
from tausql.adjudicator.placement import ranges_of
from tausql.adjudicator.proposer import ProposerLimits
from tausql.adjudicator.roster import Roster
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.adjudicator.takeover import Candidate, CandidateLimits, Won
from tausql.adjudicator.tenure import Tenure
from tausql.adjudicator.watchers import Watchers
from tausql.protocol.adjudicator import (
    Aborted,
    Beat,
    Commit,
    Holding,
    Nudge,
    Outcome,
    Reason,
    Undecided,
    WatchBeats,
    WatchHoldings,
)
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.journal import Description, JournalClient
from tausql.protocol.tau import micros_of
from tausql.rpc.interface import Network, Peer, Reply, Routes, Sink
from tausql.runtime import logs
from tausql.runtime.fleet import Directory
from tausql.runtime.host import ClockUnsure, Host
from tausql.runtime.process import Process

_DESCRIBE_SECONDS = 0.05  # between questions to a journal that cannot say yet which fleet it is; doubled each time
_DESCRIBE_SECONDS_MAX = 1.0
_WRITER_BITS = 63

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
        self.member = member if member is not None else _member_of(fleet.fleet, host)
        members = sorted(fleet.fleet.journal, key=lambda one: one.name)  # fixed at genesis, however the map changes
        clients = [JournalClient(network.connect(one.address, "journal")) for one in members]
        self.roster = Roster([one.name for one in members], clients)
        self.tenures: dict[int, Tenure] = {}
        self.candidates: list[Candidate] = []
        self._others = Others(host, network, fleet, self.member.name, self._let_go)
        self._far: frozenset[str] = frozenset()  # crossbars of other regions
        self._map_changed()
        fleet.watch(self._map_changed)
        self._holdings = Watchers(settings.watchers_max)
        self._beats = Watchers(settings.watchers_max)
        self._leads = [
            Lead(settings.lead_start_micros, settings.lead_way_micros, settings.lead_micros_max)
            for _ in range(fleet.fleet.streams)
        ]
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
        for stream, candidate in enumerate(self.candidates):
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
                }
            streams.append(one)
        return {"name": self.member.name, "fleet": self.roster.fleet, "streams": streams}

    async def drain(self) -> None:
        """Hand every stream over and return when none is held any more."""
        self.hand_over()
        await self._idle.wait()

    def hand_over(self) -> None:
        """Stop being a candidate, and end what is held in good order."""
        self._leaving = True
        for candidate in self.candidates:
            candidate.stop()
        for tenure in list(self.tenures.values()):
            tenure.hand_over()
        if not self.tenures:
            self._idle.set()

    def stop(self) -> None:
        """End at once."""
        self._leaving = True
        self._others.stop()
        for candidate in self.candidates:
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
        settings = self.settings
        writer = self.host.random.getrandbits(_WRITER_BITS)
        limits = CandidateLimits(settings.probe_seconds, settings.standby_seconds)._replace(
            patience_seconds=settings.patience_seconds
        )
        for stream in range(self.fleet.fleet.streams):
            rank = self._rank(stream)
            won = partial(self._won, stream)
            candidate = Candidate(self.host, self.member.name, self.roster, stream, rank, writer, limits, won)
            self.candidates.append(candidate)
            candidate.resume()
        self.fleet.watch(self._rerank)
        self._others.start()

    def _rank(self, stream: int) -> int:
        """How many others are to be preferred as holders of `stream`."""
        return len(self._preferred(stream))

    def _preferred(self, stream: int) -> list[str]:
        """The others that are to be preferred, by name: the streams are dealt out round by round."""
        names = [one.name for one in sorted(self.fleet.fleet.adjudicator, key=lambda one: (one.index, one.name))]
        if not names:
            return []
        first = stream % len(names)
        order = names[first:] + names[:first]
        return order[: order.index(self.member.name)] if self.member.name in order else order

    def _let_go(self, stream: int, name: str) -> None:
        """Another one holds `stream` no more: no need to wait for those that cannot be there."""
        if stream < len(self.candidates) and not self._leaving:
            present = [one for one in self._preferred(stream) if one != name and self._others.heard(one)]
            self.candidates[stream].hurry(len(present))

    def _rerank(self) -> None:
        for stream, candidate in enumerate(self.candidates):
            candidate.rank = self._rank(stream)

    # holding

    def _won(self, stream: int, won: Won) -> None:
        log.info("epoch granted", stream=stream, epoch=won.epoch[0], last_seq=won.log.last_seq, floor=won.floor)
        settings = self.settings
        tenure = Tenure(
            self.host,
            self.member.name,
            self.roster,
            stream,
            won,
            ranges_of(stream, settings.placement),
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
        )
        self.tenures[stream] = tenure
        tenure.begin()

    def held(self, holding: Holding) -> None:
        """A tenure begins to serve, or ceases to."""
        if holding.held:
            self.metrics.takeovers += 1
            log.info("stream held", stream=holding.stream, epoch=holding.epoch[0], floor=holding.floor)
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
        del self.tenures[tenure.stream]
        self._beats.latest.pop(tenure.stream, None)
        if not self._leaving:
            self.candidates[tenure.stream].lost()
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
        metrics.majority = roster.majority
        metrics.held = {stream: stream in tenures and tenures[stream].serving for stream in range(len(self.candidates))}
        serving = {stream: tenure for stream, tenure in tenures.items() if tenure.serving}
        metrics.epochs = {stream: tenure.epoch[0] for stream, tenure in serving.items()}
        metrics.answers_waiting = sum(len(tenure.answers) for tenure in tenures.values())
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
            calls={Commit: self._commit, Outcome: self._outcome},
            streams={WatchHoldings: self._watch_holdings, WatchBeats: self._watch_beats},
            casts={Nudge: self._nudge},
        )

    def _commit(self, request: Commit, reply: Reply) -> None:
        tenure = self.tenures.get(request.stream)
        if tenure is None:
            self.metrics.aborts[Reason.not_holder] += 1
            reply.answer(Aborted(Reason.not_holder))
        else:
            tenure.commit(request, reply)

    def _outcome(self, request: Outcome, reply: Reply) -> None:
        self.metrics.outcomes += 1
        tenure = self.tenures.get(request.stream)
        if tenure is not None:
            reply.answer(tenure.outcome(request))
        elif request.stream < len(self.candidates):
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
        if tenure is not None:
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
