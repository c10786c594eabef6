"""Streams come, go and exchange ranges while everything goes on."""

from __future__ import annotations

import logging

import pytest
from streams_fleet import EVERYTHING, StreamsFleet, holds, whole

from tausql.adjudicator.heartbeat import CALM_LEAD_MICROS
from tausql.adjudicator.surroundings import Streams
from tausql.adjudicator.voting import Votes
from tausql.protocol.adjudicator import Aborted, Committed, Part, Reason, StreamSealed, TakeRange, Undecided
from tausql.protocol.fleet import Placed
from tausql.protocol.journal import Kind, Trim
from tausql.protocol.tau import closing, micros_of

TWO = (Placed(b"", b"m", 0), Placed(b"m", b"", 1))
THREE = (Placed(b"", b"g", 0), Placed(b"g", b"m", 1), Placed(b"m", b"", 2))


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def settled(fleet, owned):
    return lambda: fleet.owned() == owned


@pytest.fixture
def fleet():
    made = StreamsFleet(1, placement=TWO)
    made.run_until(settled(made, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 3.0)
    return made


def test_a_fresh_fleet_registers_its_streams_and_deals_out_the_keys(fleet):
    assert fleet.registered() == (0, 1)
    assert fleet.tenures()[0][0] is not fleet.tenures()[1][0], "every stream has its own preferred holder"
    first, second = fleet.commit(b"a"), fleet.commit(b"z")
    assert (first[1], second[1]) == (0, 1)
    start = next(record for record in fleet.log(0) if record.kind == Kind.ownership)
    assert fleet.log(1)[0].tau > start.tau


def test_without_a_placement_stream_0_keeps_everything():
    fleet = StreamsFleet(1)
    fleet.run_until(lambda: 1 in fleet.tenures(), 3.0)
    fleet.world.run(2.0)
    assert fleet.owned() == {0: EVERYTHING, 1: ()}


def test_where_no_number_of_streams_is_wanted_all_stays_as_it_is(fleet):
    """What a control says that has just started, before it knows how many there are."""
    fleet.want(streams=0, placement=())
    fleet.world.run(2.0)
    assert fleet.owned() == {0: ((b"", b"m"),), 1: ((b"m", b""),)}
    assert fleet.registered() == (0, 1)


def test_a_moved_range_is_refused_where_it_was_and_guarded_where_it_is(fleet):
    before, _ = fleet.commit(b"f")
    stale = fleet.request(b"f", 0)
    fleet.want(placement=(Placed(b"", b"f", 0), Placed(b"f", b"", 1)))
    fleet.run_until(settled(fleet, {0: ((b"", b"f"),), 1: ((b"f", b""),)}), 3.0)
    assert fleet.ask(stale) == Aborted(Reason.wrong_shard, 0, b"f")
    given = fleet.tenures()[1][1].estate.current.owned[0].floor
    assert given > before
    for tau_start in (stale.tau_start, before, given):
        refused = fleet.ask(fleet.request(b"f", 1, tau_start=tau_start))
        assert (refused.reason, refused.floor >= given) == (Reason.floor, True)
    assert fleet.ask(fleet.request(b"m", 1, tau_start=given - (1 << 20))).__class__ is Committed, "its own range"
    assert fleet.commit(b"f")[1] == 1


def test_a_stream_that_only_votes_is_not_calm(fleet):
    """A calm stream closes time further ahead whenever a reader waits, and a transaction it votes for would have to
    wait until that has come."""
    for _ in range(3):
        answer = fleet.ask(fleet.request(b"a", 0, parts=[Part(1, [b"z"], [])]))
        assert answer.__class__ is Committed
        voter = fleet.tenures()[1][1]
        fleet.world.run(0.02)
        latest = voter._host.clock.now().latest
        voter.nudge(closing(latest))
        ahead = micros_of(voter.heartbeat.closed) - latest
        assert ahead < CALM_LEAD_MICROS


def test_ranges_come_back_and_an_old_offer_changes_nothing(fleet):
    fleet.want(placement=(Placed(b"", b"", 1),))
    fleet.run_until(settled(fleet, {0: (), 1: EVERYTHING}), 3.0)
    floor = fleet.tenures()[1][1].estate.current.taken[0].floor
    fleet.want(placement=(Placed(b"", b"", 0),))
    fleet.run_until(settled(fleet, {0: EVERYTHING, 1: ()}), 3.0)
    answers = []
    channel = fleet.channels[fleet.tenures()[1][0].name]
    channel.take_range(TakeRange(0, 1, b"", b"m", floor), 1.0, answers.append)
    fleet.world.run(0.3)
    assert [type(one).__name__ for one in answers] == ["RangeTaken"]
    assert fleet.owned() == {0: EVERYTHING, 1: ()}


def test_offers_to_somebody_else_are_not_answered(fleet):
    answers = []
    wrong = fleet.channels[fleet.tenures()[0][0].name]
    wrong.take_range(TakeRange(0, 1, b"a", b"b", 1), 1.0, answers.append)
    wrong.stream_sealed(StreamSealed(7, (1, 1), 1, 1), 1.0, answers.append)
    fleet.channels[fleet.tenures()[1][0].name].stream_sealed(StreamSealed(0, (1, 1), 1, 1), 1.0, answers.append)
    fleet.world.run(0.3)
    assert isinstance(answers[0], Undecided)
    assert type(answers[1]).__name__ == "StreamRemoved", "there is none of that number"
    assert isinstance(answers[2], Undecided)


@pytest.mark.parametrize("dies", [0, 1])
def test_a_move_survives_the_death_of_either_holder_whenever_it_comes(dies):
    for moment in range(12):
        fleet = StreamsFleet(100 + moment, placement=TWO)
        fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 3.0)
        held = fleet.tenures()
        fleet.want(placement=(Placed(b"", b"c", 0), Placed(b"c", b"", 1)))
        fleet.world.run(0.0003 * moment)
        held[dies][0].kill()
        fleet.run_until(settled(fleet, {0: ((b"", b"c"),), 1: ((b"c", b""),)}), 6.0)
        assert whole(fleet.owned())
        assert fleet.commit(b"f")[1] == 1


def test_what_is_owned_outlives_every_holder(fleet):
    for _ in range(2):
        for process in fleet.adjudicators:
            process.kill()
        fleet.world.run(0.2)
        for process in fleet.adjudicators:
            process.start()
        fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 4.0)
    assert fleet.registered() == (0, 1)


def test_a_third_stream_is_registered_when_it_is_wanted(fleet):
    fleet.want(streams=3, placement=THREE)
    fleet.run_until(settled(fleet, {0: ((b"", b"g"),), 1: ((b"g", b"m"),), 2: ((b"m", b""),)}), 4.0)
    assert fleet.registered() == (0, 1, 2)
    assert {fleet.commit(key)[1] for key in (b"a", b"h", b"z")} == {0, 1, 2}


def test_a_stream_that_is_not_wanted_gives_everything_away_is_sealed_and_removed(fleet):
    fleet.want(streams=1)
    fleet.run_until(lambda: fleet.registered() == (0,), 5.0)
    assert fleet.owned() == {0: EVERYTHING}
    last = fleet.log(1)[-1]
    assert last.kind == Kind.epoch_end
    fleet.world.run(2.0)
    assert fleet.log(1)[-1] == last, "nothing follows, and nobody stands for it"
    assert all(1 not in process.services.candidates for process in fleet.adjudicators)
    fleet.want(streams=2)
    fleet.run_until(lambda: fleet.registered() == (0, 2), 5.0)
    fleet.run_until(lambda: 2 in fleet.tenures(), 5.0)


def test_a_sealed_stream_whose_holder_died_before_it_could_tell_is_removed(monkeypatch):
    fleet = StreamsFleet(3, placement=TWO)
    fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 3.0)
    monkeypatch.setattr(Streams, "_tell", lambda self, stream: None)
    process = fleet.tenures()[1][0]
    fleet.want(streams=1)
    fleet.run_until(lambda: 1 not in fleet.tenures() and fleet.owned().get(0) == EVERYTHING, 5.0)
    fleet.run_until(lambda: fleet.log(1)[-1].kind == Kind.epoch_end, 5.0)
    process.kill()
    monkeypatch.undo()
    fleet.run_until(lambda: fleet.registered() == (0,), 6.0)
    assert all(record.kind == Kind.epoch_end for record in fleet.log(1)[-1:])


def test_what_was_given_to_a_stream_that_ended_without_it_is_taken_back(monkeypatch):
    fleet = StreamsFleet(4, placement=(Placed(b"", b"", 0),))
    fleet.run_until(lambda: fleet.registered() == (0, 1) and 1 in fleet.tenures(), 3.0)
    monkeypatch.setattr(Streams, "offer", lambda self, request, done: self._host.later(0.2, done, Undecided()))
    fleet.want(placement=TWO)
    fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ()}), 3.0)
    fleet.want(streams=1)
    fleet.run_until(lambda: fleet.registered() == (0,), 5.0)
    monkeypatch.undo()
    fleet.run_until(settled(fleet, {0: EVERYTHING}), 5.0)
    assert fleet.tenures()[0][1].estate.current.given == ()


def test_what_is_owned_is_said_again_so_that_the_log_can_be_trimmed():
    fleet = StreamsFleet(5, streams=1, ownership_seconds=1.0)
    fleet.run_until(lambda: 0 in fleet.tenures(), 3.0)
    fleet.world.run(3.0)
    assert [record.kind for record in fleet.log(0)] == [Kind.epoch_start], "nothing was appended since"
    fleet.commit(b"a")
    fleet.world.run(1.5)
    kinds = [record.kind for record in fleet.log(0)]
    assert kinds == [Kind.epoch_start, Kind.transaction, Kind.ownership]
    tenure = fleet.tenures()[0][1]
    trimmed = []
    for client in fleet.journal.clients:
        client.trim(Trim(fleet.adjudicators[0].services.roster.fleet, 0, tenure.epoch, 3), 1.0, trimmed.append)
    fleet.world.run(0.3)
    assert len(trimmed) == 3


def test_the_preferred_holder_is_given_its_streams_back():
    fleet = StreamsFleet(6, placement=TWO)
    fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 3.0)
    fleet.want(preferred={0: ("adjudicator-2",), 1: ("adjudicator-2", "adjudicator-0")})
    fleet.run_until(lambda: [process.name for process, _ in fleet.tenures().values()] == ["adjudicator-2"] * 2, 10.0)
    fleet.tenures()[0][0].kill()
    fleet.run_until(lambda: len(fleet.tenures()) == 2, 3.0)
    fleet.world.run(6.0)
    assert "adjudicator-2" not in {process.name for process, _ in fleet.tenures().values()}
    assert fleet.tenures()[1][0].name == "adjudicator-0"
    fleet.adjudicators[2].start()
    fleet.run_until(lambda: [process.name for process, _ in fleet.tenures().values()] == ["adjudicator-2"] * 2, 15.0)


def test_nothing_is_given_while_nobody_holds_the_taker(monkeypatch):
    fleet = StreamsFleet(7, placement=(Placed(b"", b"", 0),))
    fleet.run_until(lambda: fleet.registered() == (0, 1) and 1 in fleet.tenures(), 3.0)
    monkeypatch.setattr(Streams, "reachable", lambda self, stream: False)
    fleet.want(placement=TWO)
    fleet.world.run(2.0)
    assert fleet.owned() == {0: EVERYTHING, 1: ()}
    monkeypatch.undo()
    fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 3.0)


def test_a_vote_that_is_out_raises_the_floor_of_a_range_that_moves(monkeypatch):
    fleet = StreamsFleet(8, placement=TWO)
    fleet.run_until(settled(fleet, {0: ((b"", b"m"),), 1: ((b"m", b""),)}), 3.0)
    upper = closing(fleet.world.micros() + 250_000)
    monkeypatch.setattr(Votes, "highest_upper", property(lambda self: upper))
    fleet.want(placement=(Placed(b"", b"c", 0), Placed(b"c", b"", 1)))
    fleet.run_until(lambda: holds(fleet.owned()[1], b"c"), 3.0)
    assert fleet.tenures()[1][1].estate.current.owned[0].floor == upper
    assert micros_of(upper) > fleet.world.micros()
