"""The lead where the majority, or the readers, are far away."""

from __future__ import annotations

from tausql.adjudicator.lead import AGREEING, FORGOTTEN_SECONDS, NUDGES, SENDERS_MAX, Lead


def test_what_eight_appends_agree_on_counts_at_once_whether_queued_or_not():
    lead = Lead(1_000, 200)
    for number in range(AGREEING - 1):
        lead.queued(0.040 + number * 0.001)
    assert lead.micros == 1_000, "one of them may still have been quick"
    lead.queued(0.043)
    assert lead.micros == 40_200
    for number in range(AGREEING):
        lead.queued(0.010 + number * 0.001)
    assert lead.micros == 17_200, "no slower than the slowest of eight quick ones"


def test_a_queue_that_lets_one_through_in_time_leaves_the_lead_alone():
    lead = Lead(1_000, 200)
    for number in range(100):
        lead.queued(0.0005 if number % AGREEING == 0 else 0.050)
    assert lead.micros == 1_000


def test_readers_far_away_are_heard_of_by_their_nudges():
    lead = Lead(1_000, 200)
    for way in (31_000, 30_000, 80_000):
        lead.nudged("west", way - 1_000, way, 1.0)
    assert lead.micros == 1_000, "too few to tell"
    lead.nudged("west", 90_000, 91_000, 1.1)
    assert lead.micros == 800 + 30_000
    for _ in range(NUDGES):
        lead.nudged("north", 9_000, 10_000, 1.2)
    assert lead.micros == 800 + 30_000, "the farthest counts"
    for _ in range(NUDGES):
        lead.nudged("west", 14_000, 15_000, 2.0)
    assert lead.micros == 800 + 15_000
    lead.age(2.0 + FORGOTTEN_SECONDS)
    assert lead.micros == 1_000, "nobody reads there any more"


def test_clocks_that_are_apart_are_no_distance():
    lead = Lead(1_000, 200)
    for _ in range(NUDGES):
        lead.nudged("west", 500, 40_000, 1.0)
    assert lead.micros == 1_000


def test_the_lead_has_bounds():
    lead = Lead(1_000, 200, 50_000)
    for number in range(10 * SENDERS_MAX):
        for _ in range(NUDGES):
            lead.nudged(f"crossbar-{number}", 90_000, 90_000, 1.0)
    assert lead.micros == 50_000
    assert len(lead._ways) == SENDERS_MAX
