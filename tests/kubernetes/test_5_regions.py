"""One database in two regions and a witness: each region on a machine of its own, 10 ms apart."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import cluster
import psycopg
import pytest
from conftest import Release
from test_1_install import sample

OVERLAY = cluster.ROOT / "k8s" / "overlays" / "multi-region"
# The tests run on machine a, so the region that is cut off must be another: east, which holds the stream.
PLACES = {"EAST": "b", "WEST": "a", "WITNESS": "c"}
WAY_MS = 10
AWAY_SECONDS = 5.0
UNNOTICED_SECONDS = 1.0


class Regions:
    """The three releases, and connections to both endpoints."""

    def __init__(self) -> None:
        self.east = Release("tausql-east", "tausql-east", "east")
        self.west = Release("tausql-west", "tausql-west", "west")
        self.witness = Release("tausql-witness", "tausql-witness", "witness")

    def install(self) -> None:
        # The cluster's own program takes HELM and KUBECTL for something else.
        lab = f"env -u HELM -u KUBECTL {sys.executable} {cluster.FOLDER / 'lab.py'}"
        environment = {
            **os.environ,
            "HELM": f"{lab} helm",
            "KUBECTL": f"{lab} kubectl",
            **{f"{region}_ZONES": f"lab-1{zone}" for region, zone in PLACES.items()},
        }
        command = [
            *("bash", str(OVERLAY / "install.sh"), "--values", str(OVERLAY / "small.yaml")),
            *("--set", "image.repository=docker.io/tausql/tausql", "--set", "image.tag=test"),
            *("--set", "clock.assumedErrorMicros=20", "--set", "persistence.takeOwnership=true"),
        ]
        cluster.run(command, seconds=300, environment=environment)

    def connect(self, release: Release) -> psycopg.Connection:
        return release.connect(connect_timeout=3)

    def hold(self, region: Release) -> None:
        """Let `region` hold the stream: the worst one to lose."""

        def held() -> bool:
            return sum(sample(pod, "tausql_adjudicator_streams_held") for pod in region.pods("adjudicator")) > 0

        if not held():
            other = self.west if region is self.east else self.east
            cluster.kubectl(
                "delete", "pod", "-n", other.namespace, "-l", "app.kubernetes.io/component=adjudicator", "--wait=false"
            )
            cluster.wait("the region holds the stream", held, 30)
            other.wait_until_whole()


class Writer(threading.Thread):
    """Inserts numbers through one endpoint, one after the other, and notes which were acknowledged, and when."""

    def __init__(self, regions: Regions, release: Release, table: str) -> None:
        super().__init__(daemon=True)
        self._dial = lambda: regions.connect(release)
        self._insert = f"INSERT INTO {table} (id, place) VALUES (%s, %s)"
        self._place = release.name
        self._ended = threading.Event()
        self.acknowledged: dict[str, float] = {}
        self.errors: list[str] = []
        self.start()

    def run(self) -> None:
        connection: psycopg.Connection | None = None
        while not self._ended.is_set():
            number = uuid.uuid4().hex
            try:
                connection = connection or self._dial()
                connection.execute(self._insert, (number, self._place))
            except psycopg.Error as error:
                self.errors.append(error.sqlstate or "lost")
                if connection is not None and connection.closed:
                    connection = None
                time.sleep(0.02)
            else:
                self.acknowledged[number] = time.monotonic()
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        self._ended.set()

    def longest_pause(self, begun: float, until: float) -> float:
        """Seconds without an acknowledgement between two instants, the ends counted."""
        instants = [begun, *(at for at in self.acknowledged.values() if begun < at < until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(instants))


@pytest.fixture(scope="module")
def regions() -> Iterator[Regions]:
    if cluster.RELEASE in cluster.helm("list", "-q", "-n", "default").split():
        cluster.helm("uninstall", cluster.RELEASE, "-n", "default")
    made = Regions()
    made.install()
    cluster.heal(WAY_MS)
    yield made
    cluster.heal()


@pytest.fixture(scope="module")
def table(regions: Regions) -> str:
    name = f"regions_{uuid.uuid4().hex[:8]}"
    with regions.connect(regions.east) as connection:
        connection.execute(f"CREATE TABLE {name} (id text PRIMARY KEY, place text)")
    return name


def ids(connection: psycopg.Connection, table: str) -> set[str]:
    return {row[0] for row in connection.execute(f"SELECT id FROM {table}").fetchall()}


def test_what_is_written_in_one_region_is_read_in_the_other(regions: Regions, table: str) -> None:
    commits: dict[str, list[float]] = {"east": [], "west": []}
    reads: list[float] = []
    with regions.connect(regions.east) as east, regions.connect(regions.west) as west:
        for number in range(40):
            (here, there, name) = (east, west, "east") if number % 2 else (west, east, "west")
            began = time.monotonic()
            here.execute(f"INSERT INTO {table} VALUES (%s, %s)", (f"both-{number}", name))
            between = time.monotonic()
            assert there.execute(f"SELECT place FROM {table} WHERE id = %s", (f"both-{number}",)).fetchone() == (name,)
            commits[name].append(between - began)
            reads.append(time.monotonic() - between)
    medians = {name: sorted(values)[len(values) // 2] * 1e3 for name, values in {**commits, "reads": reads}.items()}
    print({name: f"{value:.1f} ms" for name, value in medians.items()})


def test_nobody_notices_that_the_witness_is_away(regions: Regions, table: str) -> None:
    writers = [Writer(regions, regions.east, table), Writer(regions, regions.west, table)]
    try:
        time.sleep(2)
        begun = time.monotonic()
        cluster.cut_off(PLACES["WITNESS"])
        time.sleep(6)
        until = time.monotonic()
    finally:
        for writer in writers:
            writer.stop()
        cluster.heal(WAY_MS)
    pauses = [writer.longest_pause(begun, until) for writer in writers]
    print("longest pauses, east and west:", [f"{pause:.2f} s" for pause in pauses])
    assert max(pauses) < UNNOTICED_SECONDS
    assert set(writers[0].errors + writers[1].errors) <= {"40001"}


def test_the_other_region_goes_on_when_one_is_cut_off_and_nothing_acknowledged_is_missing(
    regions: Regions, table: str
) -> None:
    regions.hold(regions.east)
    writers = [Writer(regions, regions.east, table), Writer(regions, regions.west, table)]
    try:
        time.sleep(2)
        begun = time.monotonic()
        cluster.cut_off(PLACES["EAST"])
        time.sleep(12)
        until = time.monotonic()
        writers[0].stop()
        west_pause = writers[1].longest_pause(begun, until)
        with regions.connect(regions.west) as west:
            there = ids(west, table)
        # What the region that is away acknowledged before it was cut off, the other has.
        assert {number for number, at in writers[0].acknowledged.items() if at < begun} <= there
        assert len(writers[1].acknowledged) > 0
    finally:
        for writer in writers:
            writer.stop()
        cluster.heal(WAY_MS)
    print(f"longest pause in the other region: {west_pause:.2f} s")
    assert west_pause < AWAY_SECONDS
    for writer in writers:
        writer.join(30)
    with regions.connect(regions.west) as west:
        there = ids(west, table)
    for writer in writers:
        assert set(writer.acknowledged) <= there
    cluster.wait("the region that was away answers again", lambda: answers(regions, regions.east, table, there), 60)


def answers(regions: Regions, release: Release, table: str, expected: set[str]) -> bool:
    try:
        with regions.connect(release) as connection:
            return expected <= ids(connection, table)
    except psycopg.Error:
        return False
