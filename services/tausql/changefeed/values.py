"""Stored values as a change record has them: Aurora DSQL's JSON forms.

    smallint, integer, bigint, real, double precision, boolean     the JSON value; NaN and infinities as text
    numeric, uuid, text and its kin, json, jsonb, interval ...     text
    bytea                                                          base64
    date                                                           days since 1970
    time                                                           microseconds since midnight
    timestamp, timestamptz                                         microseconds since 1970 (of UTC)
    infinite dates and timestamps                                  "infinity", "-infinity"
    arrays (an extension)                                          JSON arrays
    enum types (an extension)                                      the label

Rows are taken as they are stored, undecoded: numeric and jsonb lie there as the very text that is wanted.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from tausql.sql.types import type_by_oid
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
)
from tausql.sql.types.enums import is_enum_oid
from tausql.sql.types.session_format import SessionFormat

Shown = Callable[[Any], Any]
Labels = Mapping[tuple[int, float], str]  # of enum types: (oid, place in the order) -> label

DAYS_1970_TO_2000: Final = 10_957
_US_1970_TO_2000: Final = DAYS_1970_TO_2000 * 86_400_000_000
_INFINITE_DAYS: Final = {DATE_INFINITY: "infinity", DATE_MINUS_INFINITY: "-infinity"}
_INFINITE_INSTANTS: Final = {TIMESTAMP_INFINITY: "infinity", TIMESTAMP_MINUS_INFINITY: "-infinity"}


def _same(value: Any) -> Any:
    return value


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _uuid(value: bytes) -> str:
    return str(UUID(bytes=value))


def _days(value: int) -> Any:
    return _INFINITE_DAYS.get(value, value + DAYS_1970_TO_2000)


def _instant(value: int) -> Any:
    return _INFINITE_INSTANTS.get(value, value + _US_1970_TO_2000)


_SHOWN: Final[dict[int, Shown]] = {
    16: _same,
    17: _base64,
    20: _same,
    21: _same,
    23: _same,
    25: _same,
    26: _same,
    114: _same,
    700: _float,
    701: _float,
    1042: _same,
    1043: _same,
    1082: _days,
    1083: _same,
    1114: _instant,
    1184: _instant,
    1700: str,
    2950: _uuid,
    3802: _same,
}


def shown(type_oid: int, labels: Labels) -> Shown:
    """What turns a stored, non-NULL value of a type into its JSON form. `labels` is looked up when a value is shown."""
    found = _SHOWN.get(type_oid)
    if found is not None:
        return found
    if is_enum_oid(type_oid):
        return lambda value: labels.get((type_oid, float(value)), value)
    known = type_by_oid(type_oid)
    if known.is_array:
        element = shown(known.element_oid, labels)

        def array(value: Any) -> Any:
            items = value["items"] if isinstance(value, dict) else value  # one that does not count from 1
            return [None if one is None else array(one) if isinstance(one, list) else element(one) for one in items]

        return array
    style = SessionFormat()

    def text(value: Any) -> str:
        return known.text_out(tuple(value) if isinstance(value, list) else value, style)

    return text
