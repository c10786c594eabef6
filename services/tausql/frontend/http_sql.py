"""SQL over HTTP and JSON, for whoever has no PostgreSQL driver at hand.

    POST /v1/sql                            one statement, alone or in a transaction
    POST /v1/transactions                   begin one
    POST /v1/transactions/{id}/commit       and end it
    POST /v1/transactions/{id}/rollback

Who asks is told as `http_callers` has it. A statement runs on a session like any PostgreSQL client's, so it means the
same here and there; errors carry the same SQLSTATE, with the HTTP status that `protocol.errors` gives it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.openapi.models import HTTPBase
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, ValidationError

from tausql.frontend.gate import Guest
from tausql.frontend.http_callers import caller
from tausql.frontend.http_models import (
    EndAnswer,
    ErrorAnswer,
    SqlAnswer,
    SqlRequest,
    TransactionAnswer,
)
from tausql.frontend.http_problem import Problem, RequestRefused
from tausql.frontend.http_session import Result
from tausql.frontend.http_statements import Serving, Statement, Statements
from tausql.frontend.http_values import converter, parameter, type_name
from tausql.pgwire.rows import Column
from tausql.protocol.errors import Code, SqlError

_STATUSES = (400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 507)

Answer = dict[str, Any]


class _Scheme(SecurityBase):
    """Shows a way to authenticate in OpenAPI; FastAPI's own would also answer refusals, in words of theirs."""

    def __init__(self, scheme: str) -> None:
        self.model = HTTPBase(scheme=scheme)
        self.scheme_name = scheme

    async def __call__(self) -> None:
        return None


class HttpSql:
    """The routes."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

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

        async def work(guest: Guest, body: bytes) -> Answer:
            asked = _asked(request, body)
            statement = Statement(asked.sql, [_parameter(value) for value in asked.params])
            if asked.transaction is None:
                return _answer(await self._statements.alone(guest, statement))
            (result,) = await self._statements.within(guest, asked.transaction, (statement,))
            return _answer(result)

        return await self._serve(request, work)

    async def begin(self, request: Request) -> Response:
        """A transaction holds a session until it is committed, rolled back, or left alone for too long."""

        async def work(guest: Guest, body: bytes) -> Answer:
            return {"transaction": await self._statements.begin(guest)}

        return await self._serve(request, work)

    async def commit(self, request: Request, transaction: str) -> Response:
        """What it wrote takes effect all at once, or, on any error, not at all (40003: nobody knows)."""
        return await self._end(request, transaction, "COMMIT", "committed")

    async def rollback(self, request: Request, transaction: str) -> Response:
        """What it wrote is forgotten."""
        return await self._end(request, transaction, "ROLLBACK", "rolled back")

    async def _end(self, request: Request, transaction: str, command: str, state: str) -> Response:
        async def work(guest: Guest, body: bytes) -> Answer:
            await self._statements.end(guest, transaction, command)
            return {"transaction": transaction, "state": state}

        return await self._serve(request, work)

    async def _serve(self, request: Request, work: Callable[[Guest, bytes], Awaitable[Answer]]) -> Response:
        """Find out who asks, run `work`, and answer in JSON whatever comes of it."""

        async def answered(serving: Serving) -> Response:
            guest, body = await caller(self._statements, request, serving)
            return _json(200, await work(guest, body))

        return await self._statements.serve(answered, _failed)


def _asked(request: Request, body: bytes) -> SqlRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Browsers send other types across sites, with the user's credentials and without asking.
        raise RequestRefused(415, Code.invalid_parameter_value, "the content type must be application/json")
    try:
        return SqlRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise SqlError(Code.invalid_parameter_value, f"invalid request: {place}: {first['msg']}") from None


def _failed(problem: Problem) -> Response:
    response = _json(
        problem.status,
        {
            "error": {
                "sqlstate": problem.sqlstate,
                "message": problem.message,
                "detail": problem.detail,
                "hint": problem.hint,
                "retryable": problem.retryable,
            }
        },
    )
    if problem.status == 401:
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


def _responses(answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": "The error, with its SQLSTATE."} for status in _STATUSES
    }
    return {200: {"model": answer, "description": "Done."}, **errors}
