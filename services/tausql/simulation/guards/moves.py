"""Guards of ranges and streams that move: who judges, for ever, whoever dies when."""

from __future__ import annotations

from tausql.runtime.fault_points import FORGET_A_TAKING, LATE_TAKING
from tausql.simulation.guards.guard import Edit, Guard, Hint

_ESTATE = "tausql.adjudicator.estate:Estate."
_OWNERSHIP = "tausql.adjudicator.ownership:"
_MERGE = "tausql.crossbar.merge:Merge."
_MOVES = ("ranges move", "overtaken", "move interrupted", "kill in flight")
_MOVED = Hint(shape=(("streams", 3),), faults=_MOVES)
_SLOWLY = Hint(shape=(("streams", 3),), faults=("ranges move", "overtaken", "slow link", "lonely tail"))
_SEALED = (("adjudicator.seal_seconds", 0.2), ("seconds", 6.0))
_STREAMS = Hint(shape=_SEALED, faults=("a stream is added", "a stream is sealed", "ranges move", "move interrupted"))

GUARDS = (
    Guard(
        "move-refused",
        "A range is refused from the moment its giving is enqueued.",
        (Edit(_ESTATE + "_give", "self._judge.owned = Owned(following.owned)", "pass"),),
        _SLOWLY,
    ),
    Guard(
        "move-votes",
        "The floor of a moved range lies above every vote its giver gave.",
        (Edit(_ESTATE + "_give", "max(tau, self._highest_upper())", "tau"),),
        _SLOWLY,
    ),
    Guard(
        "move-counted",
        "The tau of a move is a tau of the stream: what follows lies above it.",
        (Edit(_ESTATE + "_write", "self._judge.highest = tau", "pass"),),
        _MOVED,
    ),
    Guard(
        "move-floor",
        "Its taker judges a range above the floor it came with.",
        (Edit("tausql.adjudicator.judge:Judge.refusal", "if self.owned.floored:", "if False:"),),
        _MOVED,
    ),
    Guard(
        "move-offered",
        "The taker is told once the giving is on a majority.",
        (
            Edit(_ESTATE + "_offer", "if one is not self._pending and (", "if ("),
            Edit(_ESTATE + "_give", "self._changed()", "self._changed(); self._offer()"),
        ),
        _MOVED,
    ),
    Guard(
        "move-answered",
        "The taker answers once a majority has what it took.",
        (Edit(_ESTATE + "take", "self._replies.append((reply, RangeTaken()))", "reply.answer(RangeTaken())"),),
        _MOVED,
    ),
    Guard(
        "move-remembered",
        "A taker remembers what it took: offers are made again.",
        (Edit(_OWNERSHIP + "has_taken", "return any(", "return False and any("),),
        Hint(shape=(("streams", 3),), faults=_MOVES, points=(FORGET_A_TAKING,)),
    ),
    Guard(
        "move-remembered-later",
        "So does its next epoch.",
        (Edit(_OWNERSHIP + "begun", "before.given, before.taken, before.streams", "before.given, (), before.streams"),),
        Hint(shape=(("streams", 3),), faults=_MOVES, points=(FORGET_A_TAKING,)),
    ),
    Guard(
        "move-given",
        "The next epoch of a giver goes on offering what was not taken.",
        (Edit(_OWNERSHIP + "begun", "before.given, before.taken, before.streams", "(), before.taken, before.streams"),),
        _MOVED,
    ),
    Guard(
        "move-silence",
        "A taker that does not answer may have taken it: a range goes back only where its taker ended without it.",
        (Edit(_ESTATE + "_offered", "elif isinstance(answer, NeverTaken) and", "elif"),),
        _MOVED,
    ),
    Guard(
        "move-order",
        "The offers of one giver to one taker go out in order: by its floor an offer is known.",
        (Edit(_ESTATE + "_offer", "one.floor < first[one.to].floor", "one.floor > first[one.to].floor"),),
        _MOVED,
    ),
    Guard(
        "stream-start",
        "A stream's first epoch starts above the record that registers it.",
        (Edit("tausql.adjudicator.takeover:Candidate._adopt", "max(floor, self.start)", "floor"),),
        Hint(faults=_STREAMS.faults, shape=(("clock_bound_micros", 20_000),)),
    ),
    Guard(
        "stream-waits",
        "Readers wait for a registered stream from its start on, whether or not anybody holds it yet.",
        (
            Edit(
                _MERGE + "drain",
                "min(tail.closed for tail in order)",
                "min(tail.closed for tail in order if tail.beat or not tail.stream)",
            ),
        ),
        _STREAMS,
    ),
    Guard(
        "stream-sealed",
        "Nothing follows the end of a sealed stream.",
        (Edit("tausql.adjudicator.tenure:Tenure.__init__", "self._sealing = won.sealed", "self._sealing = False"),),
        _STREAMS,
    ),
    Guard(
        "stream-sealed-empty",
        "A stream is sealed once it owns nothing and has nothing left to give.",
        (Edit(_ESTATE + "_step", "if self.current.owned or self.current.given:", "if self.current.owned:"),),
        Hint(
            shape=_SEALED,
            faults=("a stream is added", "a stream is sealed", "overtaken", "ranges move"),
            points=(LATE_TAKING,),
        ),
    ),
    Guard(
        "stream-end-read",
        "A stream that is registered no more is read to its end before readers stop waiting for it.",
        (
            Edit(
                _MERGE + "drain",
                "self.tails[end.stream].end(end)",
                "self.tails[end.stream].ended, self.tails[end.stream].closed = True, TAU_MAX",
            ),
        ),
        Hint(
            shape=(*_SEALED, ("crossbar.ring_records_max", 50)),
            faults=("a stream is added", "a stream is sealed", "kill several", "kill"),
        ),
    ),
    Guard(
        "stream-used",
        "The number of a stream that has ended is given to no other.",
        (
            Edit(_ESTATE + "_looked", "if not unused:", "if False:"),
            Edit(_ESTATE + "_keep_registry", "| self._used", ""),
        ),
        _STREAMS,
    ),
)
