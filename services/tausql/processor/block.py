"""Where a session stands: outside a transaction, in an implicit one, in a block, or in a block that has failed.

PostgreSQL's rules: a statement outside BEGIN runs in a transaction of its own; the statements of one query string, or
of one pipeline up to its Sync, share one; BEGIN within such an implicit transaction makes a block of it; an error
within a block leaves it failed until its end is asked for, and COMMIT then rolls back.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.pgwire import backend
from tausql.processor.carrying import Carried
from tausql.processor.catalogue import Catalogue
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.parameters import SessionParameters
from tausql.processor.transaction import Transaction, Transactions
from tausql.protocol.errors import Code, SqlError, not_supported


class Block:
    """The transaction of one session.

    on_end: called when a transaction has ended; portals do not outlive it.
    """

    __slots__ = (
        "_catalogue",
        "_jobs_entered",
        "_metrics",
        "_on_end",
        "_on_jobs",
        "_parameters",
        "_parts",
        "carried",
        "committing",
        "failed",
        "lost",
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
    ) -> None:
        self._parts = parts
        self._catalogue = catalogue
        self._parameters = parameters
        self._metrics = metrics
        self._on_end = on_end
        self._on_jobs = on_jobs
        self._jobs_entered = False
        self.transaction: Transaction | None = None
        self.failed = False
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
        """The transaction to run a statement in; an implicit one begins where there is none."""
        transaction = self.transaction
        if transaction is None:
            transaction = self.transaction = Transaction(self._parts, False)
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
        """Raises 25006 where the transaction may not write, 0A000 where DDL came before."""
        transaction = self.current()
        if transaction.read_only:
            raise SqlError(Code.read_only_sql_transaction, f"cannot execute {command} in a read-only transaction")
        if transaction.ddl:
            raise not_supported("ddl and dml are not supported in the same transaction")
        transaction.dml += 1

    def check_ddl(self, command: str) -> None:
        """Raises 25006 in a read-only transaction, 0A000 for a second schema change or one beside other writes."""
        transaction = self.current()
        if transaction.read_only:
            raise SqlError(Code.read_only_sql_transaction, f"cannot execute {command} in a read-only transaction")
        if transaction.ddl:
            raise not_supported("multiple ddl statements not supported in a transaction")
        if transaction.dml:
            raise not_supported("ddl and dml are not supported in the same transaction")
        transaction.ddl += 1

    def jobs_entered(self) -> None:
        """The transaction enters background jobs: tell when it has committed."""
        self._jobs_entered = True

    # --- begin and end -------------------------------------------------------------------------------------------

    def begin(self, read_only: bool) -> SqlError | None:
        """BEGIN. The warning to send, if there is a block already."""
        transaction = self.current()
        if transaction.block:
            return SqlError(
                Code.active_sql_transaction, "there is already a transaction in progress", severity="WARNING"
            )
        transaction.block = True
        transaction.read_only = read_only
        if read_only:
            self._parameters.read_only(True)
        return None

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
        committed = False
        try:
            carried = self.carried
            if carried is None:
                await transaction.commit()
            else:
                carried.expect(after, final)
                await transaction.commit(carried.announce)
            committed = True
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
            transaction.buffer = None  # nothing of it will be needed
        else:
            self.rollback()

    def _ended(self, committed: bool) -> None:
        transaction = self.transaction
        if transaction is not None:
            self._metrics.usage.ended(committed and not transaction.changed_anything, transaction.read_bytes)
        self.transaction = None
        self.failed = False
        self.lost = None
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
