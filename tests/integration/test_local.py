"""`tausql up` and its kin, as people type them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from loadtest.ports import free_port
from loadtest.tausql_fleet import Fleet, running_fleet, start, stop_process

from .sessions import session
from .under_load import ready
from .waiting import until

pytestmark = pytest.mark.fleet


def tausql(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "tausql.local.command", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


def words(options: dict[str, int]) -> list[str]:
    return [word for option, value in options.items() for word in (option, str(value))]


@pytest.fixture
def folder() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="tausql-local-"))
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


def test_single_shape_restarts_with_its_data(folder: Path) -> None:
    fleet = start(folder, "single", plaintext=False)
    try:
        assert [entry["service"] for entry in fleet.processes()] == [
            "timekeeper+journal+adjudicator+crossbar+storage+processor+frontend+control+changefeed"
        ]
        with session(fleet) as connection:
            connection.execute("CREATE TABLE kept (id int PRIMARY KEY, name text)")
            connection.execute("INSERT INTO kept VALUES (1, 'one')")
    finally:
        stop_process(fleet.process)
    cluster = msgspec.json.decode((folder / "cluster.json").read_bytes())
    assert cluster["supervisor"] == 0
    endpoint = fleet.endpoint
    again = start(folder, "single", plaintext=False)
    try:
        assert again.endpoint == endpoint
        with session(again) as connection:
            assert connection.execute("SELECT * FROM kept").fetchall() == [(1, "one")]
        down = tausql("down", "--data", str(folder))
        assert (down.returncode, down.stderr) == (0, "")
        assert again.process.wait(timeout=10) == 0
        down = tausql("down", "--data", str(folder))
        assert (down.returncode, down.stderr) == (1, "tausql: the fleet is not running\n")
    finally:
        stop_process(again.process)
    refused = tausql("up", "--data", str(folder), "--zones", "3")
    assert refused.returncode == 1
    assert "use --zones 1 or --shape single, or another --data" in refused.stderr


def test_one_data_folder_serves_both_shapes_of_many_processes(folder: Path) -> None:
    fleet = start(folder, "packed", "--zones", "2", plaintext=False)
    try:
        with session(fleet) as connection:
            connection.execute("CREATE TABLE kept (id int PRIMARY KEY)")
            connection.execute("INSERT INTO kept VALUES (7)")
    finally:
        stop_process(fleet.process)
    fleet = start(folder, "separate", "--zones", "2", plaintext=False)
    try:
        with session(fleet) as connection:
            assert connection.execute("SELECT * FROM kept").fetchall() == [(7,)]
    finally:
        stop_process(fleet.process)


def test_cluster_file_tells_what_runs_where(fleet: Fleet) -> None:
    cluster = msgspec.json.decode((fleet.folder / "cluster.json").read_bytes())
    assert (cluster["shape"], cluster["zones"], cluster["host"]) == ("packed", 3, "127.0.0.1")
    assert (cluster["pg_port"], cluster["http_port"]) == (fleet.pg_port, fleet.http_port)
    assert cluster["supervisor"] == fleet.process.pid
    names = [entry["name"] for entry in cluster["processes"]]
    assert names == [
        "journal-a", "order-a", "zone-a", "journal-b", "order-b", "zone-b", "journal-c", "zone-c"
    ]  # fmt: skip
    for entry in cluster["processes"]:
        assert Path(f"/proc/{entry['pid']}").exists()
        assert entry["zone"] == entry["name"][-1]
    for secret in ("credentials.json", "fleet.key"):
        assert oct((fleet.folder / secret).stat().st_mode)[-3:] == "600"
    assert cluster["identifier"] == fleet.endpoint.partition(".")[0]


def test_second_fleet_in_a_folder_is_refused(fleet: Fleet) -> None:
    ports = {"--pg-port": free_port(), "--http-port": free_port(), "--api-port": free_port()}
    refused = tausql("up", "--data", str(fleet.folder), *words(ports))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"tausql: a fleet already runs in {fleet.folder}")
    assert refused.stdout == ""


@pytest.mark.parametrize("option", ["--pg-port", "--http-port", "--api-port", "--websocket-port"])
def test_port_in_use_is_named(folder: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--pg-port": free_port(), "--http-port": free_port(), "--api-port": free_port()} | {option: port}
        refused = tausql("up", "--data", str(folder), *words(ports))
    assert refused.returncode == 1
    assert refused.stderr == f"tausql: port {port} of 127.0.0.1 is in use: choose another with {option}\n"


def test_commands_without_a_fleet_say_so(folder: Path) -> None:
    for command in ("down", "env", "psql", "status", "token", "hosts", "cluster list", "key list"):
        done = tausql(*command.split(), "--data", str(folder))
        assert done.returncode == 1
        assert done.stderr == f"tausql: no fleet in {folder}: start one with `tausql up --data {folder}`\n"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text("{")
    assert "is not a cluster file" in tausql("status", "--data", str(folder)).stderr
    wrong = tausql("up", "--data", str(folder), "--zones", "9")
    assert wrong.returncode == 2
    assert "zones" in wrong.stderr
    assert "5" in wrong.stderr


def test_env_and_psql_connect(fleet: Fleet) -> None:
    script = f'eval "$({sys.executable} -m tausql.local.command env --data {fleet.folder})"; psql -Atc "SELECT 6 * 7"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("42\n", "")
    done = tausql("psql", "--data", str(fleet.folder), "-At", "-c", "SELECT 'a b'")
    assert (done.stdout, done.stderr, done.returncode) == ("a b\n", "", 0)
    done = tausql("psql", "--data", str(fleet.folder), "-At", "-v", "ON_ERROR_STOP=1", stdin="SELECT 1/0;")
    assert done.returncode == 3
    exported = tausql("env", "--data", str(fleet.folder)).stdout
    assert f"export PGPASSWORD='{fleet.endpoint}/?Action=DbConnectAdmin&" in exported
    assert f"export TAUSQL_HTTP=http://127.0.0.1:{fleet.http_port}" in exported
    assert "export PGSSLMODE=verify-full" in exported


def test_clusters_are_made_used_and_deleted_by_a_newcomer(fleet: Fleet) -> None:
    """As README.md has it, with nothing but this command; the other cluster knows nothing of it."""
    data = ("--data", str(fleet.folder))
    made = json.loads(tausql("cluster", "create", "--no-deletion-protection", "--tag", "of=tests", *data).stdout)
    identifier, endpoint = made["identifier"], made["endpoint"]
    assert (made["status"], made["tags"]) == ("ACTIVE", {"of": "tests"})
    assert endpoint == f"{identifier}.dsql.us-east-1.on.aws"
    done = tausql("psql", "--cluster", identifier, *data, "-Atc", "CREATE TABLE t (id int PRIMARY KEY)")
    assert (done.stdout, done.stderr) == ("CREATE TABLE\n", "")
    assert 'relation "t" does not exist' in tausql("psql", *data, "-c", "SELECT * FROM t").stderr
    listed = json.loads(tausql("cluster", "list", *data).stdout)["clusters"]
    assert listed[0]["identifier"] == fleet.endpoint.partition(".")[0]
    assert identifier in [one["identifier"] for one in listed]
    assert f"127.0.0.1 {endpoint} # tausql {fleet.folder}\n" in tausql("hosts", *data).stdout
    token = tausql("token", "--cluster", identifier, *data).stdout.strip()
    host = f"host={endpoint} hostaddr=127.0.0.1 port={fleet.pg_port} user=admin dbname=postgres"
    verified = f"{host} sslmode=verify-full sslrootcert={fleet.folder / 'tls' / 'ca.pem'}"
    with psycopg.connect(f"{verified} password={token}", autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    gone = tausql("cluster", "delete", identifier, *data)
    assert (gone.returncode, json.loads(gone.stdout)["status"]) == (0, "DELETED")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"{verified} password={token}")
    assert "ResourceNotFoundException" in tausql("cluster", "get", identifier, *data).stderr


def test_status_shows_every_process_and_fails_when_one_is_missing() -> None:
    with running_fleet("packed", plaintext=False) as fleet:
        done = tausql("status", "--data", str(fleet.folder))
        assert done.returncode == 0, done.stdout
        names = [str(entry["name"]) for entry in fleet.processes()]
        assert all(name in done.stdout for name in names)
        supervisor = fleet.process.pid
        os.kill(supervisor, signal.SIGSTOP)  # nobody starts it again
        try:
            (victim,) = [int(str(entry["pid"])) for entry in fleet.processes() if entry["name"] == "zone-c"]
            os.kill(victim, signal.SIGKILL)
            until(lambda: not ready(fleet, "zone-c"), "zone-c is gone")
            done = tausql("status", "--data", str(fleet.folder))
            assert done.returncode == 1
            assert "no: " in done.stdout
        finally:
            os.kill(supervisor, signal.SIGCONT)
        until(lambda: ready(fleet, "zone-c"), "zone-c is back")
        assert tausql("status", "--data", str(fleet.folder)).returncode == 0


def test_processes_of_a_killed_supervisor_are_ended_by_the_next_start(folder: Path) -> None:
    fleet = start(folder, "packed", plaintext=False)
    try:
        os.kill(fleet.process.pid, signal.SIGKILL)
        fleet.process.wait()
        orphans = fleet.pids()
        assert any(Path(f"/proc/{pid}").exists() for pid in orphans)
        with session(fleet) as connection:
            connection.execute("CREATE TABLE kept (id int PRIMARY KEY)")
    finally:
        fleet = start(folder, "packed", plaintext=False)
        stop_process(fleet.process)
    assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
    with pytest.raises(psycopg.OperationalError):
        session(fleet)
