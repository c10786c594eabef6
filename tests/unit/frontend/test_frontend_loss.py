"""What a client that has asked for several things at once is owed when its processor goes away."""

from __future__ import annotations

import pytest

from tausql.frontend.loss import Plan, Situation, plan_of
from tausql.frontend.requests import Requests
from tausql.pgwire import client
from tausql.pgwire.client import BackendReader, ErrorResponse, ReadyForQuery
from tausql.pgwire.tail import RelayTail
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.processor import CommitNote, Lost

IDLE, TRANSACTION = ord("I"), ord("T")
INSERT, OTHER = client.query("INSERT INTO t VALUES (1)"), client.query("INSERT INTO t VALUES (2)")
READ, UPDATE, COMMIT = client.query("SELECT 1"), client.query("UPDATE t SET v = 1"), client.query("COMMIT")
TAG = b"C\x00\x00\x00\x0fINSERT 0 1\x00"
QUESTION = Outcome(b"x" * 16, 1, 2, 0, (1, 1))


def lost(*asked: bytes, clean: bool = False, base: int = IDLE, announced: bool = False) -> Plan:
    requests = Requests()
    requests.sent(b"".join(asked))
    note = CommitNote(1, QUESTION, b"", TAG, True, {}) if announced else None
    plan = plan_of(Situation(base, RelayTail(base, ord("Z")), False, requests, note, b"", b"", clean, {}))
    assert plan is not None
    return plan


def told(answer: bytes) -> list[str]:
    """Codes of errors, and Z for ReadyForQuery."""
    found: list[str] = []
    for message in BackendReader().feed(answer):
        if isinstance(message, ErrorResponse):
            found.append(message.fields["C"])
        elif isinstance(message, ReadyForQuery):
            found.append("Z")
    return found


def test_what_follows_an_announced_commit_is_run_again_where_it_was_not_run() -> None:
    plan = lost(INSERT, OTHER, announced=True, clean=True)
    assert plan.question == QUESTION
    assert plan.replay == OTHER
    assert told(plan.if_not[1]) == ["Z"]


def test_what_follows_an_announced_commit_may_have_been_run_where_nothing_is_proven() -> None:
    plan = lost(INSERT, OTHER, announced=True)
    assert plan.question == QUESTION
    assert plan.replay == b""
    assert told(plan.if_committed) == ["Z", "40003", "Z"]
    assert told(plan.if_not[1]) == ["Z", "40003", "Z"]


def test_reads_that_follow_an_announced_commit_are_run_again_in_any_case() -> None:
    assert lost(INSERT, READ, announced=True).replay == READ


def test_a_request_that_has_only_begun_goes_on_elsewhere() -> None:
    plan = lost(INSERT, OTHER, READ[:7], announced=True)
    assert told(plan.if_committed) == ["Z", "40003", "Z"]
    assert plan.replay == READ[:7]


@pytest.mark.parametrize("clean", [True, False])
def test_a_read_first_does_not_vouch_for_what_follows(clean: bool) -> None:
    plan = lost(READ, INSERT, clean=clean)
    if clean:
        assert (plan.replay, plan.answer) == (READ + INSERT, b"")
    else:
        assert (plan.replay, told(plan.answer)) == (b"", ["40003", "Z", "40003", "Z"])


def test_reads_alone_are_run_again() -> None:
    assert lost(READ, READ).replay == READ + READ


def test_a_block_with_its_commit_under_way_may_have_been_committed() -> None:
    plan = lost(UPDATE, COMMIT, base=TRANSACTION)
    assert (plan.replay, told(plan.answer)) == (b"", ["40003", "Z", "40003", "Z"])


def test_a_block_that_nobody_has_ended_is_lost_and_nothing_else() -> None:
    plan = lost(UPDATE, UPDATE, base=TRANSACTION)
    assert (plan.lost, plan.replay, plan.answer) == (Lost.untold, UPDATE + UPDATE, b"")
