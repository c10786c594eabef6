"""Guards of the acceptors: who may append, what is cut, what readers are told."""

from __future__ import annotations

from tausql.runtime.fault_points import END_A_TAIL
from tausql.simulation.guards.guard import TRIMS, Edit, Guard, Hint

_ACCEPTOR = "tausql.journal.acceptor:Acceptor."
_REPLICA = "tausql.journal.replica:Replica."
_TAILS = "tausql.journal.tails:Tails."
_PROMISED_CHECK = Edit(_ACCEPTOR + "append", "check(I2, epoch == state.promised,", "check(I2, True,")
_TAKE_PROMISED = Edit(
    _ACCEPTOR + "_take", "state.stream, request.epoch,", "state.stream, max(state.promised, request.epoch),"
)
_UNFENCED = Edit(_ACCEPTOR + "append", "if epoch < state.promised:", "if False:")
_TAKEOVERS = Hint(faults=("lonely tail", "zombie", "kill in flight", "pause"))

GUARDS = (
    Guard(
        "journal-fence",
        "An append below the promised epoch is refused.",
        (_UNFENCED, _PROMISED_CHECK, _TAKE_PROMISED),
        _TAKEOVERS,
    ),
    Guard(
        "journal-promise",
        "A replica that has promised an epoch grants no epoch at or below it.",
        (
            Edit(_REPLICA + "open", "if request.epoch <= acceptor.state.promised:", "if False:"),
            Edit(_ACCEPTOR + "open", "if epoch <= state.promised:", "if False:"),
            Edit(
                _ACCEPTOR + "open",
                "LogEntry(state.stream, epoch,",
                "LogEntry(state.stream, max(epoch, state.promised),",
            ),
            Edit(_ACCEPTOR + "open", "check(I2, state.promised == epoch,", "check(I2, True,"),
            _UNFENCED,
            _PROMISED_CHECK,
            _TAKE_PROMISED,
        ),
        _TAKEOVERS,
    ),
    Guard(
        "journal-raise",
        "An append above the promise raises the promise with it.",
        (
            Edit(_ACCEPTOR + "_take", "state.stream, request.epoch,", "state.stream, state.promised,"),
            _PROMISED_CHECK,
        ),
        _TAKEOVERS,
    ),
    Guard(
        "journal-late-duplicate",
        "A late duplicate of an append cuts nothing: only a record of another epoch gives way.",
        (
            Edit(_ACCEPTOR + "_overlap", "keep_seq = state.last_seq", "pass"),
            Edit(
                _ACCEPTOR + "_overlap",
                "if fresh or request.epoch > state.promised or request.limit > state.limit:",
                "if True:",
            ),
        ),
        Hint(),
    ),
    Guard(
        "journal-previous",
        "An append must name the epoch of the record it follows, else it is refused with a gap.",
        (Edit(_ACCEPTOR + "append", "state.epoch_at(previous) != request.previous_epoch", "False"),),
        _TAKEOVERS,
    ),
    Guard(
        "journal-limit-stored",
        "A limit is stored before it is acknowledged.",
        (
            Edit(_ACCEPTOR + "append", "or request.limit > state.limit", ""),
            Edit(_ACCEPTOR + "_take", "request.limit if request.limit > limit else limit", "limit"),
            Edit(
                _REPLICA + "append",
                "return self._appended(status, seq, state.promised, state.limit)",
                "return self._appended(status, seq, state.promised, max(state.limit, request.limit))",
            ),
        ),
        Hint(),
    ),
    Guard(
        "journal-limit-clock",
        "A replica refuses a limit too far ahead of its own clock: one wrong clock must not push a stream's time on.",
        (
            Edit(
                _REPLICA + "append",
                "if micros_of(request.limit) > latest + self._limit_ahead_micros_max:",
                "if False:",
            ),
        ),
        Hint(shape=(("clocks_lie", True),), faults=("clock jumps ahead", "clock runs away", "kill", "handover")),
    ),
    Guard(
        "journal-tail-place",
        "A reader is read to from its position only where the log has the record it ended with.",
        (Edit(_TAILS + "_place", "if state.epoch_at(cursor) == subscriber.epoch:", "if True:"),),
        Hint(faults=("lonely tail", "outvoted disk", "kill in flight", "slow link"), points=(END_A_TAIL,)),
    ),
    Guard(
        "journal-tail-trimmed",
        "A cursor below the trim point is an error, never a skip.",
        (
            Edit(
                _TAILS + "_place",
                'self._end(subscriber, Cause.refused, f"trimmed: the log begins after {state.trim_seq}")\n'
                "        return False",
                "cursor = subscriber.cursor = state.trim_seq\n        subscriber.epoch = state.trim_epoch",
            ),
        ),
        Hint(shape=TRIMS, faults=("wipe storage", "checkpoint torn", "storage joins", "pause")),
    ),
    Guard(
        "journal-trim-ownership",
        "The newest committed record that says who judges what is never trimmed.",
        (
            Edit(
                _ACCEPTOR + "wanted_trim",
                "min(seq, state.ownership_at(self.commit_seq) - 1)",
                "seq",
            ),
        ),
        Hint(
            shape=(*TRIMS, ("adjudicator.ownership_seconds", 60.0), ("seconds", 6.0)),
            faults=("kill", "kill in flight", "handover", "rolling restart"),
        ),
    ),
)
