"""Backups of a cluster that is written to, and clusters made of them: all of it, of one moment, and nothing else."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet, running_fleet

from tausql.local.api import Api, ApiError

from .test_clusters import connected, created, dsql_of
from .under_load import kill
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

ACCOUNTS, BALANCE = 40, 100
ITEMS = 7_000
SCHEMA = (
    "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))",
    f"INSERT INTO accounts SELECT n, {BALANCE} FROM generate_series(1, {ACCOUNTS}) n",
    "CREATE TABLE items (id bigint PRIMARY KEY, code text NOT NULL, price numeric(10, 2), made timestamptz)",
    "CREATE SEQUENCE numbers CACHE 1",
    "CREATE TABLE markers (name text PRIMARY KEY)",
    "CREATE VIEW dear AS SELECT id, code FROM items WHERE price > 50",
    "CREATE ROLE reader WITH LOGIN",
    "GRANT SELECT ON items TO reader",
    "COMMENT ON TABLE items IS 'what there is'",
)
INDEXES = (
    "CREATE UNIQUE INDEX ASYNC items_code ON items (code)",
    "CREATE INDEX ASYNC items_price ON items (price) INCLUDE (code)",
)


def api_of(fleet: Fleet) -> Api:
    found = fleet.reached
    return Api(found.api, found.key, found.region)


def filled(fleet: Fleet) -> str:
    """A cluster with something of everything."""
    identifier = created(dsql_of(fleet, attempts=10))
    with connected(fleet, identifier) as session:
        for statement in SCHEMA:
            session.execute(statement)
        for first in range(0, ITEMS, 1_000):
            session.execute(
                "INSERT INTO items SELECT n, 'code ' || n, n %% 100, now() FROM generate_series(%s::int, %s::int) n",
                [first + 1, first + 1_000],
            )
        jobs = [session.execute(index).fetchone() for index in INDEXES]
        for job in jobs:
            assert job is not None
            session.execute("CALL sys.wait_for_job(%s)", [job[0]])
        session.execute("SELECT nextval('numbers') FROM generate_series(1, 10)")
    return identifier


@contextlib.contextmanager
def transfers(fleet: Fleet, identifier: str) -> Iterator[list[int]]:
    """Money goes round meanwhile; how often."""
    stop, done = threading.Event(), [0]

    def work() -> None:
        with connected(fleet, identifier) as session:
            while not stop.is_set():
                source, target = done[0] % ACCOUNTS + 1, (done[0] * 7 + 3) % ACCOUNTS + 1
                passing = (psycopg.errors.SerializationFailure, psycopg.errors.CheckViolation)
                with contextlib.suppress(*passing), session.transaction():
                    session.execute("UPDATE accounts SET balance = balance - 1 WHERE id = %s", [source])
                    session.execute("UPDATE accounts SET balance = balance + 1 WHERE id = %s", [target])
                done[0] += 1

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            yield done
        finally:
            stop.set()
            working.result(timeout=60)


def ended(api: Api, path: str) -> dict[str, Any]:
    def over() -> dict[str, Any]:
        now = api.call("GET", path)
        return now if now["status"] != "RUNNING" else {}

    return until(over, "the end of the job", seconds=120.0)


def backed_up(api: Api, identifier: str, location: str, follow: int = 0) -> str:
    started = api.call("POST", f"/backup/{identifier}", body={"location": location, "followSeconds": follow})
    return f"/backup/{identifier}/{started['jobIdentifier']}"


def restored(api: Api, location: str, **more: Any) -> tuple[dict[str, Any], str]:
    """(the job when it is over, the new cluster)."""
    started = api.call("POST", "/restore", body={"location": location, "deletionProtectionEnabled": False, **more})
    return ended(api, f"/restore/{started['jobIdentifier']}"), started["clusterIdentifier"]


def test_a_backup_taken_under_load_is_whole_and_of_one_moment(fleet: Fleet) -> None:
    api = api_of(fleet)
    source = filled(fleet)
    with transfers(fleet, source) as done:
        until(lambda: done[0] > 20, "transfers")
        path = backed_up(api, source, "whole/one")
        job = ended(api, path)
        count = done[0]
        until(lambda: done[0] > count, "transfers that go on")
    assert job["status"] == "COMPLETED", job
    assert job["rows"] > 3 * ITEMS
    assert path.rpartition("/")[2] in {one["jobIdentifier"] for one in api.call("GET", f"/backup/{source}")["jobs"]}
    told, copy = restored(api, "whole/one")
    assert told["status"] == "COMPLETED", told
    assert api.call("GET", f"/cluster/{copy}")["status"] == "ACTIVE"
    with connected(fleet, copy) as session, connected(fleet, source) as original:

        def one(query: str) -> Any:
            found = session.execute(query).fetchone()
            assert found is not None
            return found[0]

        assert session.execute("SELECT count(*), sum(balance) FROM accounts").fetchone() == (
            ACCOUNTS,
            ACCOUNTS * BALANCE,
        )
        everything = "SELECT id, code, price, made FROM items ORDER BY id"
        assert session.execute(everything).fetchall() == original.execute(everything).fetchall()
        assert one("SELECT id FROM items WHERE code = 'code 4321'") == 4321
        covered = session.execute("EXPLAIN SELECT code FROM items WHERE price = 7").fetchall()
        assert "items_price" in str(covered)
        by_index = session.execute("SELECT code FROM items WHERE price = 7 ORDER BY code").fetchall()
        assert len(by_index) == ITEMS / 100
        assert one("SELECT count(*) FROM dear") == ITEMS / 100 * 49
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("INSERT INTO items VALUES (100000, 'code 1', 1, now())")
        assert one("SELECT nextval('numbers')") == 11
        assert one("SELECT count(*) FROM sys.jobs WHERE status NOT IN ('completed', 'failed')") == 0
        assert one("SELECT has_table_privilege('reader', 'items', 'SELECT')")
        assert one("SELECT obj_description('items'::regclass)") == "what there is"
        session.execute("CREATE TABLE more (id int PRIMARY KEY)")
        session.execute("INSERT INTO more VALUES (1)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            original.execute("SELECT * FROM more")
    taken = api.call("POST", f"/backup/{source}", body={"location": "whole/one"})
    refused = ended(api, f"/backup/{source}/{taken['jobIdentifier']}")
    assert (refused["status"], "already" in refused["statusMessage"]) == ("FAILED", True)


def test_a_cluster_is_restored_as_it_was_at_any_moment_that_was_followed(fleet: Fleet) -> None:
    api = api_of(fleet)
    source = created(dsql_of(fleet))
    with connected(fleet, source) as session:
        session.execute("CREATE TABLE markers (name text PRIMARY KEY)")
        path = backed_up(api, source, "moments", follow=5)
        until(lambda: "earliestRestorableTime" in api.call("GET", path), "the first moment")
        session.execute("INSERT INTO markers VALUES ('first')")
        found = session.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        session.execute("DELETE FROM markers")
        session.execute("CREATE TABLE later (id int PRIMARY KEY)")
    assert found is not None
    job = ended(api, path)
    assert job["status"] == "COMPLETED", job
    told, then = restored(api, "moments", restoreTime=found[0])
    assert told["status"] == "COMPLETED", told
    _, latest = restored(api, "moments", restoreTime=job["latestRestorableTime"])
    told, earliest = restored(api, "moments", restoreTime=job["earliestRestorableTime"])
    assert told["status"] == "COMPLETED", told
    with connected(fleet, earliest) as session:
        assert session.execute("SELECT name FROM markers").fetchall() == []
    with connected(fleet, then) as session:
        assert session.execute("SELECT name FROM markers").fetchall() == [("first",)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            session.execute("SELECT * FROM later")
    with connected(fleet, latest) as session:
        assert session.execute("SELECT name FROM markers").fetchall() == []
        assert session.execute("SELECT count(*) FROM later").fetchone() == (0,)
    refused, failed = restored(api, "moments", restoreTime=job["earliestRestorableTime"] - 60)
    assert (refused["status"], "before" in refused["statusMessage"]) == ("FAILED", True)
    assert api.call("GET", f"/cluster/{failed}")["status"] == "FAILED"


def test_a_damaged_backup_and_a_place_outside_are_refused(fleet: Fleet) -> None:
    api = api_of(fleet)
    source = created(dsql_of(fleet))
    with connected(fleet, source) as session:
        session.execute("CREATE TABLE kept (id int PRIMARY KEY)")
    assert ended(api, backed_up(api, source, "damaged"))["status"] == "COMPLETED"
    folder = fleet.folder / "backups" / "damaged"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    file = folder / manifest["files"][0]["name"]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    told, failed = restored(api, "damaged")
    assert (told["status"], "checksum" in told["statusMessage"]) == ("FAILED", True)
    assert api.call("GET", f"/cluster/{failed}")["status"] == "FAILED"
    with pytest.raises(psycopg.OperationalError):
        connected(fleet, failed)
    dsql_of(fleet).delete_cluster(identifier=failed)
    (folder / "manifest.json").unlink()
    assert "no whole backup" in restored(api, "damaged")[0]["statusMessage"]
    outside = ended(api, backed_up(api, source, "../elsewhere"))
    assert "below" in outside["statusMessage"]
    assert not (fleet.folder / "elsewhere").exists()


def test_whoever_takes_or_restores_a_backup_may_die() -> None:
    with running_fleet("packed") as fleet:
        api = api_of(fleet)
        source = filled(fleet)
        with transfers(fleet, source) as done:
            path = backed_up(api, source, "killed", follow=3)
            until(lambda: "earliestRestorableTime" in api.call("GET", path), "the first moment")
            kill(fleet, "zone-c")  # control and the changefeed
            count = done[0]
            until(lambda: done[0] > count + 20, "transfers that go on")
        assert stubbornly(api, path)["status"] == "COMPLETED"
        started = api.call("POST", "/restore", body={"location": "killed"})
        kill(fleet, "zone-c")
        told = stubbornly(api, f"/restore/{started['jobIdentifier']}")
        assert told["status"] == "COMPLETED", told
        with connected(fleet, started["clusterIdentifier"]) as session:
            assert session.execute("SELECT sum(balance) FROM accounts").fetchone() == (ACCOUNTS * BALANCE,)
            assert session.execute("SELECT count(*), count(DISTINCT code) FROM items").fetchone() == (ITEMS, ITEMS)


def stubbornly(api: Api, path: str) -> dict[str, Any]:
    """The job when it is over, though nobody answers for a while."""

    def over() -> dict[str, Any]:
        try:
            now = api.call("GET", path)
        except ApiError:
            return {}
        return now if now["status"] != "RUNNING" else {}

    return until(over, "the end of the job", seconds=90.0)
