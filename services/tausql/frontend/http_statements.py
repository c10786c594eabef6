"""Statements over HTTP, whatever shape they come and go in: one alone, several together, or in a held transaction.

Who asks is a `Guest` of the gate, like a PostgreSQL client: the same limits, the same log. A transaction belongs to
whom it was begun for; somebody else who learns its id finds nothing there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence

import msgspec
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from tausql.frontend import refusals
from tausql.frontend.entrance import House
from tausql.frontend.gate import Guest
from tausql.frontend.http_kept_sessions import KeptSessions
from tausql.frontend.http_places import Places
from tausql.frontend.http_problem import Problem, RequestRefused, problem_of
from tausql.frontend.http_session import AnsweredError, HttpSession, Result, SessionLost
from tausql.frontend.http_transactions import Transactions
from tausql.protocol.errors import Code, SqlError
from tausql.runtime.host import Host

_UNPROVEN_SECONDS = 20.0
_PLAIN = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})


class Statement(msgspec.Struct, frozen=True):
    """types: oids of parameters; 0 or left out: the statement decides."""

    sql: str
    parameters: Sequence[bytes | None] = ()
    types: Sequence[int] = ()


class Serving:
    """One request. Until it is known whose it is, it is nobody's."""

    __slots__ = ("_cluster", "_places")

    def __init__(self, places: Places) -> None:
        self._places = places
        self._cluster = ""

    def of(self, guest: Guest) -> None:
        """It is this guest's. Raises SqlError 53300 where his cluster has its share already."""
        if not self._places.take(guest.record.identifier):
            raise SqlError(Code.too_many_connections, "too many requests over HTTP at once for this cluster")
        self._cluster = guest.record.identifier

    def end(self) -> None:
        if self._cluster:
            self._places.give_back(self._cluster)


class Statements:
    """now: seconds since 1970, to check signatures with."""

    def __init__(
        self, host: Host, house: House, transactions: Transactions, now: Callable[[], float] = time.time
    ) -> None:
        self._host = host
        self.house = house
        self.now = now
        self._settings = house.settings
        self._transactions = transactions
        self._kept = KeptSessions(host, house.settings.http_kept_seconds)
        self._places = Places(house.settings.http_statements_max)
        self._unproven = 0  # bodies of those who have proven nothing yet
        self.running = 0  # requests being served

    async def serve(
        self, work: Callable[[Serving], Awaitable[Response]], failed: Callable[[Problem], Response]
    ) -> Response:
        """Run `work` within its time; `failed` answers for whatever goes wrong."""
        if self.running >= self._settings.http_statements_max:
            return failed(problem_of(SqlError(Code.too_many_connections, "too many requests over HTTP at once")))
        self.running += 1
        serving = Serving(self._places)
        try:
            async with asyncio.timeout(self._settings.http_statement_seconds):
                return await work(serving)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except (SqlError, AnsweredError, SessionLost, TimeoutError, RequestRefused) as error:
            self.house.metrics.http_errors += 1
            return failed(problem_of(error))
        finally:
            serving.end()
            self.running -= 1

    async def unproven_body(self, request: Request) -> bytes:
        """Of somebody whose signature cannot be looked at without it: few at once, and not for long. Raises
        RequestRefused."""
        if self._unproven >= max(self._settings.http_statements_max // 4, 1):
            raise RequestRefused(503, Code.too_many_connections, "too many requests over HTTP at once")
        self._unproven += 1
        try:
            async with asyncio.timeout(_UNPROVEN_SECONDS):
                return await self.body(request)
        except TimeoutError:
            raise RequestRefused(408, Code.query_canceled, "the body takes too long") from None
        finally:
            self._unproven -= 1

    async def body(self, request: Request) -> bytes:
        """Raises RequestRefused 413."""
        limit = self._settings.http_body_bytes_max
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise RequestRefused(413, Code.program_limit_exceeded, f"the body is larger than {limit} bytes")
        return bytes(body)

    async def alone(self, guest: Guest, statement: Statement) -> Result:
        """In a transaction of its own. Raises as `HttpSession.run`, and 25001 where it would begin one to be held."""
        session = await self._open(guest)
        plain = False
        try:
            result = await self._run(session, statement)
            plain = _is_plain(result)
            if session.status != "I":
                raise SqlError(
                    Code.active_sql_transaction,
                    f"{result.tag} cannot be run alone: the transaction would end with the request",
                    hint="Begin one with the API's own call.",
                )
            return result
        finally:
            self._done(guest, session, plain)

    async def together(self, guest: Guest, statements: Sequence[Statement], begin: str = "BEGIN") -> list[Result]:
        """In one transaction of their own: all take effect, or none. begin: with its modes."""
        session = await self._open(guest)
        plain = False
        try:
            await session.control(begin)
            results = [await self._run(session, statement) for statement in statements]
            if session.status != "T":
                raise SqlError(Code.no_active_sql_transaction, "one of the statements has ended the transaction")
            if await session.control("COMMIT") != "COMMIT":
                raise SqlError(Code.in_failed_sql_transaction, "the transaction had failed, so it was rolled back")
            plain = all(map(_is_plain, results))
            return results
        finally:
            self._done(guest, session, plain)

    async def begin(self, guest: Guest) -> str:
        """A transaction that holds a session until it is ended, or left alone for too long. Returns its id."""
        owner = _owner(guest)
        self._transactions.reserve(owner)
        try:
            session = await self._open(guest)
            try:
                await session.control("BEGIN")
            except BaseException:
                session.end()
                raise
        except BaseException:
            self._transactions.release(owner)
            raise
        return self._transactions.add(session, owner)

    async def within(self, guest: Guest, transaction: str, statements: Sequence[Statement]) -> list[Result]:
        session = self._transactions.take(transaction, _owner(guest))
        try:
            results = [await self._run(session, statement) for statement in statements]
        except AnsweredError as error:
            self._put_back(transaction, session, usable=not error.fatal)
            raise
        except BaseException:
            self._put_back(transaction, session, usable=False)
            raise
        self._put_back(transaction, session, usable=True)
        return results

    async def end(self, guest: Guest, transaction: str, command: str) -> None:
        """command: COMMIT or ROLLBACK. Raises as `HttpSession.control`, and 25P02 where nothing could be committed."""
        session = self._transactions.take(transaction, _owner(guest))
        try:
            tag = await session.control(command)
        finally:
            self._transactions.drop(transaction)
        if command == "COMMIT" and tag != "COMMIT":
            raise SqlError(
                Code.in_failed_sql_transaction,
                "the transaction had failed, so it was rolled back",
                hint="One of its statements was answered with an error.",
            )

    async def _run(self, session: HttpSession, statement: Statement) -> Result:
        self.house.metrics.http_statements += 1
        return await session.run(statement.sql, statement.parameters, statement.types)

    def _put_back(self, transaction: str, session: HttpSession, usable: bool) -> None:
        # A COMMIT or ROLLBACK sent as a statement has ended the transaction.
        if usable and session.status != "I":
            self._transactions.give_back(transaction)
        else:
            self._transactions.drop(transaction)

    async def _open(self, guest: Guest) -> HttpSession:
        """A session of this guest's, counted until it ends. Raises SqlError, AnsweredError, SessionLost."""
        house, settings = self.house, self._settings
        if house.draining:
            raise refusals.shutting_down()
        kept = self._kept.take(_opener(guest))
        if kept is not None and await _reset(kept):
            return kept
        error = house.gate.enter(guest)
        full = error is not None and error.code is Code.too_many_connections
        if full and self._kept.drop_of(guest.record.identifier):  # they were only there in case
            error = house.gate.enter(guest)
        if error is not None:
            raise error
        session = HttpSession(settings.http_rows_max, settings.http_result_bytes_max, lambda: house.gate.leave(guest))
        session.born = self._host.monotonic()
        parameters = {"application_name": "tausql-http", "client_encoding": "UTF8"}
        try:
            await session.begin(house.sessions, guest.start(settings.database, parameters, False))
        except BaseException:
            session.end()
            raise
        return session

    def _done(self, guest: Guest, session: HttpSession, plain: bool) -> None:
        """Keep it for the next statement, unless it may have left something behind that a reset does not take away."""
        if plain and not self.house.draining:
            self._kept.keep(_opener(guest), guest.record.identifier, session)
        else:
            session.end()

    def close(self, cluster: str | None = None) -> None:
        """End what is held for the next requests, of one cluster or of all."""
        if cluster is None:
            self._transactions.drop_all()
            self._kept.drop_all()
        else:
            self._transactions.drop_of(cluster)
            self._kept.drop_of(cluster)


async def _reset(session: HttpSession) -> bool:
    """As if it had just been opened. False: it has gone meanwhile, and is ended."""
    try:
        await session.control("RESET ALL")
    except BaseException as error:
        session.end()
        if isinstance(error, AnsweredError | SessionLost):
            return False
        raise
    return True


def _is_plain(result: Result) -> bool:
    """Whether `RESET ALL` takes away whatever it has changed in its session. A SELECT without columns has made a
    table, perhaps a temporary one."""
    verb = result.tag.partition(" ")[0]
    return verb in _PLAIN and (verb != "SELECT" or bool(result.columns))


def _opener(guest: Guest) -> Hashable:
    """Who gets the same session if he opens one."""
    return (*_owner(guest), guest.mapped, guest.record.switches)


def _owner(guest: Guest) -> tuple[str, str, str]:
    return guest.record.identifier, guest.user, guest.principal
