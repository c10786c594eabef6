"""What clients did and were told: the one thing a checker may believe."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "fail", "info"]  # acknowledged, certainly not done, unknown
Kind = Literal["append", "read", "write", "get"]


class Operation(msgspec.Struct, frozen=True):
    """One step of a transaction, in the order it was done. A key is a list or a register, never both.

    append   `value` was appended to the list `key`; no two appends of a run to one key have the same value
    read     the list `key` was `values`
    write    the register `key` was set to `value`; no two writes of a run to one key have the same value
    get      the register `key` held `values`: one value, or none where nobody had written yet

    `shared`: with the read (or get), and nobody else may write that key until this transaction has committed (SELECT
    FOR UPDATE); in a transaction that writes nothing it means nothing. An append or write belongs into the history
    when it is sent, a read when it is answered."""

    kind: Kind
    key: str
    value: int = 0
    values: tuple[int, ...] = ()
    shared: bool = False


class Attempt(msgspec.Struct):
    """One transaction; `number` is unique in its history. `invoked` and `completed` are instants of one clock that all
    clients share. A transaction that only read and was answered is `ok` when its COMMIT was, else `fail`."""

    number: int
    client: str
    invoked: float
    completed: float
    status: Status
    operations: list[Operation]

    def appends(self) -> list[tuple[str, int]]:
        return [(operation.key, operation.value) for operation in self.operations if operation.kind == "append"]

    def writes(self) -> list[tuple[str, int]]:
        """Appends to lists and writes to registers: (key, value)."""
        return [
            (operation.key, operation.value) for operation in self.operations if operation.kind in ("append", "write")
        ]
