"""The RDS Data API's calls, so that boto3's `rds-data` and what stands on it need nothing but another endpoint URL.

    POST /Execute /BatchExecute /BeginTransaction /CommitTransaction /RollbackTransaction

The signature (of service `rds-data`) says who asks; `resourceArn` which cluster; the database user is `admin`, so the
one who signed needs `dsql:DbConnectAdmin`. There are no secrets here: `secretArn` is required by the model, and any
will do.

SDKs send a request again when the answer's status is 500 or above. So those are for failures that have changed nothing:
where nobody knows what became of a commit (40003), the answer is a 400.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response

from tausql.access.arns import parts_of
from tausql.access.connect_tokens import ADMIN, access_denied
from tausql.access.signatures import SignatureRefused
from tausql.frontend.gate import Guest, Refusal
from tausql.frontend.http_callers import authorized, client_of, known, signed_body, signed_by
from tausql.frontend.http_named_parameters import ParameterRefused
from tausql.frontend.http_problem import Problem, RequestRefused
from tausql.frontend.http_rds_values import Parameter, ResultOptions, formatted, metadata_of, records_of, statement_of
from tausql.frontend.http_session import Result
from tausql.frontend.http_statements import Serving, Statements
from tausql.protocol.errors import Code

SERVICE = "rds-data"
SETS_MAX = 1_000

_Arn = Annotated[str, msgspec.Meta(min_length=11, max_length=100)]
_Id = Annotated[str, msgspec.Meta(max_length=192)]
_Sql = Annotated[str, msgspec.Meta(max_length=65_536)]


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all of them say."""

    resourceArn: _Arn
    secretArn: _Arn
    database: str | None = None
    schema: str | None = None


class Execute(_Asked, frozen=True, kw_only=True):
    sql: _Sql
    parameters: list[Parameter] = []
    transactionId: _Id | None = None
    includeResultMetadata: bool = False
    continueAfterTimeout: bool = False
    resultSetOptions: ResultOptions = ResultOptions()
    formatRecordsAs: Literal["NONE", "JSON"] = "NONE"


class BatchExecute(_Asked, frozen=True, kw_only=True):
    sql: _Sql
    parameterSets: Annotated[list[list[Parameter]], msgspec.Meta(max_length=SETS_MAX)] = []
    transactionId: _Id | None = None


class BeginTransaction(_Asked, frozen=True, kw_only=True):
    """Nothing more."""


class EndTransaction(_Asked, frozen=True, kw_only=True):
    transactionId: _Id


_A = TypeVar("_A", bound=_Asked)
_Answer = dict[str, Any]


class RdsData:
    """The routes."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def router(self) -> APIRouter:
        router = APIRouter(tags=["RDS Data API"])
        for path, endpoint, summary in (
            ("/Execute", self.execute, "ExecuteStatement"),
            ("/BatchExecute", self.batch_execute, "BatchExecuteStatement"),
            ("/BeginTransaction", self.begin, "BeginTransaction"),
            ("/CommitTransaction", self.commit, "CommitTransaction"),
            ("/RollbackTransaction", self.rollback, "RollbackTransaction"),
            ("/ExecuteSql", self.execute_sql, "ExecuteSql: given up by AWS, too"),
        ):
            router.add_api_route(path, endpoint, methods=["POST"], summary=summary, response_class=Response)
        return router

    async def execute(self, request: Request) -> Response:
        async def work(guest: Guest, asked: Execute) -> _Answer:
            if asked.continueAfterTimeout:
                raise _bad("continueAfterTimeout is not supported: a statement that takes too long is cancelled.")
            statement = statement_of(asked.sql, asked.parameters)
            if asked.transactionId is None:
                result = await self._statements.alone(guest, statement)
            else:
                (result,) = await self._statements.within(guest, asked.transactionId, (statement,))
            return _executed(asked, result)

        return await self._serve(request, Execute, work)

    async def batch_execute(self, request: Request) -> Response:
        async def work(guest: Guest, asked: BatchExecute) -> _Answer:
            statements = [statement_of(asked.sql, parameters) for parameters in asked.parameterSets or [[]]]
            if asked.transactionId is None:
                await self._statements.together(guest, statements)
            else:
                await self._statements.within(guest, asked.transactionId, statements)
            return {"updateResults": [{"generatedFields": []} for _ in asked.parameterSets]}

        return await self._serve(request, BatchExecute, work)

    async def begin(self, request: Request) -> Response:
        async def work(guest: Guest, asked: BeginTransaction) -> _Answer:
            return {"transactionId": await self._statements.begin(guest)}

        return await self._serve(request, BeginTransaction, work)

    async def commit(self, request: Request) -> Response:
        return await self._end(request, "COMMIT", "Transaction Committed")

    async def rollback(self, request: Request) -> Response:
        return await self._end(request, "ROLLBACK", "Rollback Complete")

    async def execute_sql(self, request: Request) -> Response:
        return _refused(
            "BadRequestException", 400, "This API is deprecated and not available. Use ExecuteStatement API instead"
        )

    async def _end(self, request: Request, command: str, status: str) -> Response:
        async def work(guest: Guest, asked: EndTransaction) -> _Answer:
            await self._statements.end(guest, asked.transactionId, command)
            return {"transactionStatus": status}

        return await self._serve(request, EndTransaction, work)

    async def _serve(
        self, request: Request, kind: type[_A], work: Callable[[Guest, _A], Awaitable[_Answer]]
    ) -> Response:
        async def answered(serving: Serving) -> Response:
            asked, guest = await self._guest(request, kind)
            serving.of(guest)
            try:
                answer = await work(guest, asked)
            except ParameterRefused as error:
                raise _bad(str(error)) from None
            return Response(msgspec.json.encode(answer), 200, media_type="application/json")

        return await self._statements.serve(answered, _failed)

    async def _guest(self, request: Request, kind: type[_A]) -> tuple[_A, Guest]:
        """What is asked and who asks. Raises RequestRefused, SqlError."""
        house = self._statements.house
        await known(house)
        try:
            body = await signed_body(self._statements, request)
            arn = msgspec.json.decode(body or b"{}", type=_Resource).resourceArn
            signed = signed_by(self._statements, request, body, SERVICE, parts_of(arn)[3])
        except msgspec.MsgspecError as error:
            raise _bad(str(error)) from None
        except SignatureRefused as error:
            # Said before anything else is: who did not sign learns nothing.
            principal = error.key.principal if error.key is not None else ""
            refusal = Refusal(
                access_denied(error.message.strip()), "", principal, error.access_key_id, "DbConnectAdmin"
            )
            house.gate.turn_away(refusal, ADMIN, client_of(request))
            raise RequestRefused(error.status, Code.connection_refused, error.message, error.code) from None
        try:
            asked = msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise _bad(str(error)) from None
        record = house.clusters.by_identifier(arn.rpartition("/")[2]) if house.clusters is not None else None
        if record is None or record.arn != arn:
            raise RequestRefused(
                404, Code.invalid_catalog_name, f"There is no cluster {arn}", "DatabaseNotFoundException"
            )
        if asked.database not in (None, "", house.settings.database):
            raise RequestRefused(
                404,
                Code.invalid_catalog_name,
                f'ERROR: database "{asked.database}" does not exist; SQLState: 3D000',
                "DatabaseNotFoundException",
            )
        if asked.schema:
            raise _bad("The schema parameter is not supported: qualify names, or set search_path in a transaction.")
        return asked, authorized(self._statements, request, signed, record, ADMIN)


class _Resource(msgspec.Struct):
    resourceArn: str = ""


def _executed(asked: Execute, result: Result) -> _Answer:
    words = result.tag.split(" ")
    changed = int(words[-1]) if words[0] in ("INSERT", "UPDATE", "DELETE", "MERGE") and words[-1].isdigit() else 0
    answer: _Answer = {"numberOfRecordsUpdated": changed}
    if not result.columns:
        return {**answer, "generatedFields": []}
    if asked.formatRecordsAs == "JSON":
        answer["formattedRecords"] = formatted(result.columns, result.rows, asked.resultSetOptions)
    else:
        answer["records"] = records_of(result.columns, result.rows, asked.resultSetOptions)
        if asked.includeResultMetadata:
            answer["columnMetadata"] = metadata_of(result.columns)
    return answer


def _bad(message: str) -> RequestRefused:
    return RequestRefused(400, Code.invalid_parameter_value, message, "BadRequestException")


def _failed(problem: Problem) -> Response:
    """In the words of the API: an exception's name, and the SQLSTATE at the end of the text."""
    message = problem.message
    if problem.kind:
        return _refused(problem.kind, problem.status, message)
    state = problem.sqlstate
    if state == Code.query_canceled.sqlstate:
        return _refused("StatementTimeoutException", 400, message)
    if state == Code.no_active_sql_transaction.sqlstate and "no such transaction" in message:
        return _refused("TransactionNotFoundException", 404, f"Transaction is not found: {problem.hint}")
    if state == Code.program_limit_exceeded.sqlstate and message.startswith("the result "):
        return _refused("BadRequestException", 400, "Database returned more than the allowed response size limit")
    if state == Code.object_not_in_prerequisite_state.sqlstate and message.startswith("the transaction is busy"):
        return _refused("DatabaseErrorException", 400, "Transaction is still running a query")
    if state == Code.connection_refused.sqlstate:
        return _refused("AccessDeniedException", 403, problem.hint or message)
    if problem.status in (408, 413):
        return _refused("BadRequestException", 400, message)
    unknown = state == Code.statement_completion_unknown.sqlstate
    if problem.status in (429, 503) and not unknown:
        return _refused("ServiceUnavailableError", 503, f"{message}; SQLState: {state}")
    parts = [f"ERROR: {message}"]
    if problem.detail:
        parts.append(f"  Detail: {problem.detail}")
    if problem.hint:
        parts.append(f"  Hint: {problem.hint}")
    position = problem.fields.get("P")
    if position:
        parts.append(f"  Position: {position}")
    text = "\n".join(parts) + f"; SQLState: {state}"
    if problem.status >= 500 and not unknown:
        return _refused("InternalServerErrorException", 500, text)
    return _refused("DatabaseErrorException", 400, text)


def _refused(kind: str, status: int, message: str) -> Response:
    answer = msgspec.json.encode({"message": message})
    return Response(answer, status, {"x-amzn-errortype": kind}, media_type="application/json")
