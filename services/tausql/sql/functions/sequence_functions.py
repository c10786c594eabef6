"""nextval, currval, setval, lastval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tausql.sql.functions.function import VOLATILE, Function, declare
from tausql.sql.sequences import currval, lastval, next_identity, nextval, setval

# What an identity column's default calls: the owner's business, so the user's privileges are not asked for.
NEXT_IDENTITY: Final = declare("nextval(regclass) int8", next_identity, volatility=VOLATILE, context=True)


def functions() -> Iterator[Function]:
    yield declare("nextval(regclass) int8", nextval, volatility=VOLATILE, context=True)
    yield declare("currval(regclass) int8", currval, volatility=VOLATILE, context=True)
    yield declare("lastval() int8", lastval, volatility=VOLATILE, context=True)
    yield declare("setval(regclass, int8) int8", setval, volatility=VOLATILE, context=True)
    yield declare("setval(regclass, int8, bool) int8", setval, volatility=VOLATILE, context=True)
