"""What CALL can call: `sys.wait_for_job`, and in control's sessions `sys.remove_cluster_data`."""

from __future__ import annotations

import re
from typing import Any

from tausql.processor.internal import InternalTransactions
from tausql.processor.jobs import wait_for_job
from tausql.processor.removal import remove_some
from tausql.protocol.errors import Code, SqlError
from tausql.runtime.host import Host
from tausql.sql.engine import ResultColumn
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement
from tausql.sql.types.builtin import BOOL, INT8

_CALL = re.compile(r"\s*call\s+(?P<name>[\w.\"]+)\s*\((?P<arguments>.*)\)\s*;?\s*", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(
    r"(?:'(?P<text>(?:[^']|'')*)'|\$(?P<parameter>\d+))(?:\s*::\s*(?:text|varchar|character varying))?", re.IGNORECASE
)


_REMOVAL = "sys.remove_cluster_data"


class SystemProcedures:
    """`Procedures` of a cluster. `removal`: for sessions that may remove it."""

    def __init__(self, host: Host, internal: InternalTransactions, removal: bool = False) -> None:
        self._host = host
        self._internal = internal
        self._removal = removal

    def columns(self, statement: Statement) -> tuple[ResultColumn, ...]:
        if self._removes(statement):
            return (ResultColumn("removed", INT8, -1, 0, 0), ResultColumn("done", BOOL, -1, 0, 0))
        _argument(statement)
        return (ResultColumn("succeeded", BOOL, -1, 0, 0),)

    def _removes(self, statement: Statement) -> bool:
        call = _CALL.fullmatch(statement.text) if self._removal else None
        return call is not None and call["name"].lower() == _REMOVAL and not call["arguments"].strip()

    async def call(self, statement: Statement, context: Context) -> list[list[Any]]:
        if self._removes(statement):
            return [list(await remove_some(self._internal))]
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
