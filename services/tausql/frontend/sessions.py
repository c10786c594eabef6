"""Sessions on processors, wherever those are: in this process by a call, elsewhere over TCP.

Both PostgreSQL clients and HTTP SQL open their sessions here, so where a session runs is decided in one place. A
processor in the same process always gets the session: one hop less is worth more than a better balance.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.frontend import refusals
from tausql.frontend.balance import Balance
from tausql.frontend.cancelling import Cancelling
from tausql.frontend.joining import GreetingTooLong, Joining
from tausql.frontend.loss import Plan
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.moves import Moves
from tausql.frontend.placing import Placing, Refused
from tausql.frontend.relay import RemoteSession
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.witnesses import Witness
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.fleet import Member
from tausql.protocol.processor import (
    PROCESSOR_SHIFT,
    ClientOut,
    Load,
    ProcessorClient,
    SessionHost,
    SessionIn,
    SessionStart,
)
from tausql.rpc.interface import Network, Stream
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host, Timer
from tausql.runtime.tasks import spawn
from tausql.runtime.tls import Tls

WATCH_AGAIN_SECONDS = 0.5
VANISHED_SECONDS = 1.0  # an entry that only changed leaves and joins; one that comes back by then has not vanished

Opened = Callable[[SessionIn | SqlError], None]


class Sessions:
    """Opens and cancels sessions. `local`: the processor of this process, if there is one."""

    def __init__(
        self,
        host: Host,
        network: Network,
        directory: Directory,
        settings: FrontendSettings,
        metrics: FrontendMetrics,
        local: SessionHost | None,
        tls: Tls | None,
    ) -> None:
        self._host = host
        self._network = network
        self._directory = directory
        self._settings = settings
        self._metrics = metrics
        self._local = local
        self.balance = Balance(host.zone)
        self._placing = Placing(settings, directory, self.balance, tls)
        self._moves = Moves(host, settings, metrics, self._placing)
        self._cancelling = Cancelling(settings, self._placing)
        self._members: dict[str, Member] = {}
        self._streams: dict[str, Stream] = {}
        self._timers: dict[str, Timer] = {}
        self._witnesses: dict[str, Witness] = {}  # also those that are not ready
        self._statuses: dict[str, str] = {}
        self._stopped = False

    @property
    def available(self) -> bool:
        """True if a session can be opened now."""
        return self._local is not None or self.balance.available

    def start(self) -> None:
        self._directory.follow("processor", self._host.zone, self._joined, self._left)

    def stop(self) -> None:
        self._stopped = True
        self._moves.stop()
        for stream in self._streams.values():
            stream.cancel()
        for timer in self._timers.values():
            timer.cancel()
        for witness in list(self._witnesses.values()):
            witness.close()
        self._streams.clear()
        self._timers.clear()

    def open(self, start: SessionStart, out: ClientOut, opened: Opened) -> None:
        """A session for `out`. `opened` gets it, or the FATAL error to tell the client: from within `open` where the
        processor is in this process, later otherwise."""
        self._metrics.sessions += 1
        if self._local is not None:
            try:
                session = self._local.attach(start, out)
            except SqlError as error:
                opened(error)
                return
            opened(session)
            return
        spawn("open session", self._open_remote(start, out, opened))

    def cancel(self, process_id: int, secret: int) -> None:
        """Pass a cancel request on to the processor that has the session. Unknown keys are ignored, as PostgreSQL
        does."""
        self._metrics.cancels += 1
        if self._local is not None and self._local.cancel(process_id, secret):
            return
        index = process_id >> PROCESSOR_SHIFT
        members = sorted(self._members.values(), key=lambda member: member.index != index)
        # With a processor of our own the key may still name another process that shares our port.
        if self._local is None or len(members) > 1:
            self._cancelling.cancel(members, index, process_id, secret)

    async def _open_remote(self, start: SessionStart, out: ClientOut, opened: Opened) -> None:
        settings, moves = self._settings, self._moves
        session = RemoteSession(start, out, settings.write_buffer_bytes, self._metrics, moves, self._host.monotonic)

        def joined(joining: Joining, member: Member, witness: Witness | None) -> None:
            session.carried.process_id, session.carried.secret = joining.process_id, joining.secret
            session.statuses = self._statuses_of(joining)
            moves.placed(session, member.name, witness)
            out.write(joining.greeting)
            session.adopt(joining, Plan())
            opened(session)

        try:
            found = await self._placing.join(start, joined, settings.processor_connect_seconds, set())
        except GreetingTooLong:
            opened(SqlError(Code.protocol_violation, "startup parameters are too long", severity="FATAL"))
            return
        if isinstance(found, Refused):
            opened(_as_told(found))
        elif not found:
            self._metrics.refused_no_processor += 1
            opened(refusals.no_processor())

    def _statuses_of(self, joining: Joining) -> dict[str, str]:
        """What its processor has reported: nearly all sessions are told the same, and keep it once."""
        if self._statuses != joining.statuses:
            self._statuses = joining.statuses
        return self._statuses

    # --- who is there --------------------------------------------------------------------------------------------

    def _joined(self, member: Member) -> None:
        if not member.session:
            return
        self._members[member.name] = member
        if self._local is None:
            self.balance.joined(member)
            self._watch(member)
            self._call_witness(member)

    def _left(self, member: Member) -> None:
        self._members.pop(member.name, None)
        self.balance.left(member.name)
        stream = self._streams.pop(member.name, None)
        if stream is not None:
            stream.cancel()
        timer = self._timers.pop(member.name, None)
        if timer is not None:
            timer.cancel()
        self._metrics.processors_known = self.balance.known
        self._host.later(VANISHED_SECONDS, self._look_for, member)

    def _call_witness(self, member: Member) -> None:
        if self._stopped or self._members.get(member.name) is not member:
            return
        witness = Witness(self._host, member, self._witness_ready, self._witness_ended)
        spawn("call witness", self._connect_witness(witness))

    async def _connect_witness(self, witness: Witness) -> None:
        member = witness.member
        if await self._placing.connect(member, witness):
            if witness.ended:
                return
            self._witnesses[member.name] = witness
            if self._stopped or self._members.get(member.name) is not member:
                witness.close()
        else:
            self._host.later(WATCH_AGAIN_SECONDS, self._call_witness, member)

    def _witness_ready(self, witness: Witness) -> None:
        self._placing.witnesses[witness.member.name] = witness

    def _witness_ended(self, witness: Witness) -> None:
        member = witness.member
        for known in (self._witnesses, self._placing.witnesses):
            if known.get(member.name) is witness:
                del known[member.name]
        if not self._stopped:
            # By then its sessions have lost their processor themselves, if it has died.
            self._host.later(WATCH_AGAIN_SECONDS, self._moves.unwitnessed, witness)
            self._host.later(WATCH_AGAIN_SECONDS, self._call_witness, member)

    def _look_for(self, member: Member) -> None:
        now = self._members.get(member.name)
        if not self._stopped and (now is None or now.session != member.session):
            self._moves.vanished(member.name)

    def _watch(self, member: Member) -> None:
        name = member.name
        self._timers.pop(name, None)
        ended = False

        def on_load(load: Load) -> None:
            self.balance.loaded(name, load)
            self._metrics.processors_known = self.balance.known

        def on_end(failure: object) -> None:
            nonlocal ended
            ended = True
            if self._members.get(name) is not member:
                return
            self.balance.lost(name)
            self._metrics.processors_known = self.balance.known
            self._streams.pop(name, None)
            if not self._stopped:
                self._timers[name] = self._host.later(WATCH_AGAIN_SECONDS, self._watch, member)

        client = ProcessorClient(self._network.connect(member.address, "processor"))
        stream = client.watch_load(on_load, on_end)
        if not ended:
            self._streams[name] = stream


def _as_told(refused: Refused) -> SqlError:
    """A processor's refusal, as the error it was."""
    fields = refused.fields
    code = next((code for code in Code if code.sqlstate == fields.get("C")), Code.internal_error)
    return SqlError(
        code, fields.get("M", ""), detail=fields.get("D"), hint=fields.get("H"), severity=fields.get("V", "FATAL")
    )
