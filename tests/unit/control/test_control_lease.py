from __future__ import annotations

from tausql.control.lease import Claim, Lease, Step


def test_a_lease_that_is_not_there_is_made():
    claim = Claim("a", 15.0)
    assert claim.step(None, 0.0) is Step.create
    assert not claim.held(0.0)
    claim.written(1.0)
    assert claim.held(1.0)
    assert claim.held(10.9)
    assert not claim.held(11.0)


def test_ones_own_lease_is_renewed_and_anothers_waited_for():
    claim = Claim("a", 15.0)
    assert claim.step(Lease("a", "1", 15.0), 0.0) is Step.renew
    assert claim.step(Lease("b", "2", 15.0), 0.0) is Step.wait
    claim.written(0.0)
    claim.lost()
    assert not claim.held(0.0)


def test_another_is_given_its_time_as_seen_from_here():
    claim = Claim("a", 15.0)
    assert claim.step(Lease("b", "1", 20.0), 100.0) is Step.wait
    assert claim.step(Lease("b", "1", 20.0), 119.0) is Step.wait
    assert claim.step(Lease("b", "2", 20.0), 119.5) is Step.wait  # renewed
    assert claim.step(Lease("b", "2", 20.0), 139.0) is Step.wait
    assert claim.step(Lease("b", "2", 20.0), 139.5) is Step.take


def test_a_lease_given_back_is_taken_at_once():
    assert Claim("a", 15.0).step(Lease("", "1", 15.0), 0.0) is Step.take


def test_the_holder_ceases_to_act_before_another_may_begin():
    holder, other = Claim("a", 15.0), Claim("b", 15.0)
    holder.written(0.0)
    assert other.step(Lease("a", "1", 15.0), 0.1) is Step.wait
    for tenth in range(300):
        now = tenth / 10
        if other.step(Lease("a", "1", 15.0), max(now, 0.1)) is Step.take:
            assert not holder.held(now)
            assert now >= 15.0
            return
    raise AssertionError("the lease never ran out")
