"""Which ranges of a stream are busy, and where one would be cut."""

from __future__ import annotations

from tausql.adjudicator.load import EVERY, SAMPLES_MIN, Load
from tausql.protocol.fleet import Placed


def busy(load, keys, times=1):
    for _ in range(times):
        for key in keys:
            for _ in range(EVERY):
                load.note([key])


def test_a_range_has_its_share_of_the_commits():
    load = Load()
    load.cut([b"", b"m"])
    busy(load, [b"a", b"b", b"z"])
    assert load.total == 3 * EVERY
    assert (load.of(b""), load.of(b"m")) == (2 * EVERY, EVERY)


def test_the_middle_halves_what_was_seen():
    load = Load()
    busy(load, [b"%03d" % number for number in range(100)])
    assert load.middle(b"", b"") == b"050"
    assert load.middle(b"080", b"") == b"090"


def test_too_few_samples_tell_nothing():
    load = Load()
    busy(load, [b"%03d" % number for number in range(SAMPLES_MIN - 1)])
    assert load.middle(b"", b"") is None


def test_one_hot_key_has_no_middle():
    load = Load()
    busy(load, [b"hot"], 40)
    assert load.middle(b"hot", b"") is None


def test_rows_are_cut_where_the_map_wants_cuts():
    load = Load()
    rows = load.rows([(b"", b"m"), (b"t", b"")], [Placed(b"", b"c", 0), Placed(b"c", b"p", 1), Placed(b"p", b"", 0)])
    assert [(bytes.fromhex(row["low"]), bytes.fromhex(row["high"])) for row in rows] == [
        (b"", b"c"),
        (b"c", b"m"),
        (b"t", b""),
    ]
    busy(load, [b"d"])
    assert [row["commits"] for row in load.rows([(b"", b"m"), (b"t", b"")], [Placed(b"c", b"", 1)])] == [0, EVERY, 0]


def test_a_range_that_is_cut_begins_anew():
    load = Load()
    busy(load, [b"a"])
    load.cut([b"", b"m", b"x"])
    assert load.of(b"") == 0
