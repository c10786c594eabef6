"""What a session consists of, and what all sessions of a processor share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tausql.pgwire import backend
from tausql.pgwire.messages import FrontendMessage
from tausql.processor.block import Block
from tausql.processor.carrying import Carried
from tausql.processor.demands import Demands
from tausql.processor.faults import Faults
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.output import ClientGone, Output
from tausql.processor.parameters import Known, SessionParameters
from tausql.processor.portals import Portal, PreparedStatement
from tausql.processor.reg_names import RegNames
from tausql.processor.sequences import SessionSequences
from tausql.processor.temporary import IMMOVABLE, TemporaryTables
from tausql.processor.transaction import EPOCH_2000_MICROS
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import ClientOut
from tausql.runtime.host import Host
from tausql.sql.catalogue.objects import Objects
from tausql.sql.engine import ResultColumn
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.plans import PlanCache
from tausql.sql.statements import Statement
from tausql.sql.system import SystemRelations

if TYPE_CHECKING:
    from tausql.processor.tenant import Tenant

STATEMENTS_MAX = 10_000  # prepared statements of one session
STATEMENT_CHARACTERS_MAX = 16 * 1024 * 1024  # of all its named ones together
PORTALS_MAX = 1_000
PORTAL_BYTES_MAX = 64 * 1024 * 1024  # of the parameters bound to all its named ones together


class Procedures(Protocol):
    """What CALL may call. Implementers await only what `processor.coroutines` offers."""

    def columns(self, statement: Statement) -> tuple[ResultColumn, ...] | None:
        """What the call answers with. Raises SqlError for a procedure that does not exist."""
        ...

    def call(self, statement: Statement, context: Context) -> Awaitable[list[list[Any]]]:
        """Run it, outside any transaction; its rows."""
        ...


class Shared:
    """What the sessions of one cluster stand on that have the same switches."""

    __slots__ = (
        "catalogue",
        "clock",
        "demands",
        "host",
        "known",
        "metrics",
        "on_jobs",
        "plans",
        "procedures",
        "random",
        "random_bytes",
        "removal",
        "sequences",
        "share",
        "statistics",
        "system",
        "tenant",
        "transactions",
    )

    def __init__(
        self,
        tenant: Tenant,
        host: Host,
        metrics: ProcessorMetrics,
        plans: PlanCache,
        known: Known,
        system: SystemRelations | None,
        procedures: Procedures | None,
        removal: bool = False,
    ) -> None:
        self.tenant = tenant
        self.share = tenant.share  # of the processor's time
        self.removal = removal  # control's, which removes the cluster
        self.host = host
        self.statistics = tenant.statistics
        self.sequences = tenant.sequences
        transactions = tenant.transactions
        latest = transactions.snapshots.latest
        self.clock: Callable[[], int] = lambda: latest() - EPOCH_2000_MICROS
        self.random: Callable[[], float] = host.random.random
        self.random_bytes: Callable[[int], bytes] = host.random.randbytes
        self.procedures = procedures
        self.transactions = transactions
        self.catalogue = tenant.catalogue
        self.plans = plans
        self.known = known
        self.demands: Demands | None = None  # where things go wrong on demand
        self.system = system
        self.metrics = metrics
        self.on_jobs: Callable[[], None] = tenant.jobs_entered


class SessionState:
    """One session, without the loop that works off its messages.

    next_message: the client's next message, for COPY FROM STDIN; waits for it.
    """

    __slots__ = (
        "_facts",
        "_sequences",
        "block",
        "carried",
        "database",
        "next_message",
        "output",
        "parameters",
        "portal_bytes",
        "portals",
        "prepared",
        "process_id",
        "shared",
        "statement_characters",
        "user",
    )

    def __init__(
        self,
        shared: Shared,
        process_id: int,
        user: str,
        database: str,
        out: ClientOut,
        next_message: Callable[[], Awaitable[FrontendMessage]],
    ) -> None:
        self.shared = shared
        self.process_id = process_id
        self.user = user
        self.database = database
        self.next_message = next_message
        self.parameters = SessionParameters(user, shared.known)
        self.output = Output(out, shared.metrics)
        self.prepared: dict[str, PreparedStatement] = {}
        self.statement_characters = 0
        self.portals: dict[str, Portal] = {}
        self.portal_bytes = 0
        self.block = Block(
            shared.transactions,
            shared.catalogue,
            self.parameters,
            shared.metrics,
            self._close_portals,
            shared.on_jobs,
            shared.plans.dialect.extensions,
        )
        if shared.demands is not None:
            self.block.faults = Faults(shared.demands.common)
        self.carried: Carried | None = None  # what a frontend of another process is told; None: there is none
        self._facts: SessionFacts | None = None
        self._sequences: SessionSequences | None = None
        names = RegNames(shared.catalogue, self.block, self.parameters)
        self.parameters.format.resolve_reg = names.resolve
        self.parameters.format.name_reg = names.name
        self.parameters.format.enum_order = names.order
        self.parameters.format.enum_label = names.label

    def let_go(self) -> None:
        """Nothing of the session runs any more: cut the circles its parts know each other in."""
        self.next_message = _nobody
        self._facts = None
        self.block.let_go()
        format = self.parameters.format
        format.resolve_reg = format.name_reg = None
        format.enum_order = format.enum_label = None

    def sequences(self) -> SessionSequences:
        """What the session knows of sequences: most sessions never ask."""
        sequences = self._sequences
        if sequences is None:
            sequences = self._sequences = SessionSequences(self.shared.sequences, self.shared.catalogue, self)
        return sequences

    def facts(self) -> SessionFacts:
        """What functions like current_user and current_setting() are told."""
        facts = self._facts
        parameters = self.parameters
        user = parameters.role or self.user
        if facts is None or facts.search_path is not parameters.search_path or facts.user != user:
            facts = self._facts = SessionFacts(
                user=user,
                session_user=self.user,
                database=self.database,
                search_path=parameters.search_path,
                settings=parameters.values,
                pid=self.process_id,
                set_config=self.set_config,
            )
        return facts

    def set_parameter(self, name: str, value: str | Sequence[str] | None, local: bool, listed: bool = False) -> None:
        """SET, in the present transaction. Raises what `SessionParameters.set` does; for a role that cannot be taken
        on 22023 or 42501."""
        parameters = self.parameters
        parameters.check_settable(name, local)
        if name.lower() == "role" and isinstance(value, str) and value.lower() != "none":
            catalogue = self.shared.catalogue
            snapshot = catalogue.at_hand(self.block.transaction) or catalogue.shared
            if snapshot is None:  # a moment after the cluster's first session came: who may be whom is not known yet
                raise SqlError(Code.cannot_connect_now, "the catalogue has not been read yet")
            check_role(snapshot.objects, self.user, value)
        parameters.set(name, value, local, listed)

    def set_config(self, name: str, value: str | None, local: bool) -> str:
        """set_config(): the value as SHOW tells it."""
        self.block.current()
        self.set_parameter(name, value, local, listed=True)
        return self.parameters.show(name)[1]

    def begin_temporary(self) -> None:
        """The session makes its first temporary table: from now on it sees the schema through its own."""
        block = self.block
        if block.temporary is None:
            block.temporary = TemporaryTables(self.shared.catalogue.cluster, self.shared.plans.dialect)
            block.current().temporary = block.temporary
            self.parameters.look_at_temporary()
            if self.carried is not None:
                self.carried.stay(IMMOVABLE)

    def notice(self, notice: SqlError) -> None:
        if self.parameters.wants(notice.severity):
            self.output.add(backend.notice_response(notice))

    def ready(self) -> None:
        """ReadyForQuery, after word of parameters that have changed."""
        output = self.output
        if self.parameters.values_changed:
            for name, value in self.parameters.news():
                output.add(backend.parameter_status(name, value))
        if self.carried is not None:
            self.carried.before_ready()
        output.add(self.block.ready)
        output.due = True

    # --- prepared statements and portals -------------------------------------------------------------------------

    def statement(self, name: str) -> PreparedStatement:
        """Raises 26000 for one that does not exist."""
        prepared = self.prepared.get(name)
        if prepared is None:
            what = (
                f'prepared statement "{name}" does not exist' if name else "unnamed prepared statement does not exist"
            )
            raise SqlError(Code.invalid_sql_statement_name, what)
        return prepared

    def keep_statement(self, prepared: PreparedStatement) -> None:
        """Raises 42P05 for a name that is taken, 54000 beyond the limit."""
        name = prepared.name
        if name:
            if name in self.prepared:
                raise SqlError(Code.duplicate_prepared_statement, f'prepared statement "{name}" already exists')
            size = self.statement_characters + prepared.characters
            if len(self.prepared) >= STATEMENTS_MAX or size > STATEMENT_CHARACTERS_MAX:
                raise SqlError(
                    Code.program_limit_exceeded,
                    "too many prepared statements",
                    detail=f"A session can have {STATEMENTS_MAX} of them, with {STATEMENT_CHARACTERS_MAX} characters.",
                )
            self.statement_characters = size
            if self.carried is not None:
                self.carried.statement_kept(prepared)
        self.prepared[name] = prepared

    def drop_statement(self, name: str) -> None:
        """Dropping what is not there is no error."""
        prepared = self.prepared.pop(name, None)
        if prepared is not None and name:
            self.statement_characters -= prepared.characters
            if self.carried is not None:
                self.carried.statement_dropped(name)

    def drop_statements(self) -> None:
        """All that have a name."""
        unnamed = self.prepared.get("")
        self.prepared.clear()
        self.statement_characters = 0
        if self.carried is not None:
            self.carried.statements_dropped()
        if unnamed is not None:  # the one in use while this runs
            self.prepared[""] = unnamed

    def described(self, prepared: PreparedStatement) -> None:
        """The client is told its columns, for the first time."""
        prepared.described = True
        if prepared.name and self.carried is not None and self.prepared.get(prepared.name) is prepared:
            self.carried.statement_kept(prepared)

    def portal(self, name: str) -> Portal:
        """Raises 34000 for one that does not exist."""
        portal = self.portals.get(name)
        if portal is None:
            raise SqlError(Code.invalid_cursor_name, f'portal "{name}" does not exist')
        return portal

    def keep_portal(self, portal: Portal) -> None:
        """Raises 42P03 for a name that is taken, 54000 beyond the limit."""
        name = portal.name
        old = self.portals.get(name)
        if old is not None:
            if name:
                raise SqlError(Code.duplicate_cursor, f'cursor "{name}" already exists')
            self.drop_portal(name)
        if name:
            size = self.portal_bytes + portal.size
            if len(self.portals) >= PORTALS_MAX or size > PORTAL_BYTES_MAX:
                raise SqlError(
                    Code.program_limit_exceeded,
                    "too many portals",
                    detail=f"A session can have {PORTALS_MAX} of them, with {PORTAL_BYTES_MAX} bytes of parameters.",
                )
            self.portal_bytes = size
        self.portals[name] = portal

    def drop_portal(self, name: str) -> None:
        portal = self.portals.pop(name, None)
        if portal is not None:
            if name:
                self.portal_bytes -= portal.size
            self.settle_portal(portal)

    def settle_portal(self, portal: Portal) -> None:
        """It reads no more."""
        view = portal.view
        transaction = self.block.transaction
        if view is not None and transaction is not None:
            transaction.open_marks.discard(view.mark)
        portal.close()

    def close_portals_after(self, number: int) -> None:
        """Those opened by statements after that number: a savepoint has been gone back to."""
        for name, portal in list(self.portals.items()):
            if portal.view is not None and portal.view.mark > number:
                self.drop_portal(name)

    def _close_portals(self) -> None:
        if self._sequences is not None:
            self._sequences.transaction_ended()
        if self.portals:
            portals, self.portals = self.portals, {}
            self.portal_bytes = 0
            for portal in portals.values():
                portal.close()


def check_role(objects: Objects, session_user: str, name: str) -> None:
    """Whether the session's user may take on that role. Raises 22023 for one that is not there, 42501 for one that he
    is no member of."""
    role = objects.roles.get(name)
    if role is None:
        raise SqlError(Code.invalid_parameter_value, f'role "{name}" does not exist')
    own = objects.roles.get(session_user)
    if name == session_user or (own is not None and own.superuser):
        return
    seen: set[int] = set()
    waiting = [own.oid] if own is not None else []
    while waiting:
        oid = waiting.pop()
        member = objects.roles_by_oid.get(oid)
        if member is None or oid in seen:
            continue
        if oid == role.oid:
            return
        seen.add(oid)
        waiting += [membership.role for membership in member.member_of if membership.set_option]
    raise SqlError(Code.insufficient_privilege, f'permission denied to set role "{name}"')


async def _nobody() -> FrontendMessage:
    raise ClientGone
