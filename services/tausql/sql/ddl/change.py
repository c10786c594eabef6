"""One schema change while it runs: what every handler of DDL works with, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tausql.protocol.errors import Code, SqlError
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.objects import Role
from tausql.sql.catalogue.store import CatalogueWriter
from tausql.sql.ddl.reading import Words
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement
from tausql.sql.system import SystemRelations


@dataclass(slots=True)
class DdlResult:
    """What the client is told. `job_id`: the one row of CREATE INDEX ASYNC, in a text column of that name."""

    tag: str
    job_id: str | None = None
    notices: list[SqlError] = field(default_factory=list)
    jobs_entered: bool = False  # background jobs wait for this transaction's commit


class SchemaChange:
    """One statement, the transaction it runs in and the schema as it was before."""

    __slots__ = ("context", "notices", "search_path", "snapshot", "statement", "system", "transaction", "writer")

    def __init__(
        self,
        statement: Statement,
        transaction: Transaction,
        snapshot: Snapshot,
        context: Context,
        system: SystemRelations | None = None,
    ) -> None:
        self.system = system
        self.statement = statement
        self.transaction = transaction
        self.snapshot = snapshot
        self.context = context
        self.search_path: tuple[str, ...] = tuple(context.session.search_path)
        self.writer = CatalogueWriter(transaction, snapshot)
        self.notices: list[SqlError] = []

    @property
    def user(self) -> Role:
        """The role that runs the statement. Raises 42704 for one that has been dropped meanwhile."""
        name = context_user(self.context)
        role = self.snapshot.objects.roles.get(name)
        if role is None:
            raise SqlError(Code.undefined_object, f'role "{name}" does not exist')
        return role

    def words(self) -> Words:
        """The statement's words, from the first one."""
        return Words(self.statement.text, self.statement.options["tokens"])

    def notice(self, message: str, code: Code = Code.successful_completion) -> None:
        self.notices.append(SqlError(code, message, severity="NOTICE"))

    def result(self, tag: str, *, job_id: str | None = None, jobs_entered: bool = False) -> DdlResult:
        return DdlResult(tag, job_id, self.notices, jobs_entered)


Handler = Callable[[SchemaChange], Awaitable[DdlResult]]


def context_user(context: Context) -> str:
    """Who runs the statement, as current_user says it."""
    return str(context.session.user)
