"""Every service rolled under load; uninstalled and installed again; the data is there."""

from __future__ import annotations

import uuid

import cluster
from chaos import Chaos
from conftest import CHART, VALUES, Release
from test_2_killed import RETRIED_PERCENT


def test_an_upgrade_rolls_every_service_and_clients_see_conflicts_at_most(release: Release) -> None:
    release.wait_until_whole()
    before = {pod["metadata"]["uid"] for pod in release.pods()}
    # A frontend that goes takes its clients' connections with it, and says so between two statements (57P01); clients
    # connect again, to the other. No statement may fail otherwise.
    run = Chaos(release, "--faults", "none", "--tolerate", "57P01", seconds=90)
    cluster.helm(
        *("upgrade", release.name, str(CHART), "-n", release.namespace, "-f", str(VALUES)),
        *("--set", "settings.log_level=warning"),  # every pod's environment changes, as with a new image
    )
    cluster.wait(
        "every pod replaced", lambda: not before & {pod["metadata"]["uid"] for pod in release.pods()}, 150, every=1
    )
    took = release.wait_until_whole()
    print(f"rolled, last pod ready {took:.0f} s after it was made")
    found = run.report()
    (inserts,) = [load for load in found.loads if load.load == "inserts"]  # lists conflict with each other by design
    assert inserts.retried_percent <= RETRIED_PERCENT, inserts


def test_what_was_written_is_there_after_uninstall_and_install(release: Release) -> None:
    table = f"kept_{uuid.uuid4().hex[:8]}"
    with release.connect() as connection:
        connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, text text)")
        connection.execute(f"INSERT INTO {table} VALUES (1, 'kept')")
    cluster.helm("uninstall", release.name, "-n", release.namespace, "--wait")
    cluster.wait("pods gone", lambda: not release.pods(), 150)
    assert cluster.objects("pvc", namespace=release.namespace)
    release.install()
    with release.connect() as connection:
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == [(1, "kept")]
