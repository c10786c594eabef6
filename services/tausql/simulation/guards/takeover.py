"""Guards of a stream's epoch: what a candidate adopts, what counts as committed, limits, closing time, the end."""

from __future__ import annotations

from tausql.simulation.guards.guard import WIDE_CLOCKS, Edit, Guard, Hint

_PROPOSER = "tausql.adjudicator.proposer:Proposer."
_TENURE = "tausql.adjudicator.tenure:Tenure."
_CANDIDATE = "tausql.adjudicator.takeover:Candidate."
_BEAT = "tausql.adjudicator.heartbeat:Heartbeat.now"
_TAKEOVERS = Hint(faults=("lonely tail", "zombie", "kill in flight", "pause"))
_WRONG_CLOCKS = Hint(shape=(("clocks_lie", True),), faults=("clock jumps ahead", "clock runs away", "kill", "handover"))
_CUT_OFF = Hint(faults=("zombie", "lonely tail", "link cut one way", "partition one way"))
_WIPES = Hint(faults=("wiped while it counts", "outvoted disk", "wipe journal", "lonely tail"))
_HANDOVERS = Hint(faults=("handover", "rolling restart", "preferred holders change", "ranges move"))
_VOTES_OPEN = Hint(
    shape=(("streams", 3), ("start_seconds", 0.0)),
    faults=("handover", "overtaken", "preferred holders change", "ranges move"),
)

GUARDS = (
    Guard(
        "adjudicator-majority",
        "Committed is what a majority acknowledged, not one disk (I3).",
        (Edit(_PROPOSER + "_advance", "seqs[-majority]", "seqs[-1]"),),
        Hint(),
    ),
    Guard(
        "adjudicator-limit-majority",
        "A limit is used once a majority has it on its disks (I4).",
        (Edit(_PROPOSER + "_advance", "taus[-majority]", "taus[-1]"),),
        Hint(),
    ),
    Guard(
        "adjudicator-incarnation",
        "What a disk acknowledged stops counting as soon as anybody names a newer incarnation of it.",
        (
            Edit("tausql.adjudicator.roster:Roster.current", "return incarnation == newest[index]", "return True"),
            Edit(_PROPOSER + "_counts", "replica.incarnation == self._roster.newest[replica.index] and", ""),
            Edit(_PROPOSER + "_advance", "and replica.incarnation == newest[replica.index]", ""),
            Edit(
                "tausql.adjudicator.replica:Replica.acknowledge",
                "if answer.incarnation != self.incarnation:",
                "if False:",
            ),
            Edit("tausql.adjudicator.replica:Replica.go_back", "if self.incarnation != newest:", "if False:"),
        ),
        _WIPES,
    ),
    Guard(
        "adjudicator-adopt",
        "A takeover adopts the log with the highest (epoch, seq) of its majority.",
        (Edit(_CANDIDATE + "_adopt", "max(grants, key=", "min(grants, key="),),
        _TAKEOVERS,
    ),
    Guard(
        "adjudicator-above-limit",
        "The next epoch starts above the highest limit its majority reports: what was closed stays closed (I5).",
        (
            Edit(_TENURE + "__init__", "stream,\n        won.floor,\n", "stream,\n        0,\n"),
            Edit(_CANDIDATE + "_adopt", "chosen.trim_seq, floor)", "chosen.trim_seq, 0)"),
        ),
        _TAKEOVERS,
    ),
    Guard(
        "adjudicator-floor",
        "After a takeover transactions that started at or below the floor are refused: their conflicts are forgotten.",
        (
            Edit(_TENURE + "__init__", "Conflicts(won.floor,", "Conflicts(0,"),
            Edit(_TENURE + "__init__", "SchemaChanges(won.floor)", "SchemaChanges(0)"),
        ),
        _TAKEOVERS,
    ),
    Guard(
        "adjudicator-epoch-start",
        "Nothing of an earlier epoch counts as committed before EpochStart is on a majority (figure 8).",
        (
            Edit(_TENURE + "outcome", "if not self.active or self.over:", "if self.over:"),
            Edit(
                _TENURE + "begin",
                "judge, proposer = self._judge, self.proposer",
                "judge, proposer = self._judge, self.proposer\n"
                "    self._lookback.want((micros_of(self.floor) - _LOOKBACK_MICROS) << SHIFT)",
            ),
            Edit("tausql.adjudicator.settlement:Settlement._told", "tau <= self._proposer.commit_tau and", ""),
        ),
        _TAKEOVERS,
    ),
    Guard(
        "adjudicator-limit",
        "No tau above the limit is given out (I4), and none above the deadline.",
        (
            Edit("tausql.adjudicator.judge:Judge.judge", "if tau > self.limit:", "if False:"),
            Edit("tausql.adjudicator.judge:Judge.judge", "if tau > request.deadline:", "if False:"),
        ),
        _WRONG_CLOCKS,
    ),
    Guard(
        "adjudicator-start-limit",
        "EpochStart is not stored without a limit that covers it, not even where a clock is wrong.",
        (
            Edit(
                _PROPOSER + "_refused",
                "answer.status == Status.limit_refused and self.commit_seq >= self.start_seq",
                "answer.status == Status.limit_refused",
            ),
        ),
        _WRONG_CLOCKS,
    ),
    Guard(
        "adjudicator-closed-assigned",
        "No tau at or below closed time is assigned (I5).",
        (Edit(_BEAT, "judge.highest = tau", "pass"),),
        Hint(),
    ),
    Guard(
        "adjudicator-closed-limit",
        "Time is closed up to the limit, not further (I4).",
        (
            Edit(_BEAT, "judge.limit, self.ceiling)", "self.ceiling)"),
            Edit(_BEAT, "check(I4, tau <= judge.limit,", "check(I4, True,"),
        ),
        _CUT_OFF,
    ),
    Guard(
        "adjudicator-in-flight",
        "A heartbeat counts the records in flight, not the committed ones alone (I5).",
        (Edit(_BEAT, "proposer.epoch, proposer.log.last_seq, tau", "proposer.epoch, proposer.commit_seq, tau"),),
        Hint(),
    ),
    Guard(
        "adjudicator-ceiling",
        "Nothing is closed above the tau that a planned handover ends with: the next epoch starts there (I5).",
        (Edit(_TENURE + "_end_epoch", "self.heartbeat.ceiling = tau", "pass"),),
        _HANDOVERS,
    ),
    Guard(
        "adjudicator-end-votes",
        "The end of an epoch lies above every vote it has given: the next one starts there and knows of none.",
        (
            Edit(
                _TENURE + "_end_epoch", "self._judge.limit if self._sealing else self.docket.votes.highest_upper", "0"
            ),
            Edit(_TENURE + "_end_epoch", "if rounds and len(self.docket.votes):", "if False:"),
        ),
        _VOTES_OPEN,
    ),
    Guard(
        "adjudicator-early-answer",
        "Nobody says 'committed' before tau_commit has passed on every clock (I9).",
        (
            Edit("tausql.adjudicator.answers:Answers._release", "if early >= 0:", "if False:"),
            Edit("tausql.adjudicator.answers:Answers._release", "if tau >> SHIFT >= earliest or", "if"),
        ),
        Hint(shape=WIDE_CLOCKS),
    ),
)
