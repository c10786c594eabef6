"""Reading at an instant in the past: the transaction's snapshot is that instant, and it may not write."""

from __future__ import annotations

from tausql.processor.block import Block
from tausql.processor.transaction import EPOCH_2000_MICROS
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.tau import closing
from tausql.sql.past import instant
from tausql.sql.types.session_format import SessionFormat


def read_at(block: Block, as_of: str, now_us: int, format: SessionFormat) -> None:
    """Have the present transaction read at `as_of` (see `sql.past`). `now_us`: since 2000. Raises 25001 where it has
    read at another instant already, 22007 and 22023 for an instant that makes no sense."""
    transaction = block.current()
    if transaction.as_of == as_of:
        return
    if transaction.tau_start:
        raise SqlError(
            Code.active_sql_transaction,
            "AS OF SYSTEM TIME must come before any other statement of its transaction",
            hint="BEGIN READ ONLY AS OF SYSTEM TIME '...' makes it hold for all of them.",
        )
    at = instant(as_of, now_us, format)
    transaction.take_snapshot()
    transaction.tau_start = closing(at + EPOCH_2000_MICROS)
    transaction.as_of = as_of
    transaction.read_only = True
