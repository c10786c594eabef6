"""`POST /sql` as Neon's serverless driver speaks it: a PostgreSQL connection string in a header, a query in the body.

    {"query": "select $1", "params": ["1"]}             one statement, alone
    {"queries": [{"query": ..., "params": ...}, ...]}   several in one transaction, read-only or not

The password in the connection string is a connect token. The driver asks for texts and parses them by type oid itself;
whoever does not ask for them (`Neon-Raw-Text-Output`) gets JSON's own values. Its transaction modes are those of
Aurora DSQL: one isolation level, no deferred ones.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec
from fastapi import APIRouter, Request, Response

from tausql.frontend.gate import Guest
from tausql.frontend.http_callers import by_token, known
from tausql.frontend.http_problem import Problem, RequestRefused
from tausql.frontend.http_session import Result
from tausql.frontend.http_statements import Serving, Statement, Statements
from tausql.frontend.http_values import converter, parameter
from tausql.protocol.errors import Code, SqlError

STATEMENTS_MAX = 1_000
PARAMETERS_MAX = 65_535

_Texts = Annotated[list[Any], msgspec.Meta(max_length=PARAMETERS_MAX)]


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    query: str
    params: _Texts = []
    arrayMode: bool | None = None


class Queries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queries: Annotated[list[Query], msgspec.Meta(min_length=1, max_length=STATEMENTS_MAX)]


class Neon:
    """The route."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def router(self) -> APIRouter:
        router = APIRouter(tags=["Neon"])
        router.add_api_route(
            "/sql",
            self.sql,
            methods=["POST"],
            summary="Statements, as Neon's driver sends them",
            response_class=Response,
        )
        return router

    async def sql(self, request: Request) -> Response:
        async def answered(serving: Serving) -> Response:
            guest = await self._guest(request)
            serving.of(guest)
            asked = _asked(await self._statements.body(request))
            raw = _flag(request, "neon-raw-text-output", False)
            arrays = _flag(request, "neon-array-mode", False)
            if isinstance(asked, Query):
                result = await self._statements.alone(guest, _statement(asked))
                answer: Any = _answer(result, raw, arrays if asked.arrayMode is None else asked.arrayMode)
            else:
                begin = _begin(request)
                results = await self._statements.together(guest, [_statement(each) for each in asked.queries], begin)
                pairs = zip(results, asked.queries, strict=True)
                answer = {
                    "results": [
                        _answer(result, raw, arrays if each.arrayMode is None else each.arrayMode)
                        for result, each in pairs
                    ]
                }
            return Response(msgspec.json.encode(answer), 200, media_type="application/json")

        return await self._statements.serve(answered, _failed)

    async def _guest(self, request: Request) -> Guest:
        await known(self._statements.house)
        user, password, database = _connection(request.headers.get("neon-connection-string", ""))
        return by_token(self._statements, request, user, database, password)


def _connection(text: str) -> tuple[str, bytes, str]:
    """User, password and database. The host in it says nothing that the token does not. Raises RequestRefused."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("postgres", "postgresql") and bool(parts.username)
    except ValueError:
        good = False
    if not good:
        raise RequestRefused(
            400,
            Code.invalid_parameter_value,
            "the header neon-connection-string must be postgresql://{user}:{token}@{endpoint}/postgres",
        )
    user = unquote(parts.username or "")
    return user, unquote(parts.password or "").encode(), unquote(parts.path.removeprefix("/")) or user


def _asked(body: bytes) -> Query | Queries:
    try:
        given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(body, type=Queries) if "queries" in given else msgspec.json.decode(body, type=Query)
    except msgspec.MsgspecError as error:
        raise RequestRefused(400, Code.invalid_parameter_value, f"invalid request: {error}") from None


def _begin(request: Request) -> str:
    level = request.headers.get("neon-batch-isolation-level", "")
    if level not in ("", "RepeatableRead"):
        raise SqlError(
            Code.feature_not_supported,
            f"transaction isolation level {level[:32]} not supported",
            hint="There is one level, RepeatableRead.",
        )
    if _flag(request, "neon-batch-deferrable", False):
        raise SqlError(Code.feature_not_supported, "deferrable transactions not supported")
    return "BEGIN READ ONLY" if _flag(request, "neon-batch-read-only", False) else "BEGIN"


def _flag(request: Request, name: str, default: bool) -> bool:
    text = request.headers.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise RequestRefused(400, Code.invalid_parameter_value, f"the header {name} must be true or false")
    return text.lower() == "true"


def _statement(asked: Query) -> Statement:
    try:
        return Statement(asked.query, [_parameter(value) for value in asked.params])
    except ValueError as error:
        raise SqlError(Code.character_not_in_repertoire, f"invalid parameter: {error}") from None


def _parameter(value: Any) -> bytes | None:
    """Lists become arrays, as the driver writes them when it does so itself."""
    return _array(value).encode() if isinstance(value, list) else parameter(value)


def _array(values: list[Any]) -> str:
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: Any) -> str:
    if isinstance(value, list):
        return _array(value)
    raw = parameter(value)
    if raw is None:
        return "NULL"
    return '"' + raw.decode().replace("\\", "\\\\").replace('"', '\\"') + '"'


def _answer(result: Result, raw: bool, arrays: bool) -> dict[str, Any]:
    converters = [_text if raw else converter(column.type_oid) for column in result.columns]
    rows: list[Any] = [
        [None if value is None else convert(value) for convert, value in zip(converters, row, strict=True)]
        for row in result.rows
    ]
    if not arrays:
        names = [column.name for column in result.columns]
        rows = [dict(zip(names, row, strict=True)) for row in rows]
    words = result.tag.split(" ")
    return {
        "command": words[0],
        "rowCount": int(words[-1]) if words[-1].isdigit() else None,
        "rows": rows,
        "fields": [
            {
                "name": column.name,
                "tableID": column.table_oid,
                "columnID": column.attnum,
                "dataTypeID": column.type_oid,
                "dataTypeSize": column.type_length,
                "dataTypeModifier": column.type_modifier,
                "format": "text",
            }
            for column in result.columns
        ],
        "rowAsArray": arrays,
    }


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


# Of an ErrorResponse, by the names the driver gives its errors' fields.
_FIELDS = {
    "severity": "V",
    "code": "C",
    "detail": "D",
    "hint": "H",
    "position": "P",
    "internalPosition": "p",
    "internalQuery": "q",
    "where": "W",
    "schema": "s",
    "table": "t",
    "column": "c",
    "dataType": "d",
    "constraint": "n",
    "file": "F",
    "line": "L",
    "routine": "R",
}


def _failed(problem: Problem) -> Response:
    """The driver reads an error of the database from a 400, and takes any other status for a broken server."""
    answer: dict[str, Any] = {name: problem.fields.get(letter) for name, letter in _FIELDS.items()}
    answer.update(
        message=problem.message,
        code=problem.sqlstate,
        detail=problem.detail,
        hint=problem.hint,
        severity=problem.fields.get("V", "ERROR"),
    )
    return Response(msgspec.json.encode(answer), 413 if problem.status == 413 else 400, media_type="application/json")
