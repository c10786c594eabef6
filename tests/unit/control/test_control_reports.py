"""What is read from status pages, and what is made of what cannot be."""

from __future__ import annotations

from typing import Any

from tausql.control.reports import Answer, Kept, Reader
from tausql.protocol.fleet import Placed


def adjudicator(name: str, *streams: dict[str, Any], draining: bool = False) -> Answer:
    return Answer(name, "adjudicator", {"name": name, "streams": list(streams)}, draining)


def held(stream: int, epoch: int, *ranges: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"stream": stream, "held": True, "epoch": [epoch, 7], "ranges": list(ranges), **more}


def storage(*shards: dict[str, Any], name: str = "s-a") -> Answer:
    return Answer(name, "storage", {"name": name, "shards": list(shards)})


def test_a_holder_is_read_with_rates_from_the_second_reading_on():
    reader = Reader()
    row = {"low": "", "high": "6d", "commits": 100, "split": "61"}
    given = [{"low": "6d", "high": "", "to": 1}]

    def read(count: int, at: float) -> Any:
        one = held(0, 3, row | {"commits": count}, registered=[1, 0], given=given, limit=5, floor=0)
        return reader.read([adjudicator("adj-a", one, draining=True)], at)

    reports = read(100, 10.0)
    first = reports.streams[0]
    assert (first.holder, first.epoch, first.registered) == ("adj-a", (3, 7), (0, 1))
    assert first.ranges == ((b"", b"m", None, b"a"),)
    assert first.given == (Placed(b"m", b"", 1),)
    assert reports.draining == reports.answered == {"adj-a"}
    assert reports.registered == (0, 1)
    assert read(150, 15.0).streams[0].ranges[0].commits == 10.0
    assert read(150, 15.1).streams[0].ranges[0].commits == 10.0  # too soon to tell
    smoothed = read(150, 25.0).streams[0].ranges[0].commits
    assert 0.0 < smoothed < 10.0
    assert read(3, 30.0).streams[0].ranges[0].commits is None  # it counts anew


def test_of_two_that_claim_a_stream_the_later_epoch_counts():
    old, new = held(0, 3, {"low": "", "high": ""}), held(0, 4, {"low": "", "high": "6d"})
    for answers in ([adjudicator("a", old), adjudicator("b", new)], [adjudicator("b", new), adjudicator("a", old)]):
        assert Reader().read(answers, 0.0).streams[0].holder == "b"


def test_who_holds_nothing_or_does_not_say_what_is_no_holder():
    answers = [adjudicator("a", {"stream": 0, "held": False, "holder": "b"}, {"stream": 1, "held": True, "epoch": [1]})]
    assert Reader().read(answers, 0.0).streams == {}


def test_shards_are_read_with_what_is_known_of_them():
    reader = Reader()
    full = {"low": "6d", "high": "", "serving": True, "bytes": 9.0, "reads": 5, "writes": 5, "split": "78"}
    reports = reader.read([storage(full, {"low": "", "high": "6d"})], 0.0)
    assert reports.storages["s-a"] == (
        Kept(b"", b"m", False, None, None, None, None),
        Kept(b"m", b"", True, 9, None, b"x", None),
    )
    later = reader.read([storage(full | {"reads": 25, "writes": 10, "load_split": "79"})], 5.0)
    assert later.storages["s-a"] == (Kept(b"m", b"", True, 9, 5.0, b"x", b"y"),)
    assert reader.read([storage()], 6.0).storages == {"s-a": ()}


def test_what_cannot_be_read_is_not_known_and_said_so():
    reader = Reader()
    answers = [
        adjudicator("adj-a", held(0, 1, {"low": "zz", "high": ""})),
        adjudicator("adj-b", held(1, 1, {"low": 5, "high": ""})),
        Answer("adj-c", "adjudicator", "text"),
        Answer("s-a", "storage", {"shards": [{"low": ""}]}),
        Answer("s-b", "storage", {}),
        storage({"low": "", "high": ""}, name="s-c"),
    ]
    reports = reader.read(answers, 0.0)
    assert reports.streams == {}
    assert set(reports.storages) == {"s-c"}
    assert set(reader.troubles) == {"adj-a", "adj-b", "adj-c", "s-a"}
    assert reports.answered == {"adj-a", "adj-b", "adj-c", "s-a", "s-b", "s-c"}
    reader.read([], 1.0)
    assert reader.troubles == {}
