"""What a replica says of itself on its status page; control plans by it."""

from __future__ import annotations

from typing import Any

from tausql.protocol.ranges import Range, covers
from tausql.storage.adopting import Keeper
from tausql.storage.applier import Applier
from tausql.storage.scrub import Scrub
from tausql.storage.shards import Shard, Status
from tausql.storage.sizing import Sizes

SHARDS_TOLD_MAX = 1_000


def label_of(one: Range) -> str:
    """The name of a range in metrics."""
    low, high = one
    return f"{low.hex() or 'first'}-{high.hex() or 'last'}" if low or high else "all"


def of_shard(shard: Shard, sizes: Sizes, scrub: Scrub, served: tuple[Range, ...]) -> dict[str, Any]:
    """`bytes` and `rows` are estimates, `reads` and `writes` counts since the shard is here as it is; `split` halves
    the bytes, `load_split` the load; `digest`: of the last comparison with a peer, rows exact; None = not known
    (yet)."""
    compared = scrub.compared.get(shard.range)
    size, rows = sizes.of(shard)
    meter = shard.meter
    return {
        "low": shard.low.hex(),
        "high": shard.high.hex(),
        "status": Status(shard.status).name,
        "serving": covers(served, (shard.range,)),
        "base": shard.base,
        "state_hash": None if shard.state_hash is None else f"{shard.state_hash:016x}",
        "digest": None if compared is None else compared._asdict() | {"state_hash": f"{compared.state_hash:016x}"},
        "bytes": size,
        "rows": rows,
        "reads": meter.reads,
        "writes": meter.writes,
        "reads_per_second": round(meter.reads_per_second, 1),
        "writes_per_second": round(meter.writes_per_second, 1),
        "split": _hex(sizes.middle(shard)),
        "load_split": _hex(meter.middle()),
    }


def of_replica(
    name: str, applier: Applier, keeper: Keeper, sizes: Sizes, scrub: Scrub, served: tuple[Range, ...]
) -> dict[str, Any]:
    state = applier.state
    return {
        "name": name,
        "fleet": state.fleet,
        "watermark": state.watermark,
        "state_hash": f"{state.state_hash:016x}",
        "cursors": {str(one.stream): [list(one.epoch), one.seq] for one in state.cursors},
        "serving": [[low.hex(), high.hex()] for low, high in served],
        "shards": [of_shard(one, sizes, scrub, served) for one in applier.shards.all[:SHARDS_TOLD_MAX]],
        "taking_checkpoint": keeper.fetcher is not None or keeper.lost,
        "waits_for": keeper.why,
        "differences": [
            {"low": one.low.hex(), "high": one.high.hex(), "tau": one.tau, "peer": one.peer}
            for one in scrub.differences
        ],
    }


def _hex(key: bytes | None) -> str | None:
    return None if key is None else key.hex()
