"""Guards of the way from the journal to storage: what is released, when time is closed, what may be forgotten."""

from __future__ import annotations

from tausql.simulation.guards.guard import TRIMS, Edit, Guard, Hint

_TAIL = "tausql.crossbar.merge:StreamTail."
_TRIMMING = "tausql.crossbar.trimming:Trimming."
_DELIVERIES = "tausql.crossbar.subscribers:Deliveries."
_TAKEOVERS = Hint(faults=("lonely tail", "zombie", "kill in flight", "pause"))
_TRIMMED = Hint(shape=TRIMS)
_ALONE = Hint(
    shape=(*TRIMS, ("crossbar.hold_seconds", 1.0), ("seconds", 6.0)),
    faults=("one zone of storage alone", "kill", "storage's disk full", "slow link"),
)

GUARDS = (
    Guard(
        "crossbar-beat-records",
        "A beat closes time only for a tail that holds every record up to the beat's n, in flight included.",
        (Edit(_TAIL + "_advance", "if self.released_seq >= beat.n:", "if True:"),),
        Hint(),
    ),
    Guard(
        "crossbar-first-unreleased",
        "Short of that, time is closed below the first record that is not released yet.",
        (Edit(_TAIL + "_advance", "min(beat.tau, unreleased[0].tau - 1)", "beat.tau"),),
        Hint(),
    ),
    Guard(
        "crossbar-commit",
        "Nothing is released before it is known to be committed.",
        (Edit(_TAIL + "_advance", "unreleased[0].seq <= committed and not", "not"),),
        _TAKEOVERS,
    ),
    Guard(
        "crossbar-matched",
        "A beat's commit_seq counts only in a tail that holds a record of its epoch at or after it.",
        (Edit(_TAIL + "_advance", "max(committed, self._matched(beat))", "beat.commit_seq"),),
        _TAKEOVERS,
    ),
    Guard(
        "crossbar-all-streams",
        "The watermark is the minimum over all streams.",
        (
            Edit(
                "tausql.crossbar.merge:Merge.drain",
                "min(tail.closed for tail in order)",
                "max(tail.closed for tail in order if tail.closed < TAU_MAX)",
            ),
        ),
        Hint(),
    ),
    Guard(
        "crossbar-cursors",
        "The cursors of a delivery are those behind its last record, not behind the ring's.",
        (
            Edit(
                _DELIVERIES + "_make",
                "cursors = _advanced(subscriber.cursors, entries[subscriber.position - ring.first : at])",
                "cursors = ring.cursors",
            ),
        ),
        Hint(faults=("kill", "kill several", "pause", "crossbar leaves")),
    ),
    Guard(
        "crossbar-schema-everywhere",
        "A schema change goes to every storage shard, wherever its rows lie.",
        (Edit(_DELIVERIES + "_make", "everything or entry.everywhere or touches", "everything or touches"),),
        Hint("schema changes", faults=("shards change", "storage joins", "kill", "pause")),
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
        Hint(shape=(*TRIMS, ("clocks_lie", False))),
    ),
    Guard(
        "crossbar-trim-zones",
        "The log is trimmed up to what two zones hold durably.",
        (
            Edit(_TRIMMING + "_in_zones", "by_zone[self.zones_needed - 1]", "by_zone[0]"),
            Edit(_TRIMMING + "_in_zones", "if len(by_zone) >= self.zones_needed:", "if by_zone:"),
        ),
        _ALONE,
    ),
    Guard(
        "crossbar-trim-keys",
        "What is held counts for the keys that it is held of.",
        (Edit(_TRIMMING + "_points_of", "if one.ranges.holds(key)))", "))"),),
        Hint(shape=_ALONE.shape, faults=(*_ALONE.faults, "shards change")),
    ),
    Guard(
        "crossbar-trim-reported",
        "A replica vouches for the past with a report of then, and for what it still has.",
        (
            Edit(
                _TRIMMING + "trim_points",
                "_newest_at(replica.reports, window_start)",
                "_newest_at(replica.reports, 1 << 63)",
            ),
        ),
        _TRIMMED,
    ),
)
