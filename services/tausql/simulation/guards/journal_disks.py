"""Guards of a journal replica's disk: what is synced when, what a damaged or lost disk may not do."""

from __future__ import annotations

from tausql.runtime.fault_points import LATE_SYNC
from tausql.simulation.guards.guard import TRIMS, Edit, Guard, Hint

_STORE = "tausql.journal.store:Store."
_BLOCKS = "tausql.journal.blocks:"
_MEMBERSHIP = "tausql.journal.membership:Membership."
_REJOIN = "tausql.journal.rejoin:Rejoin."
_REFUSAL = "tausql.journal.replica:Replica.refusal"
_KILLS = ("kill", "kill several", "kill all", "lonely tail")
_UNSYNCED = ("killed before a sync", "kill", "pause", "handover")
_WIPES = ("wiped while it counts", "outvoted disk", "wipe journal", "lonely tail")

GUARDS = (
    Guard(
        "journal-sync",
        "Nothing is acknowledged or promised before it is on the disk (I2).",
        (Edit(_STORE + "flush", "file.sync()", "pass"),),
        Hint(faults=_KILLS),
    ),
    Guard(
        "journal-answer",
        "Whatever is answered is answered after the sync (I2).",
        (
            Edit(
                "tausql.journal.service:JournalService._say",
                "self._answers.append((reply, answer))",
                "reply.answer(answer)",
            ),
        ),
        Hint(faults=_UNSYNCED, points=(LATE_SYNC,)),
    ),
    Guard(
        "journal-sync-failed",
        "A replica whose sync has failed exits: what it holds may not be on its disk.",
        (Edit(_STORE + "flush", "file.sync()", "try:\n        file.sync()\n    except DiskFailed:\n        pass"),),
        Hint(faults=("journal's fsync fails", "kill", "pause", "kill several")),
    ),
    Guard(
        "journal-torn",
        "A torn last block is cut: no acknowledgement was given for it.",
        (Edit(_BLOCKS + "scan", "if not last or _later_block(data, after):", "if True:"),),
        Hint(faults=("journal's fsync fails", "kill", "pause", "kill several")),
    ),
    Guard(
        "journal-checksum",
        "A bad checksum inside the log: the replica exits.",
        (
            Edit(
                _BLOCKS + "parse_frames",
                "or crc32(data[start : start + length]) != body_checksum",
                "",
            ),
        ),
        Hint(faults=("journal's bit flips", "kill", "pause", "kill several")),
    ),
    Guard(
        "journal-damage-inside",
        "Damage before the last block is no torn end.",
        (Edit(_BLOCKS + "scan", "if not last or _later_block(data, after):", "if False:"),),
        Hint(faults=("journal's bit flips", "kill", "pause", "kill several")),
    ),
    Guard(
        "journal-reserve",
        "Room is kept so that what is no transaction can always be written.",
        (
            Edit(_STORE + "_ensure_reserve", "if missing > 0:", "if False:"),
            Edit(_STORE + "can_hold", "return free - ", "return free + (1 << 40) - "),
        ),
        Hint(faults=("journal's disk full", "clock drift", "slow link", "crossbar joins")),
    ),
    Guard(
        "journal-doomed-after-sync",
        "Segments go once the trim points that let them go are durable.",
        (Edit(_STORE + "trim", "if not self.dirty:\n        self._drop_doomed()", "self._drop_doomed()"),),
        Hint(shape=(*TRIMS, ("seconds", 6.0)), faults=_UNSYNCED, points=(LATE_SYNC,)),
    ),
    Guard(
        "journal-trim-every-stream",
        "A segment goes once no stream has any use for what is in it.",
        (
            Edit(_STORE + "trim", "for stream, index in self._indexes.items()\n", "for stream, index in ()\n"),
            Edit(_STORE + "trim", "if seq > wanted.get(stream, 0):", "if False:"),
        ),
        Hint(shape=TRIMS),
    ),
    Guard(
        "journal-learner",
        "A blank disk neither promises nor acknowledges before it has learnt what its name once said.",
        (
            Edit(_REFUSAL, "if not self.membership.entry.voter:", "if False:"),
            Edit(
                _REFUSAL,
                "if fleet != self.membership.fleet or",
                "if self.membership.fleet and fleet != self.membership.fleet or",
            ),
        ),
        Hint(faults=_WIPES),
    ),
    Guard(
        "journal-rejoin-promise",
        "A learner takes over the highest promise and limit of a majority of all others, not the log alone.",
        (
            Edit(
                _REJOIN + "_complete",
                "max(promised, log.promised, log.last_epoch)",
                "max(log.promised, log.last_epoch)",
            ),
            Edit(_REJOIN + "_complete", "self._limits[stream]", "log.limit"),
        ),
        Hint(faults=_WIPES),
    ),
    Guard(
        "journal-rejoin-majority",
        "A learner asks a majority of all others.",
        (Edit(_REJOIN + "__init__", "others // 2 + 1", "1"),),
        Hint(faults=_WIPES),
    ),
    Guard(
        "journal-rejoin-longest",
        "A learner copies the log with the highest (epoch, seq).",
        (Edit(_REJOIN + "_begin", "or rank > (", "or rank < ("),),
        Hint(faults=_WIPES),
    ),
    Guard(
        "journal-incarnation-recorded",
        "A learner joins once a majority of the others has recorded its disk: what the lost one said counts no more.",
        (
            Edit(_MEMBERSHIP + "_record", "if incarnation > self.entry.known[place]:", "if False:"),
            Edit(
                _MEMBERSHIP + "introduced",
                "return own == self.entry.incarnation and not self.entry.genesis",
                "return not self.entry.genesis",
            ),
        ),
        Hint(faults=_WIPES),
    ),
    Guard(
        "journal-genesis",
        "A blank replica votes when all have accepted the list of all, not earlier.",
        (Edit(_MEMBERSHIP + "_count", "len(self._accepted) == len(self.entry.names) - 1", "True"),),
        Hint(),
    ),
)
