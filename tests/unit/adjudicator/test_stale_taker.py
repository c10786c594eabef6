"""An offer to an epoch that is over and does not know it: whoever still believes to own the range decides nothing."""

from __future__ import annotations

from fake_surroundings import FakeHost, FakeReply

from tausql.adjudicator import ownership
from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.estate import Estate, EstateLimits
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.schema import SchemaChanges
from tausql.protocol import journal
from tausql.protocol.adjudicator import TakeRange, Undecided


class NoLog:
    """A proposer that is to be left alone."""


def test_a_range_that_is_owned_is_not_taken_again():
    current = journal.Ownership((journal.Owned(b"", b"m"),))
    judge = Judge(0, 0, Owned(current.owned), Lead(), Conflicts(0), SchemaChanges(0))
    estate = Estate(
        FakeHost(), 0, current, judge, NoLog(), NoLog(), EstateLimits(), lambda: True, lambda: 0, lambda: None,
        lambda: None, lambda _: None, lambda: None,
    )  # fmt: skip
    reply = FakeReply()
    estate.take(TakeRange(giver=2, to=0, low=b"k", high=b"p", floor=5), reply)
    assert reply.answers == [Undecided()]
    assert estate.current == current


def test_what_overlaps():
    one = journal.Ownership((journal.Owned(b"c", b"f"), journal.Owned(b"m", b"")))
    assert [ownership.overlaps(one, low, high) for low, high in ((b"", b"c"), (b"f", b"m"))] == [False, False]
    within = ((b"", b""), (b"e", b"g"), (b"z", b""), (b"a", b"d"))
    assert all(ownership.overlaps(one, low, high) for low, high in within)
