"""What clients did and were told: the one thing a checker may believe."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "fail", "info"]  # acknowledged, certainly not done, unknown


class Operation(msgspec.Struct, frozen=True):
    """`append`: `value` (unique in the run) was appended to the list at `key`. `read`: the list was `values`; `shared`:
    and nobody else may append to it until this transaction has committed."""

    kind: Literal["append", "read"]
    key: str
    value: int = 0
    values: tuple[int, ...] = ()
    shared: bool = False


class Attempt(msgspec.Struct):
    """One transaction. `invoked` and `completed` are instants of one clock that all clients share."""

    number: int
    client: str
    invoked: float
    completed: float
    status: Status
    operations: list[Operation]

    def appends(self) -> list[tuple[str, int]]:
        return [(operation.key, operation.value) for operation in self.operations if operation.kind == "append"]
