"""SQL over HTTP and JSON, for whoever has no PostgreSQL driver at hand.

    POST /v1/sql                            one statement, alone or in a transaction
    POST /v1/transactions                   begin one
    POST /v1/transactions/{id}/commit       and end it
    POST /v1/transactions/{id}/rollback

Basic authentication with user and password, or the password as a bearer token. A statement runs on a session like any
PostgreSQL client's, so it means the same here and there; errors carry the same SQLSTATE, with the HTTP status that
`protocol.errors` gives it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.openapi.models import HTTPBase
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from tausql.frontend import refusals
from tausql.frontend.authentication import Attempt
from tausql.frontend.entrance import House
from tausql.frontend.http_models import (
    EndAnswer,
    ErrorAnswer,
    SqlAnswer,
    SqlRequest,
    TransactionAnswer,
)
from tausql.frontend.http_session import AnsweredError, HttpSession, Result, SessionLost
from tausql.frontend.http_transactions import Transactions
from tausql.frontend.http_values import converter, parameter, type_name
from tausql.pgwire.rows import Column
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import SessionStart

_BY_SQLSTATE = {code.sqlstate: code for code in Code}
_STATUSES = (400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 507)

Answer = dict[str, Any]


class BodyRefused(Exception):
    """The request's body is not read: 413 too large, 415 not JSON."""

    def __init__(self, status: int, code: Code, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Scheme(SecurityBase):
    """Shows a way to authenticate in OpenAPI; FastAPI's own would also answer refusals, in words of theirs."""

    def __init__(self, scheme: str) -> None:
        self.model = HTTPBase(scheme=scheme)
        self.scheme_name = scheme

    async def __call__(self) -> None:
        return None


class HttpSql:
    """The routes and what they share."""

    def __init__(self, house: House, transactions: Transactions) -> None:
        self._house = house
        self._settings = house.settings
        self._transactions = transactions
        self.running = 0  # requests being served

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["SQL"])
        add = router.add_api_route
        body = {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": SqlRequest.model_json_schema()}},
            }
        }
        for path, endpoint, summary, answer, extra in (
            ("/sql", self.sql, "Run one statement", SqlAnswer, body),
            ("/transactions", self.begin, "Begin a transaction", TransactionAnswer, {}),
            ("/transactions/{transaction}/commit", self.commit, "Commit a transaction", EndAnswer, {}),
            ("/transactions/{transaction}/rollback", self.rollback, "Roll a transaction back", EndAnswer, {}),
        ):
            add(
                path,
                endpoint,
                methods=["POST"],
                summary=summary,
                response_class=Response,
                responses=_responses(answer),
                dependencies=[Depends(_Scheme("basic")), Depends(_Scheme("bearer"))],
                openapi_extra=extra,
            )
        return router

    async def sql(self, request: Request) -> Response:
        """One statement with its parameters. Without `transaction` it is a transaction of its own."""

        async def work() -> Answer:
            asked = await self._body(request)
            parameters = [_parameter(value) for value in asked.params]
            self._house.metrics.http_statements += 1
            if asked.transaction is None:
                return _answer(await self._alone(request, asked.sql, parameters))
            return _answer(await self._within(asked.transaction, asked.sql, parameters))

        return await self._serve(request, work)

    async def begin(self, request: Request) -> Response:
        """A transaction holds a session until it is committed, rolled back, or left alone for too long."""

        async def work() -> Answer:
            self._transactions.reserve()
            session = self._session()
            try:
                await session.begin(self._house.sessions, self._start(request))
                await session.control("BEGIN")
            except BaseException:
                self._transactions.release()
                session.end()
                raise
            return {"transaction": self._transactions.add(session)}

        return await self._serve(request, work)

    async def commit(self, request: Request, transaction: str) -> Response:
        """What it wrote takes effect all at once, or, on any error, not at all (40003: nobody knows)."""
        return await self._serve(request, lambda: self._end(transaction, "COMMIT"))

    async def rollback(self, request: Request, transaction: str) -> Response:
        """What it wrote is forgotten."""
        return await self._serve(request, lambda: self._end(transaction, "ROLLBACK"))

    async def _serve(self, request: Request, work: Callable[[], Awaitable[Answer]]) -> Response:
        """Authenticate, run `work` within its time, and answer in JSON whatever comes of it."""
        settings = self._settings
        if self.running >= settings.http_statements_max:
            return self._failed(SqlError(Code.too_many_connections, "too many requests over HTTP at once"))
        self.running += 1
        try:
            self._authenticate(request)
            if self._house.draining:
                raise refusals.shutting_down()
            async with asyncio.timeout(settings.http_statement_seconds):
                return _json(200, await work())
        except SqlError as error:
            return self._failed(error)
        except AnsweredError as error:
            code = _BY_SQLSTATE.get(error.sqlstate)
            status = code.http_status if code else 500 if error.sqlstate.startswith("XX") else 400
            retryable = code is not None and code.retryable
            return self._error(status, error.sqlstate, error.message, error.detail, error.hint, retryable)
        except SessionLost:
            return self._failed(refusals.processor_lost())
        except TimeoutError:
            return self._failed(SqlError(Code.query_canceled, "canceling statement due to statement timeout"))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except BodyRefused as error:
            return self._error(error.status, error.code.sqlstate, str(error), None, None, False)
        finally:
            self.running -= 1

    def _authenticate(self, request: Request) -> None:
        user, password = _credentials(request.headers.get("authorization", ""), self._settings.user)
        attempt = Attempt(user, self._settings.database, password, _client(request))
        error = self._house.authenticator.authenticate(attempt)
        if error is not None:
            self._house.metrics.authentications_failed += 1
            raise error

    async def _body(self, request: Request) -> SqlRequest:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # Browsers send other types across sites, with the user's credentials and without asking.
            raise BodyRefused(415, Code.invalid_parameter_value, "the content type must be application/json")
        limit = self._settings.http_body_bytes_max
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise BodyRefused(413, Code.program_limit_exceeded, f"the body is larger than {limit} bytes")
        try:
            return SqlRequest.model_validate_json(bytes(body))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the body"
            raise SqlError(Code.invalid_parameter_value, f"invalid request: {place}: {first['msg']}") from None

    async def _alone(self, request: Request, sql: str, parameters: list[bytes | None]) -> Result:
        session = self._session()
        try:
            await session.begin(self._house.sessions, self._start(request))
            result = await session.run(sql, parameters)
            if session.status != "I":
                raise SqlError(
                    Code.active_sql_transaction,
                    f"{result.tag} cannot be run alone: the transaction would end with the request",
                    hint="Begin one with POST /v1/transactions.",
                )
            return result
        finally:
            session.end()

    async def _within(self, transaction: str, sql: str, parameters: list[bytes | None]) -> Result:
        session = self._transactions.take(transaction)
        try:
            result = await session.run(sql, parameters)
        except AnsweredError as error:
            self._put_back(transaction, session, usable=not error.fatal)
            raise
        except BaseException:
            self._put_back(transaction, session, usable=False)
            raise
        self._put_back(transaction, session, usable=True)
        return result

    def _put_back(self, transaction: str, session: HttpSession, usable: bool) -> None:
        # A COMMIT or ROLLBACK sent as a statement has ended the transaction.
        if usable and session.status != "I":
            self._transactions.give_back(transaction)
        else:
            self._transactions.drop(transaction)

    async def _end(self, transaction: str, command: str) -> Answer:
        session = self._transactions.take(transaction)
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
        return {"transaction": transaction, "state": "committed" if command == "COMMIT" else "rolled back"}

    def _session(self) -> HttpSession:
        return HttpSession(self._settings.http_rows_max, self._settings.http_result_bytes_max)

    def _start(self, request: Request) -> SessionStart:
        settings = self._settings
        user, _ = _credentials(request.headers.get("authorization", ""), settings.user)
        return SessionStart(
            user,
            settings.database,
            {"application_name": "tausql-http", "client_encoding": "UTF8"},
            _client(request),
            request.url.scheme == "https",
        )

    def _failed(self, error: SqlError) -> Response:
        code = error.code
        return self._error(code.http_status, code.sqlstate, error.message, error.detail, error.hint, code.retryable)

    def _error(
        self, status: int, sqlstate: str, message: str, detail: str | None, hint: str | None, retryable: bool
    ) -> Response:
        self._house.metrics.http_errors += 1
        answer = {
            "error": {
                "sqlstate": sqlstate,
                "message": message,
                "detail": detail,
                "hint": hint,
                "retryable": retryable,
            }
        }
        response = _json(status, answer)
        if status == 401:
            response.headers["www-authenticate"] = 'Basic realm="tausql"'
        return response


def _json(status: int, answer: Answer) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def _answer(result: Result) -> Answer:
    words = result.tag.split(" ")
    counted = words[-1].isdigit()
    return {
        "columns": [{"name": column.name, "type": type_name(column.type_oid)} for column in result.columns],
        "rows": _rows(result.columns, result.rows),
        "rowCount": int(words[-1]) if counted else len(result.rows),
        "command": " ".join(word for word in words if not word.isdigit()),
    }


def _rows(columns: tuple[Column, ...], rows: list[tuple[bytes | None, ...]]) -> list[list[Any]]:
    converters = [converter(column.type_oid) for column in columns]
    return [
        [None if value is None else convert(value) for convert, value in zip(converters, row, strict=True)]
        for row in rows
    ]


def _parameter(value: Any) -> bytes | None:
    try:
        return parameter(value)
    except ValueError as error:
        raise SqlError(Code.character_not_in_repertoire, f"invalid parameter: {error}") from None


def _credentials(header: str, user: str) -> tuple[str, bytes]:
    """User and password of an Authorization header; empty ones, which never match, where it holds none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return user, value.strip().encode()
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(value.strip(), validate=True).partition(b":")
            return name.decode(), password
        except (binascii.Error, UnicodeDecodeError):
            return "", b""
    return "", b""


def _client(request: Request) -> str:
    return f"{request.client.host}:{request.client.port}" if request.client else ""


def _responses(answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": "The error, with its SQLSTATE."} for status in _STATUSES
    }
    return {200: {"model": answer, "description": "Done."}, **errors}
