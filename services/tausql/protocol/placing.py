"""Which keys each stream judges in a fleet that nobody has tuned: several streams from the first table on.

With one range for everything the second stream would stand idle until somebody moves keys, and whatever goes wrong
only between streams would be met in production first. So a fleet's first tables lie in different streams, and the
last stream has the rest; control moves ranges by load from there.
"""

from __future__ import annotations

from tausql.protocol.fleet import Placed
from tausql.protocol.keys import relation_prefix

FIRST_CLUSTER = 1
FIRST_RELATION = 16384  # of tables and indexes that users make


def default_placement(streams: int) -> tuple[Placed, ...]:
    """Stream 0 has the catalogue and the first relation, stream k the k-th after it, the last one all others."""
    cuts = [relation_prefix(FIRST_CLUSTER, FIRST_RELATION + number) for number in range(1, streams)]
    lows, highs = [b"", *cuts], [*cuts, b""]
    return tuple(Placed(low, high, stream) for stream, (low, high) in enumerate(zip(lows, highs, strict=True)))
