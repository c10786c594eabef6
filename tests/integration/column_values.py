"""Every column type there is, with values in its midst and at its ends."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

UTC = dt.UTC

# name, SQL type, a usual value, the lowest, the highest that Python can hold
COLUMNS: tuple[tuple[str, str, Any, Any, Any], ...] = (
    ("c_smallint", "smallint", 7, -(2**15), 2**15 - 1),
    ("c_integer", "integer", -70_000, -(2**31), 2**31 - 1),
    ("c_bigint", "bigint", 5_000_000_000, -(2**63), 2**63 - 1),
    ("c_real", "real", 1.5, -16_777_216.0, 2.0**-10),
    ("c_double", "double precision", 0.1, -1.7976931348623157e308, 5e-324),
    ("c_numeric", "numeric(38,10)", Decimal("12.34"), Decimal(f"-{'9' * 28}.{'9' * 10}"), Decimal(0)),
    ("c_numeric_wide", "numeric(1000,500)", Decimal(1), Decimal(-10) ** 499, Decimal(10) ** 499),
    ("c_boolean", "boolean", True, False, True),
    ("c_char", "char(5)", "ab   ", "     ", "zzzzz"),
    ("c_varchar", "varchar(20)", "Grüße", "", "z" * 20),
    ("c_bpchar", "bpchar", "x", "", "y" * 4096),
    ("c_text", "text", 'it\'s \\ "quoted"\n\ttab €', "", "ü" * 10_000),
    ("c_bytea", "bytea", b"\x00\x01\xff'\\", b"", bytes(range(256)) * 40),
    ("c_uuid", "uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)),
    ("c_date", "date", dt.date(2026, 11, 23), dt.date.min, dt.date.max),
    ("c_time", "time", dt.time(12, 34, 56, 789012), dt.time.min, dt.time.max),
    (
        "c_timetz",
        "time with time zone",
        dt.time(1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
        dt.time(0, 0, tzinfo=UTC),
        dt.time(23, 59, 59, 999999, tzinfo=UTC),
    ),
    ("c_timestamp", "timestamp", dt.datetime(2026, 11, 23, 5, 1, 2, 3), dt.datetime.min, dt.datetime.max),
    (
        "c_timestamptz",
        "timestamp with time zone",
        dt.datetime(2026, 11, 23, 5, 1, 2, 3, tzinfo=UTC),
        dt.datetime(1, 1, 2, tzinfo=UTC),
        dt.datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    (
        "c_interval",
        "interval",
        dt.timedelta(days=3, hours=4, microseconds=5),
        dt.timedelta(days=-999_999),
        dt.timedelta(days=999_999, seconds=86_399, microseconds=999_999),
    ),
    ("c_json", "json", {"a": [1, None, "ü"]}, {}, [{"deep": {"er": [[[]]]}}]),
    ("c_jsonb", "jsonb", {"a": [1, None, "ü"], "b": 1.5}, [], "text"),
)

# What Python's types cannot hold, as text that goes in and comes out unchanged.
TEXTS: tuple[tuple[str, str], ...] = (
    ("c_real", "NaN"),
    ("c_real", "3.4028235e+38"),
    ("c_real", "1e-45"),
    ("c_real", "-Infinity"),
    ("c_double", "Infinity"),
    ("c_numeric", "NaN"),
    ("c_date", "infinity"),
    ("c_date", "4714-11-24 BC"),
    ("c_date", "5874897-12-31"),
    ("c_time", "24:00:00"),
    ("c_timestamp", "4714-11-24 00:00:00 BC"),
    ("c_timestamp", "294276-12-31 23:59:59.999999"),
    ("c_timestamptz", "-infinity"),
    ("c_timetz", "00:00:00+15:59:59"),
    ("c_interval", "-178000000 years"),
    ("c_interval", "1 year 2 mons -3 days +04:05:06.789"),
    ("c_jsonb", '{"b": 1.10, "aa": null}'),
)


def create(table: str) -> str:
    """CREATE TABLE with an `id` and all the columns."""
    return f"CREATE TABLE {table} (id integer PRIMARY KEY, {', '.join(f'{one[0]} {one[1]}' for one in COLUMNS)})"


def rows() -> list[tuple[Any, ...]]:
    """Usual, lowest, highest and all NULL, `id` first."""
    made = [(number, *(one[number + 1] for one in COLUMNS)) for number in (1, 2, 3)]
    return [*made, (4, *(None for _ in COLUMNS))]
