"""Where a session stands: outside a transaction, in an implicit one, in a block, or in a block that has failed.

PostgreSQL's rules: a statement outside BEGIN runs in a transaction of its own; the statements of one query string, or
of one pipeline up to its Sync, share one; BEGIN within such an implicit transaction makes a block of it; an error
within a block leaves it failed until its end is asked for, and COMMIT then rolls back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tausql.pgwire import backend
from tausql.processor.admission import Admission
from tausql.processor.carrying import Carried
from tausql.processor.catalogue import Catalogue
from tausql.processor.faults import Faults
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.parameters import SessionParameters
from tausql.processor.savepoints import Savepoints
from tausql.processor.temporary import TemporaryTables
from tausql.processor.transaction import Transaction, Transactions
from tausql.protocol.errors import Code, SqlError, is_passing, not_supported

_GROWING: Final = frozenset(("INSERT", "UPDATE", "COPY FROM", "SELECT"))  # a SELECT that writes is one with parts


class Block:
    """The transaction of one session.

    on_end: called when a transaction has ended; portals do not outlive it. extended: schema changes may come together
    in one transaction, and with other writes.
    """

    __slots__ = (
        "_catalogue",
        "_jobs_entered",
        "_metrics",
        "_on_end",
        "_on_jobs",
        "_parameters",
        "_parts",
        "_savepoints",
        "admission",
        "carried",
        "committing",
        "extended",
        "failed",
        "faults",
        "lost",
        "outdated",
        "temporary",
        "transaction",
    )

    def __init__(
        self,
        parts: Transactions,
        catalogue: Catalogue,
        parameters: SessionParameters,
        metrics: ProcessorMetrics,
        on_end: Callable[[], None],
        on_jobs: Callable[[], None],
        extended: bool = False,
    ) -> None:
        self._parts = parts
        self._catalogue = catalogue
        self._parameters = parameters
        self._metrics = metrics
        self._on_end = on_end
        self._on_jobs = on_jobs
        self._jobs_entered = False
        self._savepoints: Savepoints | None = None
        self.extended = extended
        self.admission: Admission | None = None  # what has to be asked before a transaction begins
        self.faults: Faults | None = None  # what commits fail with on demand
        self.transaction: Transaction | None = None
        self.temporary: TemporaryTables | None = None
        self.failed = False
        self.outdated = False  # the last commit, of one statement alone, met what has passed: it may be run again
        self.lost: SqlError | None = None  # what has failed it, on another processor, if the client does not know yet
        self.carried: Carried | None = None  # where commits are announced, if they are
        self.committing = False  # a commit is under way: its outcome must be awaited, whatever the client wants

    def let_go(self) -> None:
        """The session is over: nobody needs to hear of a transaction's end any more."""
        self._on_end = _nothing

    # --- state ---------------------------------------------------------------------------------------------------

    @property
    def in_block(self) -> bool:
        transaction = self.transaction
        return transaction is not None and transaction.block

    @property
    def ready(self) -> bytes:
        """The ReadyForQuery that tells it."""
        transaction = self.transaction
        if transaction is None or not transaction.block:
            return backend.READY_IDLE
        return backend.READY_FAILED if self.failed else backend.READY_TRANSACTION

    def current(self) -> Transaction:
        """The transaction to run a statement in; an implicit one begins where there is none. Raises SqlError FATAL
        where the session may not be any more."""
        transaction = self.transaction
        if transaction is None:
            if self.admission is not None:
                self.admission.check()
            transaction = self.transaction = Transaction(self._parts, False, self._parameters.reads_only)
            transaction.temporary = self.temporary
        return transaction

    def check_usable(self) -> None:
        """Raises 25P02 in a failed block."""
        if self.failed:
            lost, self.lost = self.lost, None
            if lost is not None:
                raise lost
            raise SqlError(
                Code.in_failed_sql_transaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            )

    def check_writable(self, command: str) -> None:
        """Raises 25006 where the transaction may not write, 0A000 where DDL came before, 53100 where a cluster that is
        full would grow."""
        transaction = self.current()
        if transaction.read_only:
            raise SqlError(Code.read_only_sql_transaction, f"cannot execute {command} in a read-only transaction")
        if transaction.ddl and not self.extended:
            raise not_supported("ddl and dml are not supported in the same transaction")
        if self._parts.full and command in _GROWING:
            raise SqlError(Code.disk_full, "Current cluster size exceeds cluster size limit.")
        transaction.dml += 1

    def check_ddl(self, command: str) -> None:
        """Raises 25006 in a read-only transaction, 0A000 for a second schema change or one beside other writes."""
        transaction = self.current()
        if transaction.read_only:
            raise SqlError(Code.read_only_sql_transaction, f"cannot execute {command} in a read-only transaction")
        if transaction.ddl and not self.extended:
            raise not_supported("multiple ddl statements not supported in a transaction")
        if transaction.dml and not self.extended:
            raise not_supported("ddl and dml are not supported in the same transaction")
        transaction.ddl += 1

    def jobs_entered(self) -> None:
        """The transaction enters background jobs: tell when it has committed."""
        self._jobs_entered = True

    # --- savepoints ----------------------------------------------------------------------------------------------

    def savepoint(self, name: str) -> None:
        """SAVEPOINT. Raises 25P01 outside a block, 54000 beyond the limits."""
        transaction = self._in_block("SAVEPOINT")
        if self._savepoints is None:
            self._savepoints = Savepoints()
        self._savepoints.add(name, transaction, self._parameters.mark(), self._jobs_entered)

    def release(self, name: str) -> None:
        """RELEASE. Raises 25P01, 3B001."""
        self._in_block("RELEASE SAVEPOINT")
        (self._savepoints or Savepoints()).release(name)

    def back_to(self, name: str) -> int:
        """ROLLBACK TO: a failed block is none any more. The number of the newest statement whose portals may go on.
        Raises 25P01, 3B001."""
        transaction = self._in_block("ROLLBACK TO SAVEPOINT")
        savepoint = (self._savepoints or Savepoints()).back_to(name)
        if self.lost is not None:
            self.check_usable()
        transaction.back_to(savepoint.transaction)
        self._parameters.back_to(savepoint.parameters)
        self._jobs_entered = savepoint.jobs_entered
        self.failed = False
        return savepoint.transaction.number

    def _in_block(self, command: str) -> Transaction:
        transaction = self.transaction
        if transaction is None or not transaction.block:
            raise SqlError(Code.no_active_sql_transaction, f"{command} can only be used in transaction blocks")
        return transaction

    # --- begin and end -------------------------------------------------------------------------------------------

    def begin(self, read_only: bool | None) -> SqlError | None:
        """BEGIN. The warning to send, if there is a block already."""
        transaction = self.current()
        if transaction.block:
            return SqlError(
                Code.active_sql_transaction, "there is already a transaction in progress", severity="WARNING"
            )
        transaction.block = True
        if read_only is not None:
            transaction.read_only = read_only
        if transaction.read_only:
            self._parameters.read_only(True)
        return None

    def access_mode(self, read_only: bool) -> None:
        """SET TRANSACTION READ ONLY | READ WRITE. Raises 25001 for READ WRITE once something has been read."""
        transaction = self.current()
        if transaction.read_only and not read_only and transaction.number:
            raise SqlError(Code.active_sql_transaction, "transaction read-write mode must be set before any query")
        transaction.read_only = read_only
        self._parameters.read_only(read_only)

    def restore(self, lost: SqlError | None) -> None:
        """Begin as a failed block. `lost`: what the client has to be told of it yet."""
        self.transaction = Transaction(self._parts, True)
        self.failed = True
        self.lost = lost

    async def commit(self, after: bytes = b"", final: bool = False) -> None:
        """Commit what there is. Raises SqlError; the transaction is over in any case.

        after: what the client gets once it has committed. final: and then ReadyForQuery."""
        transaction = self.transaction
        if transaction is None:
            return
        if not transaction.changed_anything:
            self._ended(True)
            return
        self.committing = True
        self.outdated = committed = False
        only = transaction.executed == 1 and not transaction.block
        fault = None if self.faults is None else self.faults.take()
        try:
            if fault is not None and not fault.happens:
                raise fault.error()
            carried = self.carried
            if carried is None:
                await transaction.commit()
            else:
                carried.expect(after, final)
                await transaction.commit(carried.announce)
            committed = True
            if fault is not None:
                raise fault.error()
        except SqlError as error:
            self.outdated = fault is None and only and is_passing(error)
            raise
        finally:
            self.committing = False
            if committed and transaction.changes:
                self._catalogue.changed(transaction.tau_commit)
            self._ended(committed)

    def commit_nothing(self) -> bool:
        """Commit, if that takes no waiting: True. False: call `commit`."""
        transaction = self.transaction
        if transaction is None:
            return True
        if transaction.changed_anything:
            return False
        self._ended(True)
        return True

    def rollback(self) -> None:
        if self.transaction is not None:
            self._metrics.rollbacks += 1
            self._ended(False)

    def error(self) -> None:
        """A statement has failed: a block is failed from now on, an implicit transaction is over."""
        transaction = self.transaction
        if transaction is None:
            return
        if transaction.block:
            self.failed = True
            if not self._savepoints:
                transaction.buffer = None  # nothing of it will be needed
        else:
            self.rollback()

    def _ended(self, committed: bool) -> None:
        transaction = self.transaction
        if transaction is not None:
            self._parts.usage.ended(committed and not transaction.changed_anything, transaction.read_bytes)
        if self.temporary is not None:
            self.temporary.ended(committed)
        self.transaction = None
        self.failed = False
        self.lost = None
        self._savepoints = None
        parameters = self._parameters
        if parameters.touched:
            if committed:
                parameters.committed()
            else:
                parameters.rolled_back()
        if transaction is not None and transaction.read_only:
            parameters.read_only(False)
        if self._jobs_entered:
            self._jobs_entered = False
            if committed:
                self._on_jobs()
        self._on_end()


def _nothing() -> None:
    """There is no session."""
