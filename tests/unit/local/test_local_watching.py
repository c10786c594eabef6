"""What `tausql status` makes of what control says."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from tausql.control.planner import PlanLimits, Planner
from tausql.control.wanted import Wanted
from tausql.local.cluster import Cluster, ProcessEntry
from tausql.local.watching import plan_of, plan_tables
from tausql.protocol.fleet import Placed, Shard


def shown(plan: dict[str, Any]) -> str:
    out = io.StringIO()
    for table in plan_tables(plan):
        Console(file=out, width=120).print(table)
    return out.getvalue()


def test_streams_and_shards_are_shown_with_what_they_wait_for():
    wanted = Wanted(
        2,
        (Placed(b"", b"k" * 40, 0), Placed(b"k" * 40, b"", 1)),
        {0: ("adj-a", "adj-b"), 1: ("adj-b",)},
        (Shard(b"", b"", ("s-a", "s-b")),),
    )
    text = shown({"plans": True, **Planner(PlanLimits(), 0.0, wanted).status(1.0)})
    for word in ("2 streams wanted", "1 shards", "adj-a", "adj-b", "s-a s-b", "waiting for the first reports"):
        assert word in text
    assert "6b" * 20 + "..." in text
    assert shown({"plans": True, **Planner(PlanLimits(), 0.0).status(1.0)})


def test_a_fleet_without_an_answering_control_has_no_plan():
    entry = ProcessEntry("zone-c", "storage+control", "c", 0, 0, 1, 1)
    cluster = Cluster("packed", 1, "127.0.0.1", 1, 1, 0, [entry])
    assert plan_of(cluster) is None
    cluster.processes = []
    assert plan_of(cluster) is None
