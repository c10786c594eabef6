"""What CALL can call: `sys.wait_for_job`."""

from __future__ import annotations

import re
from typing import Any

from tausql.processor.internal import InternalTransactions
from tausql.processor.jobs import wait_for_job
from tausql.protocol.errors import Code, SqlError
from tausql.runtime.host import Host
from tausql.sql.engine import ResultColumn
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement
from tausql.sql.types.builtin import BOOL

_CALL = re.compile(r"\s*call\s+(?P<name>[\w.\"]+)\s*\((?P<arguments>.*)\)\s*;?\s*", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(
    r"(?:'(?P<text>(?:[^']|'')*)'|\$(?P<parameter>\d+))(?:\s*::\s*(?:text|varchar|character varying))?", re.IGNORECASE
)


class SystemProcedures:
    """`Procedures` of a processor."""

    def __init__(self, host: Host, internal: InternalTransactions) -> None:
        self._host = host
        self._internal = internal

    def columns(self, statement: Statement) -> tuple[ResultColumn, ...]:
        _argument(statement)
        return (ResultColumn("succeeded", BOOL, -1, 0, 0),)

    async def call(self, statement: Statement, context: Context) -> list[list[Any]]:
        argument = _argument(statement)
        if argument["parameter"] is None:
            job_id: str | None = argument["text"].replace("''", "'")
        elif 0 < int(argument["parameter"]) <= len(context.params):
            job_id = context.params[int(argument["parameter"]) - 1]
        else:
            raise SqlError(Code.undefined_parameter, f"there is no parameter ${argument['parameter']}")
        return [[await wait_for_job(self._host, self._internal, job_id or "")]]


def _argument(statement: Statement) -> re.Match[str]:
    """The argument of `CALL sys.wait_for_job('...' or $1)`. Raises 42883 for any other procedure, 42601 for no call."""
    call = _CALL.fullmatch(statement.text)
    if call is None:
        raise SqlError(Code.syntax_error, "syntax error in CALL")
    argument = _TEXT.fullmatch(call["arguments"].strip())
    if call["name"].lower() != "sys.wait_for_job" or argument is None:
        raise SqlError(
            Code.undefined_function,
            f"procedure {call['name']}({call['arguments'].strip()}) does not exist",
            hint="sys.wait_for_job('job id') is the one procedure there is.",
        )
    return argument
