"""What a newcomer sees: one command, and a database that is spread over three zones."""

from __future__ import annotations

import subprocess
import urllib.request
import uuid

import cluster
from conftest import READY_SECONDS, Release
from loadtest.postgres import programs
from prometheus_client.parser import text_string_to_metric_families

SPREAD = {"journal": 3, "storage": 3, "timekeeper": 3, "adjudicator": 2, "crossbar": 2, "frontend": 2, "processor": 2}


def test_every_pod_is_ready_within_a_minute(release: Release) -> None:
    print(f"ready after {release.ready_seconds:.1f} s")
    assert release.ready_seconds < READY_SECONDS
    assert all(map(cluster.ready, release.pods()))


def test_helm_test_passes(release: Release) -> None:
    told = cluster.helm("test", release.name, "-n", release.namespace, "--logs")
    assert "Phase:          Succeeded" in told, told
    release.wait_until_whole()


def test_psql_connects_through_the_service(release: Release) -> None:
    conninfo = f"host={release.address} port=5432 user=admin dbname=postgres sslmode=require"
    done = subprocess.run(
        [str(programs() / "psql"), "-XAtq", conninfo, "-c", "select 6 * 7", "-c", "select version() like '%16%'"],
        env={"PGPASSWORD": release.password},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["42", "t"]), done.stderr


def test_pods_are_spread_over_the_zones(release: Release) -> None:
    for component, zones in SPREAD.items():
        found = {cluster.node_of(pod) for pod in release.pods(component)}
        assert len(found) >= min(zones, len(release.pods(component))), (component, found)


def test_reads_are_served_in_the_zone_of_the_session(release: Release) -> None:
    table = f"zones_{uuid.uuid4().hex[:8]}"
    with release.connect() as connection:
        connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    nodes = {pod["metadata"]["name"]: cluster.node_of(pod) for pod in release.pods("storage")}
    for frontend in release.pods("frontend"):
        with release.connect(frontend["status"]["podIP"]) as connection:
            connection.execute(f"SELECT * FROM {table}")  # the catalogue is read before what is counted
            processors = {pod["metadata"]["name"]: sessions_of(pod) for pod in release.pods("processor")}
            before = reads_by_node(release, nodes)
            for key in range(50):
                connection.execute(f"SELECT * FROM {table} WHERE id = %s", (key,))
            after = reads_by_node(release, nodes)
        home = cluster.node_of(frontend)
        near = [pod for pod in release.pods("processor") if cluster.node_of(pod) == home]
        if not near:
            continue  # no processor in this zone: the session is elsewhere
        grown = {node: after[node] - before[node] for node in after}
        assert grown[home] >= 50, (home, grown, processors)
        assert all(count < 10 for node, count in grown.items() if node != home), (home, grown)


def sample(pod: dict, name: str) -> float:
    """The sum of a metric's samples at one pod."""
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return sum(one.value for family in families for one in family.samples if one.name == name)


def sessions_of(pod: dict) -> float:
    return sample(pod, "tausql_processor_sessions")


def reads_by_node(release: Release, nodes: dict[str, str]) -> dict[str, float]:
    counted = dict.fromkeys(nodes.values(), 0.0)
    for pod in release.pods("storage"):
        counted[nodes[pod["metadata"]["name"]]] += sample(pod, "tausql_storage_reads_total")
    return counted
