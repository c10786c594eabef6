"""Every kind of pod deleted at once, and a whole node, while list-append clients work and probes look."""

from __future__ import annotations

import cluster
from chaos import NODE_KILL, NODE_START, Chaos, chaos
from conftest import Release

# Seconds that reads and writes may be away, beyond what Kubernetes itself takes (nothing, where the fleet notices by
# itself). Where the goal is "none", what a probe of 20 a second can tell from none on a busy machine.
NONE = 0.5  # seconds: nothing to wait for but a busy machine of two cores, on which all pods run
AWAY = {
    "adjudicator": (3.0, 3.0),  # reads wait for the watermark, which waits for the next holder
    "storage": (1.0, 1.0),
    "journal": (NONE, NONE),
    "crossbar": (NONE, NONE),
    "timekeeper": (NONE, NONE),
    "control": (NONE, NONE),
    "changefeed": (NONE, NONE),
    "processor": (1.0, 1.0),
    "frontend": (1.0, 1.0),
}
RETRIED_PERCENT = 2.0
# A node that dies says nothing: no connection to it ends, so everybody waits for the silence itself. 0.2 s were seen
# once; at the most 6.1 s without a read and 3.9 s without a write.
NODE_AWAY = (10.0, 8.0)


def test_any_pod_may_be_killed(release: Release) -> None:
    found = chaos(release, "--faults", "kill", "--rounds", "1", "--each-seconds", "3", seconds=150)
    struck = {fault.fault.partition(":")[2] or fault.fault: fault for fault in found.faults}
    assert set(struck) == set(AWAY), struck
    for component, (reads, writes) in AWAY.items():
        fault = struck[component]
        assert fault.reads_away <= reads, fault
        assert fault.writes_away <= writes, fault


def test_whoever_holds_the_stream_may_be_killed(release: Release) -> None:
    # Victims take turns: of three kills at two pods at least one is of the holder, whoever that is.
    found = chaos(release, "--faults", "kill:adjudicator", "--rounds", "3", "--each-seconds", "3", seconds=60)
    (fault,) = found.faults
    assert fault.times == 3
    assert fault.reads_away <= AWAY["adjudicator"][0], fault
    assert fault.writes_away <= AWAY["adjudicator"][1], fault


def test_a_whole_node_may_die_and_its_pods_find_another_place(release: Release) -> None:
    # Not node a: the tests themselves run on that machine.
    run = Chaos(
        release,
        *("--faults", "node:node-c", "--rounds", "1", "--each-seconds", "5", "--hold-seconds", "45"),
        *("--node-kill-command", NODE_KILL, "--node-start-command", NODE_START),
        seconds=120,
    )
    cluster.wait("the node is missed", lambda: not nodes_ready(), 60)
    replaced = cluster.wait("replacements while the node is away", lambda: replacements_ready(release), 40)
    assert not nodes_ready()
    print(f"replaced elsewhere {replaced:.0f} s after Kubernetes had missed the node")
    found = run.report()
    (fault,) = found.faults
    # Kubernetes takes its time to notice, 15 s and more; clients must not.
    assert fault.reads_away <= NODE_AWAY[0], fault
    assert fault.writes_away <= NODE_AWAY[1], fault
    cluster.wait("nodes ready", nodes_ready, 60)
    release.wait_until_whole()


def replacements_ready(release: Release) -> bool:
    """Every Deployment has all its pods elsewhere. Pods with a disk wait for their node, as Kubernetes wants it."""
    found = cluster.objects("deployments", namespace=release.namespace)
    return all(one["status"].get("availableReplicas", 0) >= one["spec"]["replicas"] for one in found)


def nodes_ready() -> bool:
    return all(
        any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])
        for node in cluster.objects("nodes")
    )
