"""Guards of commits over several streams, and of schema changes, on which all streams vote."""

from __future__ import annotations

from tausql.runtime.fault_points import LOSE_A_SETTLE, RESIGN
from tausql.simulation.guards.guard import WIDE_CLOCKS, Edit, Guard, Hint

_JUDGE = "tausql.adjudicator.judge:Judge."
_VOTES = "tausql.adjudicator.voting:Votes."
_COORDINATOR = "tausql.adjudicator.coordinator:Coordinator."
_THREE = (("streams", 3), ("start_seconds", 0.0))  # so that holders differ
_FAULTS = ("ranges move", "overtaken", "preferred holders change", "loss")
_ACROSS = Hint(shape=_THREE, faults=_FAULTS)
_SCHEMA = Hint("schema changes", shape=_THREE, faults=("ranges move", "overtaken", "slow link", "loss"))
_SCHEMA_AHEAD = Hint("schema changes", shape=(*_THREE, *WIDE_CLOCKS), faults=_SCHEMA.faults)

GUARDS = (
    Guard(
        "vote-limit",
        "A vote's upper is at most the limit (I4).",
        (
            Edit(
                _JUDGE + "vote",
                "min(self.limit, max(now, request.tau_start) + (VOTE_MICROS << SHIFT))",
                "max(now, request.tau_start) + (VOTE_MICROS << SHIFT)",
            ),
            Edit(_JUDGE + "vote", "check(I4, upper <= self.limit,", "check(I4, True,"),
        ),
        Hint(shape=_THREE, faults=("zombie", "lonely tail", "link cut one way", "preferred holders change")),
    ),
    Guard(
        "vote-upper",
        "The coordinator gives no tau above any vote's upper.",
        (Edit(_COORDINATOR + "_told", "one.upper = min(one.upper, answer.upper)", "pass"),),
        _ACROSS,
    ),
    Guard(
        "vote-lower",
        "The coordinator gives a tau above every vote's lower: a schema change, above all that relied on the old one.",
        (Edit(_COORDINATOR + "_told", "one.lower = max(one.lower, answer.lower)", "pass"),),
        _SCHEMA_AHEAD,
    ),
    Guard(
        "vote-schema-above",
        "A stream votes for a schema change above every tau it has assigned, closed or started from.",
        (
            Edit(
                _JUDGE + "vote",
                "max(self.highest, request.tau_start) + 1, self.limit",
                "request.tau_start + 1, self.limit",
            ),
        ),
        _SCHEMA_AHEAD,
    ),
    Guard(
        "vote-keys",
        "Keys that were voted for are held back until the end is known.",
        (Edit(_VOTES + "give", "self._conflicts.reserve(request.txn, request.writes, request.shares)", "pass"),),
        _ACROSS,
    ),
    Guard(
        "vote-pending-shares",
        "A writer is refused by a pending share.",
        (
            Edit(
                "tausql.adjudicator.conflicts:Conflicts._find_pending",
                "or self._pending_shares.get(key, {txn}) != {txn}",
                "",
            ),
        ),
        _ACROSS,
    ),
    Guard(
        "vote-schema",
        "A schema whose change was voted for refuses whoever relies on it.",
        (Edit(_VOTES + "give", "self._schema.reserve(request.low, request.changes)", "pass"),),
        _SCHEMA,
    ),
    Guard(
        "vote-recorded",
        "What has committed elsewhere is recorded where it was voted for.",
        (Edit(_VOTES + "_let_go", "self._conflicts.record_voted(tau, request.writes, request.shares)", "pass"),),
        _ACROSS,
    ),
    Guard(
        "vote-schema-recorded",
        "A schema change is recorded wherever it was voted for.",
        (Edit(_VOTES + "_let_go", "self._schema.record(tau, request.low, request.changes)", "pass"),),
        _SCHEMA,
    ),
    Guard(
        "vote-expired",
        "What is not told by the vote's upper is recorded there, as if it had committed.",
        (Edit(_VOTES + "expire", "self._let_go(one, one.upper)", "self._let_go(one, 0)"),),
        Hint(shape=_THREE, faults=_FAULTS, points=(LOSE_A_SETTLE,)),
    ),
    Guard(
        "vote-kept",
        "A vote binds until its upper, not less.",
        (
            Edit(_VOTES + "expire", "if one.upper <= tau]", "]"),
            Edit(_VOTES + "expire", "self._let_go(one, one.upper)", "self._let_go(one, 0)"),
        ),
        _ACROSS,
    ),
    Guard(
        "vote-own-keys",
        "The coordinator checks its own keys when it decides, not only when it begins.",
        (
            Edit(
                _JUDGE + "judge",
                "refusal = self.refusal(request)",
                "refusal = None if request.parts else self.refusal(request)",
            ),
        ),
        _ACROSS,
    ),
    Guard(
        "vote-no-guess",
        "Of what was decided, and is on no majority yet, voters are told nothing at the epoch's end.",
        (
            Edit(
                _COORDINATOR + "abandon",
                "for one in rounds:",
                "for one in (*rounds, *(told[2] for told in self._telling)):",
            ),
        ),
        Hint(shape=_THREE, faults=("zombie", "pause", "link cut one way", "lonely tail"), points=(RESIGN,)),
    ),
    Guard(
        "vote-every-stream",
        "On a schema change every registered stream votes.",
        (
            Edit("tausql.adjudicator.docket:Docket._incomplete", "if request.changes and", "if False and"),
            Edit("tausql.processor.commits:Commits._assign", "if wanted.changes:", "if False:"),
        ),
        _SCHEMA,
    ),
)
