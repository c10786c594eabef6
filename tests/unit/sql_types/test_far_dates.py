"""Dates as far as PostgreSQL's go."""

from __future__ import annotations

import pytest

from tausql.protocol.errors import SqlError
from tausql.sql.types.builtin import DATE, TIMESTAMP
from tausql.sql.types.session_format import SessionFormat


@pytest.mark.parametrize("text", ["5874897-12-31", "1000000-01-01", "4714-11-24 BC", "0001-01-01"])
def test_date_round_trips(text: str) -> None:
    format = SessionFormat()
    assert DATE.text_out(DATE.text_in(text, format, -1), format) == text


def test_dates_beyond_are_out_of_range() -> None:
    for type_, text in ((DATE, "5874898-01-01"), (TIMESTAMP, "294277-01-01 00:00:00")):
        with pytest.raises(SqlError) as caught:
            type_.text_in(text, SessionFormat(), -1)
        assert caught.value.sqlstate == "22008"
