"""Functions of SQL that call themselves: the one kind whose body cannot be written in the place of the call.

The call becomes one of a built-in function whose work is the body, compiled once over a row of its arguments. It is
bounded twice: in depth, as PostgreSQL's is by its stack, and in number, because nothing else runs on this processor
until a row's value is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions import compile_expr
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Expr

DEPTH_MAX: Final = 100
CALLS_MAX: Final = 100_000  # for one value
_TOO_DEEP: Final = "stack depth limit exceeded"


class RecursiveFunction:
    """A function while it runs. `body` is known once it is bound, which meets calls of it on the way."""

    __slots__ = ("_calls", "_compiled", "_depth", "body", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.body: Expr | None = None
        self._compiled: Callable[[tuple[Any, ...], Context], Any] | None = None
        self._depth = 0
        self._calls = 0

    def __call__(self, context: Context, *arguments: Any) -> Any:
        if self._compiled is None:
            assert self.body is not None
            self._compiled = compile_expr(self.body)
        if self._depth >= DEPTH_MAX:
            raise SqlError(Code.statement_too_complex, _TOO_DEEP, hint=f"Functions call themselves {DEPTH_MAX} deep.")
        if self._depth == 0:
            self._calls = 0
        self._calls += 1
        if self._calls > CALLS_MAX:
            text = f"function {self.name} calls itself more than {CALLS_MAX} times"
            raise SqlError(Code.program_limit_exceeded, text)
        self._depth += 1
        try:
            return self._compiled(arguments, context)
        except RecursionError:
            raise SqlError(Code.statement_too_complex, _TOO_DEEP) from None
        finally:
            self._depth -= 1
