"""What went wrong over HTTP, before it takes the shape of one API or another."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tausql.frontend import refusals
from tausql.frontend.http_session import AnsweredError, SessionLost
from tausql.protocol.errors import Code, SqlError

_BY_SQLSTATE = {code.sqlstate: code for code in Code}


class Problem(msgspec.Struct, frozen=True):
    """status: HTTP's. kind: AWS's name of the exception, where a request was refused in AWS's words."""

    status: int
    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    retryable: bool = False
    fields: Mapping[str, str] = {}  # of the ErrorResponse, where the session sent one
    kind: str = ""


class RequestRefused(Exception):
    """A request that is not even looked into: not JSON, too large, not signed."""

    def __init__(self, status: int, code: Code, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(status, code.sqlstate, message, kind=kind)


def problem_of(error: SqlError | AnsweredError | SessionLost | TimeoutError | RequestRefused) -> Problem:
    match error:
        case RequestRefused():
            return error.problem
        case AnsweredError():
            return _answered(error)
        case SessionLost():
            return problem_of(refusals.processor_lost())
        case SqlError():
            code = error.code
            return Problem(code.http_status, code.sqlstate, error.message, error.detail, error.hint, code.retryable)
        case _:
            return problem_of(SqlError(Code.query_canceled, "canceling statement due to statement timeout"))


def _answered(error: AnsweredError) -> Problem:
    code = _BY_SQLSTATE.get(error.sqlstate)
    status = code.http_status if code else 500 if error.sqlstate.startswith("XX") else 400
    retryable = code is not None and code.retryable
    return Problem(status, error.sqlstate, error.message, error.detail, error.hint, retryable, error.fields)
