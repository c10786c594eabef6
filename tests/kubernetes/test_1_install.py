"""What a newcomer sees: one command, and a database that is spread over three zones."""

from __future__ import annotations

import subprocess
import urllib.request
import uuid
from pathlib import Path

import cluster
import psycopg
import pytest
from conftest import READY_SECONDS, Release
from loadtest.postgres import programs
from prometheus_client.parser import text_string_to_metric_families

from tausql.local.api import ApiError, api_of
from tausql.local.tokens import token_for

SPREAD = {"journal": 3, "storage": 3, "timekeeper": 3, "adjudicator": 2, "crossbar": 2, "frontend": 2, "processor": 2}


def test_every_pod_is_ready_within_a_minute(release: Release) -> None:
    print(f"ready after {release.ready_seconds:.1f} s")
    assert release.ready_seconds < READY_SECONDS
    assert all(map(cluster.ready, release.pods()))


def test_helm_test_passes(release: Release) -> None:
    told = cluster.helm("test", release.name, "-n", release.namespace, "--logs")
    assert "Phase:          Succeeded" in told, told
    release.wait_until_whole()


def test_psql_connects_through_the_service(release: Release, tmp_path: Path) -> None:
    place = f"host={release.endpoint} hostaddr={release.address} port=5432"
    (tmp_path / "ca.pem").write_bytes(cluster.secret(f"{release.name}-edge", "ca.crt", namespace=release.namespace))
    conninfo = f"{place} user=admin dbname=postgres sslmode=verify-full sslrootcert={tmp_path / 'ca.pem'}"
    done = subprocess.run(
        [str(programs() / "psql"), "-XAtq", conninfo, "-c", "select 6 * 7", "-c", "select version() like '%16%'"],
        env={"PGPASSWORD": release.token},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["42", "t"]), done.stderr


def test_a_cluster_is_made_used_and_deleted_through_the_api(release: Release) -> None:
    api = api_of(release.reached)
    made = api.call("POST", "/cluster", body={"deletionProtectionEnabled": False})
    path = f"/cluster/{made['identifier']}"
    cluster.wait("the cluster is there", lambda: api.call("GET", path)["status"] == "ACTIVE", 30)
    token = token_for(release.reached.key, made["endpoint"], release.region, "admin")
    place = f"host={made['endpoint']} hostaddr={release.address} user=admin dbname=postgres sslmode=require"
    with psycopg.connect(place, password=token, autocommit=True) as connection:
        connection.execute("CREATE TABLE own (id int PRIMARY KEY)")
    with release.connect() as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM own")
    api.call("DELETE", path)

    def gone() -> bool:
        try:
            api.call("GET", path)
        except ApiError as error:
            return error.kind == "ResourceNotFoundException"
        return False

    cluster.wait("the cluster is gone", gone, 60)


def test_what_the_notes_say_gives_a_shell_what_it_needs(release: Release) -> None:
    told = cluster.kubectl(
        *("exec", f"deployment/{release.name}-control", "-n", release.namespace),
        *("--", "python", "-m", "tausql.local.command", "env"),
    )
    assert f"export PGHOST={release.endpoint}\n" in told
    assert f"export AWS_ACCESS_KEY_ID={release.reached.key.access_key_id}\n" in told


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
