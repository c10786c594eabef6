"""Advisory locks that lock nothing, for clusters that are lenient.

Nobody waits for anybody here, so there is no lock to take. Migration tools take one around everything they do; letting
them pass is worth more than refusing, because what the lock should prevent cannot go unnoticed: of two migrations at a
time one meets 40001. Where the cluster is not lenient, statements that call these are refused before they get here.
"""

from __future__ import annotations

from collections.abc import Iterator

from tausql.sql.functions.function import VOLATILE, Function, declare

_TAKE = ("pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared")
_TRY = (
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_shared",
)


def _nothing(*_key: int) -> None:
    return None


def _granted(*_key: int) -> bool:
    return True


def functions() -> Iterator[Function]:
    for arguments in ("int8", "int4, int4"):
        for name in _TAKE:
            yield declare(f"{name}({arguments}) void", _nothing, volatility=VOLATILE)
        for name in _TRY:
            yield declare(f"{name}({arguments}) bool", _granted, volatility=VOLATILE)
    yield declare("pg_advisory_unlock_all() void", _nothing, volatility=VOLATILE)
