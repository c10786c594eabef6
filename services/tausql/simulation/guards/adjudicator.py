"""Guards of judging: conflicts, taus, and the truth about what became of a transaction."""

from __future__ import annotations

from tausql.simulation.guards.guard import WIDE_CLOCKS, Edit, Guard, Hint

_JUDGE = "tausql.adjudicator.judge:Judge."
_CONFLICTS = "tausql.adjudicator.conflicts:Conflicts."
_SETTLEMENT = "tausql.adjudicator.settlement:Settlement."
_DOCKET = "tausql.adjudicator.docket:Docket."
_ASKED = Hint(faults=("overtaken", "slow request", "kill in flight", "link cut one way"))
_LITTLE_MEMORY = Hint(shape=(("adjudicator.history_bytes_max", 8_000),))

GUARDS = (
    Guard(
        "adjudicator-conflict",
        "A writer is refused by a newer write of another transaction: first committer wins (I6).",
        (
            Edit(
                _CONFLICTS + "find",
                "if last_write(key, 0) > tau_start or (last_share and",
                "if (last_share and",
            ),
        ),
        Hint(),
    ),
    Guard(
        "adjudicator-share",
        "A writer is refused by a newer share (I6).",
        (Edit(_CONFLICTS + "find", "or (last_share and last_share.get(key, 0) > tau_start)", ""),),
        Hint(),
    ),
    Guard(
        "adjudicator-share-refused",
        "A sharer is refused by a newer write (I6).",
        (
            Edit(
                _CONFLICTS + "find",
                "for key in shares:\n        if last_write(key, 0) > tau_start:",
                "for key in ():\n        if True:",
            ),
        ),
        Hint(),
    ),
    Guard(
        "adjudicator-forgotten",
        "What is forgotten of the history of conflicts becomes the floor.",
        (Edit(_CONFLICTS + "_forget_oldest", "if bucket.high > self.floor:", "if False:"),),
        _LITTLE_MEMORY,
    ),
    Guard(
        "adjudicator-swept",
        "Of a forgotten second those keys stay that were touched again later.",
        (Edit(_CONFLICTS + "_sweep", "if last.get(key, TAU_NEVER) <= bucket.high:", "if key in last:"),),
        _LITTLE_MEMORY,
    ),
    Guard(
        "adjudicator-rising",
        "A tau_commit lies above every tau that was assigned, closed or started from.",
        (
            Edit(
                _JUDGE + "next_tau",
                "above = (self.highest >> SHIFT) + 1\n    if micros < above:",
                "above = 0\n    if False:",
            ),
            Edit(_JUDGE + "judge", "if tau <= self.highest or tau <= tau_start:", "if False:"),
        ),
        Hint(),
    ),
    Guard(
        "adjudicator-stranger",
        "A stream judges the keys of its own ranges only.",
        (Edit(_JUDGE + "refusal", "if stranger is not None:", "if False:"),),
        Hint(shape=(("streams", 3),), faults=("ranges move", "slow link", "overtaken", "slow request")),
    ),
    Guard(
        "adjudicator-schema",
        "A commit is refused if a schema it relied on has changed since its tau_start (OC001).",
        (
            Edit(
                _JUDGE + "refusal",
                "if schema.find(tau_start, request.low, request.schema) is not None:",
                "if False:",
            ),
        ),
        Hint("schema changes"),
    ),
    Guard(
        "adjudicator-read-back",
        "A transaction of an earlier epoch is aborted for certain only once the log was read to its tau_start (I7).",
        (Edit(_SETTLEMENT + "_of_an_earlier_epoch", "if recovered.covers(request.tau_start):", "if True:"),),
        _ASKED,
    ),
    Guard(
        "adjudicator-asking-decides",
        "Asked about a transaction of its own epoch that it has not seen, the holder decides against it for ever (I7).",
        (
            Edit(
                _SETTLEMENT + "_of_this_epoch",
                "self._outcomes.remember(request.txn, request.deadline, verdict)",
                "pass",
            ),
        ),
        _ASKED,
    ),
    Guard(
        "adjudicator-decided-against",
        "A commit that arrives after it was decided against is not judged (I7).",
        (
            Edit(
                _DOCKET + "commit",
                "if verdict is not None or request.deadline <= self._outcomes.forgotten:",
                "if False:",
            ),
            Edit(
                "tausql.adjudicator.outcomes:Outcomes.remember",
                "check(I7, txn not in self.verdicts,",
                "check(I7, True,",
            ),
        ),
        _ASKED,
    ),
    Guard(
        "adjudicator-undecided",
        "Of a transaction whose votes are still missing nobody is told that it has failed (I7).",
        (
            Edit(
                _DOCKET + "outcome",
                "if request.txn in self.coordinator or any(one.request.txn == request.txn for one in self._waiting):",
                "if False:",
            ),
            Edit(
                "tausql.adjudicator.outcomes:Outcomes.remember",
                "check(I7, txn not in self.verdicts,",
                "check(I7, True,",
            ),
        ),
        Hint(shape=(("streams", 3),), faults=("ranges move", "slow link", "overtaken", "slow request")),
    ),
    Guard(
        "adjudicator-outcome-durable",
        "An outcome is told once it is on a majority (I3).",
        (Edit(_SETTLEMENT + "_told", "tau <= self._proposer.commit_tau and", ""),),
        Hint(faults=("lonely tail", "wiped while it counts", "partition one way", "slow link")),
    ),
    Guard(
        "adjudicator-outcome-early",
        "An outcome is told once tau_commit has passed on every clock (I9).",
        (Edit(_SETTLEMENT + "_told", "and tau >> SHIFT < earliest", ""),),
        Hint(shape=WIDE_CLOCKS, faults=("slow request", "kill in flight", "loss", "link cut one way")),
    ),
)
