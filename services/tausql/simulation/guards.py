"""The guards of the protocol that can be taken out, to see that the simulation notices.

A guard is a few words of a service's source, the words that take their place, and the rule that is then broken. Source
text, because most guards are one comparison within a function that must otherwise stay as it is. A text that is not
found exactly once is an error: the table has fallen behind the code.
"""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """In function `place` ("package.module:Class.method"), `old` (found once) becomes `new`."""

    place: str
    old: str
    new: str


class Guard(NamedTuple):
    """`rule` says what holds while the guard is there."""

    name: str
    rule: str
    edits: tuple[Edit, ...]


_ACCEPTOR = "tausql.journal.acceptor:Acceptor."
_PROPOSER = "tausql.adjudicator.proposer:Proposer."
_TENURE = "tausql.adjudicator.tenure:Tenure."
_TAIL = "tausql.crossbar.merge:StreamTail."

JOURNAL = (
    Guard(
        "journal-sync",
        "Nothing is acknowledged or promised before it is on the disk (I2).",
        (Edit("tausql.journal.store:Store.flush", "file.sync()", "pass"),),
    ),
    Guard(
        "journal-fence",
        "An append below the promised epoch is refused.",
        (
            Edit(_ACCEPTOR + "append", "if epoch < state.promised:", "if False:"),
            Edit(_ACCEPTOR + "append", "check(I2, epoch == state.promised,", "check(I2, True,"),
            Edit(
                _ACCEPTOR + "_take", "state.stream, request.epoch,", "state.stream, max(state.promised, request.epoch),"
            ),
        ),
    ),
    Guard(
        "journal-promise",
        "A replica that has promised an epoch grants no epoch at or below it.",
        (
            Edit("tausql.journal.replica:Replica.open", "if request.epoch <= acceptor.state.promised:", "if False:"),
            Edit(_ACCEPTOR + "open", "if epoch <= state.promised:", "if False:"),
            Edit(
                _ACCEPTOR + "open",
                "LogEntry(state.stream, epoch,",
                "LogEntry(state.stream, max(epoch, state.promised),",
            ),
            Edit(_ACCEPTOR + "open", "check(I2, state.promised == epoch,", "check(I2, True,"),
            Edit(_ACCEPTOR + "append", "if epoch < state.promised:", "if False:"),
            Edit(_ACCEPTOR + "append", "check(I2, epoch == state.promised,", "check(I2, True,"),
            Edit(
                _ACCEPTOR + "_take", "state.stream, request.epoch,", "state.stream, max(state.promised, request.epoch),"
            ),
        ),
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
    ),
    Guard(
        "journal-previous",
        "An append must name the epoch of the record it follows, else it is refused with a gap.",
        (Edit(_ACCEPTOR + "append", "state.epoch_at(previous) != request.previous_epoch", "False"),),
    ),
    Guard(
        "journal-learner",
        "A blank disk neither promises nor acknowledges before it has learnt what its name once said.",
        (
            Edit("tausql.journal.replica:Replica.refusal", "if not self.membership.entry.voter:", "if False:"),
            Edit(
                "tausql.journal.replica:Replica.refusal",
                "if fleet != self.membership.fleet or",
                "if self.membership.fleet and fleet != self.membership.fleet or",
            ),
        ),
    ),
    Guard(
        "journal-rejoin-promise",
        "A learner takes over the highest promise and limit of a majority of all others, not the log alone.",
        (
            Edit(
                "tausql.journal.rejoin:Rejoin._complete",
                "max(promised, log.promised, log.last_epoch)",
                "max(log.promised, log.last_epoch)",
            ),
            Edit("tausql.journal.rejoin:Rejoin._complete", "self._limits[stream]", "log.limit"),
        ),
    ),
)

ADJUDICATOR = (
    Guard(
        "adjudicator-conflict",
        "A writer is refused by a newer write of another transaction: first committer wins (I6).",
        (
            Edit(
                "tausql.adjudicator.conflicts:Conflicts.find",
                "if last_write(key, 0) > tau_start or (last_share and",
                "if (last_share and",
            ),
        ),
    ),
    Guard(
        "adjudicator-share",
        "A writer is refused by a newer share, a sharer by a newer write (I6).",
        (
            Edit(
                "tausql.adjudicator.conflicts:Conflicts.find",
                "or (last_share and last_share.get(key, 0) > tau_start)",
                "",
            ),
        ),
    ),
    Guard(
        "adjudicator-majority",
        "Committed is what a majority acknowledged, not one disk (I3).",
        (Edit(_PROPOSER + "_advance", "seqs[-majority]", "seqs[-1]"),),
    ),
    Guard(
        "adjudicator-limit-majority",
        "A limit is used once a majority has it on its disks (I4).",
        (Edit(_PROPOSER + "_advance", "taus[-majority]", "taus[-1]"),),
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
    ),
    Guard(
        "adjudicator-early-answer",
        "Nobody says 'committed' before tau_commit has passed on every clock (I9).",
        (
            Edit("tausql.adjudicator.answers:Answers._release", "if early >= 0:", "if False:"),
            Edit("tausql.adjudicator.answers:Answers._release", "if tau >> SHIFT >= earliest or", "if"),
        ),
    ),
    Guard(
        "adjudicator-adopt",
        "A takeover adopts the log with the highest (epoch, seq) of its majority.",
        (Edit("tausql.adjudicator.takeover:Candidate._adopt", "max(grants, key=", "min(grants, key="),),
    ),
    Guard(
        "adjudicator-above-limit",
        "The next epoch starts above the highest limit its majority reports: what was closed stays closed (I5).",
        (
            Edit(_TENURE + "__init__", "stream,\n        won.floor,\n", "stream,\n        0,\n"),
            Edit("tausql.adjudicator.takeover:Candidate._adopt", "chosen.trim_seq, floor)", "chosen.trim_seq, 0)"),
        ),
    ),
    Guard(
        "adjudicator-floor",
        "After a takeover transactions that started at or below the floor are refused: their conflicts are forgotten.",
        (
            Edit(_TENURE + "__init__", "Conflicts(won.floor,", "Conflicts(0,"),
            Edit(_TENURE + "__init__", "SchemaChanges(won.floor)", "SchemaChanges(0)"),
        ),
    ),
    Guard(
        "adjudicator-in-flight",
        "A heartbeat counts the records in flight, not the committed ones alone (I5).",
        (
            Edit(
                "tausql.adjudicator.heartbeat:Heartbeat.now",
                "proposer.epoch, proposer.log.last_seq, tau",
                "proposer.epoch, proposer.commit_seq, tau",
            ),
        ),
    ),
    Guard(
        "adjudicator-read-back",
        "A transaction of an earlier epoch is aborted for certain only once the log was read to its tau_start (I7).",
        (
            Edit(
                "tausql.adjudicator.settlement:Settlement._of_an_earlier_epoch",
                "if recovered.covers(request.tau_start):",
                "if True:",
            ),
        ),
    ),
    Guard(
        "adjudicator-asking-decides",
        "Asked about a transaction of its own epoch that it has not seen, the holder decides against it for ever (I7).",
        (
            Edit(
                "tausql.adjudicator.settlement:Settlement._of_this_epoch",
                "self._outcomes.remember(request.txn, request.deadline, verdict)",
                "pass",
            ),
        ),
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
    ),
)

CROSSBAR = (
    Guard(
        "crossbar-beat-records",
        "A beat closes time only for a tail that holds every record up to the beat's n, in flight included.",
        (Edit(_TAIL + "_advance", "if self.released_seq >= beat.n:", "if True:"),),
    ),
    Guard(
        "crossbar-commit",
        "Nothing is released before it is known to be committed.",
        (Edit(_TAIL + "_advance", "while unreleased and unreleased[0].seq <= committed:", "while unreleased:"),),
    ),
    Guard(
        "crossbar-matched",
        "A beat's commit_seq counts only in a tail that holds a record of its epoch at or after it.",
        (Edit(_TAIL + "_advance", "max(committed, self._matched(beat))", "beat.commit_seq"),),
    ),
    Guard(
        "crossbar-all-streams",
        "The watermark is the minimum over all streams.",
        (
            Edit(
                "tausql.crossbar.merge:Merge.drain",
                "min(tail.closed for tail in order)",
                "max(tail.closed for tail in order)",
            ),
        ),
    ),
    Guard(
        "crossbar-trim-window",
        "The log is never trimmed inside the transaction window (I10).",
        (
            Edit(
                "tausql.crossbar.service:CrossbarService._tick",
                "earliest - self.settings.window_seconds * 1_000_000",
                "earliest - 1_000_000",
            ),
        ),
    ),
)

STORAGE = (
    Guard(
        "storage-watermark",
        "A read waits until the watermark has reached its tau (I8, I9).",
        (Edit("tausql.storage.service:StorageService._read", "if request.tau > self.applier.watermark:", "if False:"),),
    ),
    Guard(
        "storage-cursors",
        "Rows and cursors are written in one batch: a crash never keeps one without the other (I8).",
        (
            Edit(
                "tausql.storage.applier:Applier.apply",
                "batch.put(STATE_KEY, _encode(new))",
                "early = self._engine.batch(); early.put(STATE_KEY, _encode(new)); self._engine.write(early)",
            ),
        ),
    ),
    Guard(
        "storage-newest",
        "Every answer names the newest tau it touched, so that nobody is shown a row before its time (I9).",
        (
            Edit(
                "tausql.storage.reads:Reader.read",
                "return Rows(reader.newest, values, [])",
                "return Rows(0, values, [])",
            ),
        ),
    ),
    Guard(
        "storage-horizon",
        "A read below the collection horizon is refused (I10).",
        (Edit("tausql.storage.reads:Reader.read", "if tau < self.horizon:", "if False:"),),
    ),
    Guard(
        "storage-checkpoint",
        "A checkpoint that was not completed is worth nothing: its position comes last, its rest is dropped.",
        (
            Edit("tausql.storage.checkpoint:drop_unfinished", "if engine.get(TAKING_KEY) is None:", "if True:"),
            Edit(
                "tausql.storage.checkpoint:CheckpointSource.next_part",
                "entries: list[tuple[bytes, bytes]] = []",
                "entries: list[tuple[bytes, bytes]] = [(STATE_KEY, encoded_state(self.state))]",
            ),
        ),
    ),
    Guard(
        "storage-checkpoint-horizon",
        "The collection horizon is part of every checkpoint (I10).",
        (
            Edit(
                "tausql.storage.checkpoint:CheckpointSource.next_part",
                "entries.append((HORIZON_KEY, encoded_horizon(stored_horizon(self._engine))))",
                "pass",
            ),
        ),
    ),
)

ALL: tuple[Guard, ...] = (*JOURNAL, *ADJUDICATOR, *CROSSBAR, *STORAGE)
