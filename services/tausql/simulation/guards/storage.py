"""Guards of storage: rows and position, what is served when, what is collected, what a checkpoint is worth."""

from __future__ import annotations

from tausql.runtime.fault_points import HOLD_A_DELIVERY, SLOW_CHECKPOINT
from tausql.simulation.guards.guard import TRIMS, Edit, Guard, Hint

_APPLIER = "tausql.storage.applier:Applier."
_SHARDS = "tausql.storage.shards:Shards."
_READER = "tausql.storage.reads:Reader."
_SOURCE = "tausql.storage.checkpoint:CheckpointSource.next_part"
_SWEEP = "tausql.storage.collection:Collector."
_KEEPER = "tausql.storage.adopting:Keeper."
_RESTARTS = Hint(faults=("kill", "kill several", "kill all", "pause"))
_TRIMMED = Hint(shape=TRIMS)
_CHECKPOINTS = Hint(shape=TRIMS, faults=("checkpoint torn", "wipe storage", "storage joins", "kill"))
_MOVING = Hint(faults=("shards change", "storage joins", "kill", "pause"))
_COLLECTING = Hint("registers", shape=TRIMS, faults=_MOVING.faults)

GUARDS = (
    Guard(
        "storage-watermark",
        "A read waits until the watermark has reached its tau (I8, I9).",
        (Edit("tausql.storage.service:StorageService._read", "request.tau > self.applier.watermark", "False"),),
        Hint(),
    ),
    Guard(
        "storage-cursors",
        "Rows and cursors are written in one batch: a crash never keeps one without the other (I8).",
        (
            Edit(
                _APPLIER + "apply",
                "batch.put(STATE_KEY, _encode(new))",
                "early = self._engine.batch(); early.put(STATE_KEY, _encode(new)); self._engine.write(early)",
            ),
        ),
        _RESTARTS,
    ),
    Guard(
        "storage-schema-kept",
        "Schema versions are written with the rows of their transaction.",
        (Edit(_APPLIER + "_put_schema", "self.schema.write(batch, cluster, relation, record.tau)", "pass"),),
        Hint("schema changes", faults=_RESTARTS.faults),
    ),
    Guard(
        "storage-newest",
        "Every answer names the newest tau it touched, so that nobody is shown a row before its time (I9).",
        (Edit(_READER + "read", "return Rows(reader.newest, values, [])", "return Rows(0, values, [])"),),
        Hint(shape=(("clock_bound_micros", 20_000),)),
    ),
    Guard(
        "storage-whole",
        "A range is served once all of its checkpoint is there.",
        (Edit(_SHARDS + "complete", "one.whole and one.base", "one.base"),),
        _MOVING,
    ),
    Guard(
        "storage-not-here",
        "A read of what is not served is refused.",
        (Edit(_READER + "read", "if not self._everything and not all(map(self.served.holds, gets)):", "if False:"),),
        _MOVING,
    ),
    Guard(
        "storage-page-end",
        "A page ends where what is served ends.",
        (Edit(_READER + "read", "if self._everything else self._bounds(scan)", ""),),
        Hint("bank,inserts", faults=_MOVING.faults),
    ),
    Guard(
        "storage-stale-schema",
        "A read that was planned with another schema than that of its tau is refused.",
        (Edit(_READER + "read", "if stale is not None:", "if False:"),),
        Hint("indexed", faults=("pause", "kill", "slow link", "processor drains")),
    ),
    Guard(
        "storage-taking-dropped",
        "A range whose checkpoint was not complete at a crash is worth nothing.",
        (Edit(_SHARDS + "__init__", "one.base, one.status, hashes", "one.base, Status.whole, hashes"),),
        Hint(faults=("shards change", "storage joins", "taking torn", "pause")),
    ),
    Guard(
        "storage-subscribed-first",
        "The peer's checkpoint of a range is of a moment after the subscription to it began.",
        (Edit("tausql.storage.peers:CheckpointFetcher._take", "if part.watermark <= self._above:", "if False:"),),
        Hint(faults=("shards change", "storage joins", "pause", "slow link"), points=(HOLD_A_DELIVERY,)),
    ),
    Guard(
        "storage-dropped-late",
        "Rows go only when every replica that is to keep them serves them.",
        (
            Edit(_KEEPER + "_ceded", "not served_by_all((piece,), replicas, answers, zones, needed)", "False"),
            Edit(
                "tausql.storage.wanted:to_leave",
                "if served_by_all((piece,), replicas, serving, zones, needed):",
                "if True:",
            ),
        ),
        _MOVING,
    ),
    Guard(
        "storage-ceding",
        "A replica stops serving a range before it asks whether the others serve it.",
        (
            Edit(
                "tausql.storage.service:StorageService.laid_out",
                "without(applier.shards.complete(applier.watermark), self.keeper.ceding)",
                "applier.shards.complete(applier.watermark)",
            ),
        ),
        _MOVING,
    ),
    Guard(
        "storage-horizon",
        "A read below the collection horizon is refused (I10).",
        (Edit(_READER + "read", "if tau < self.horizon:", "if False:"),),
        _TRIMMED,
    ),
    Guard(
        "storage-horizon-kept",
        "The collection horizon is written before the first version goes (I10).",
        (Edit(_SWEEP + "start", "batch.put(HORIZON_KEY, encoded_horizon(horizon))", "pass"),),
        Hint(shape=TRIMS, faults=_RESTARTS.faults),
    ),
    Guard(
        "storage-collected",
        "The newest version at or below the horizon stays.",
        (Edit(_SWEEP + "sweep", "if kept:", "if True:"),),
        _TRIMMED,
    ),
    Guard(
        "storage-collected-taking",
        "Nothing is collected of a range whose older versions are still to come.",
        (
            Edit("tausql.storage.upkeep:Upkeep._maybe_sweep", "applier.shards.whole()", "applier.shards.ranges()"),
            Edit(_KEEPER + "_take", "self._owner.guarded(self._collector.abandon)", "pass"),
        ),
        Hint("registers,tokens", (*_MOVING.faults, "ranges move"), (*TRIMS, ("seconds", 6.0)), (SLOW_CHECKPOINT,)),
    ),
    Guard(
        "storage-checkpoint",
        "A checkpoint that was not completed is worth nothing: its position comes last, its rest is dropped.",
        (
            Edit("tausql.storage.checkpoint:drop_unfinished", "if engine.get(TAKING_KEY) is None:", "if True:"),
            Edit(
                _SOURCE,
                "entries: list[tuple[bytes, bytes]] = []",
                "entries: list[tuple[bytes, bytes]] = [(STATE_KEY, encoded_state(self.state))]",
            ),
        ),
        _CHECKPOINTS,
    ),
    Guard(
        "storage-checkpoint-horizon",
        "The collection horizon is part of every checkpoint (I10).",
        (Edit(_SOURCE, "entries.append((HORIZON_KEY, encoded_horizon(stored_horizon(self._engine))))", "pass"),),
        _CHECKPOINTS,
    ),
    Guard(
        "storage-flushed",
        "What is reported as durable is flushed.",
        (Edit("tausql.storage.upkeep:Upkeep.flush", "self._engine.flush()", "pass"),),
        Hint(shape=TRIMS, faults=_RESTARTS.faults),
    ),
)
