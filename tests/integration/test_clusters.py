"""Clusters of one fleet, through the API and PostgreSQL: apart, gone when deleted, and there after every kill."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from loadtest.tausql_fleet import Fleet, running_fleet, start, stop_process

from tausql.local.tokens import endpoint_name, token_for

from .under_load import kill
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

CLUSTERS = 12


def dsql_of(fleet: Fleet, attempts: int = 0) -> Any:
    found = fleet.reached
    return boto3.client(
        "dsql",
        region_name=found.region,
        endpoint_url=found.api,
        aws_access_key_id=found.key.access_key_id,
        aws_secret_access_key=found.key.secret,
        config=Config(retries={"total_max_attempts": attempts + 1, "mode": "standard"}),
    )


def created(dsql: Any, **more: Any) -> str:
    """The identifier of a new cluster, once it is ACTIVE."""
    identifier: str = dsql.create_cluster(deletionProtectionEnabled=False, **more)["identifier"]
    dsql.get_waiter("cluster_active").wait(identifier=identifier, WaiterConfig={"Delay": 1})
    return identifier


def connected(fleet: Fleet, identifier: str) -> psycopg.Connection[tuple[Any, ...]]:
    found = fleet.reached
    host = endpoint_name(identifier, found.region)
    return psycopg.connect(
        host=host,
        hostaddr=fleet.host,
        port=fleet.pg_port,
        user="admin",
        password=token_for(found.key, host, found.region, "admin", 900),
        dbname="postgres",
        sslmode="require",
        autocommit=True,
    )


def test_clusters_are_apart_and_nothing_is_left_of_a_deleted_one(fleet: Fleet) -> None:
    dsql = dsql_of(fleet)
    one, other = created(dsql), created(dsql)
    with connected(fleet, one) as first, connected(fleet, other) as second:
        first.execute("CREATE TABLE kept (id int PRIMARY KEY)")
        first.execute("INSERT INTO kept SELECT generate_series(1, 2500)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            second.execute("SELECT * FROM kept")
        second.execute("CREATE TABLE kept (name text PRIMARY KEY)")
        assert second.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        with pytest.raises(psycopg.OperationalError):
            connected(fleet, "a" * 26)
    for identifier in (one, other):
        dsql.delete_cluster(identifier=identifier)
        dsql.get_waiter("cluster_not_exists").wait(identifier=identifier, WaiterConfig={"Delay": 1})
        with pytest.raises(psycopg.OperationalError):
            connected(fleet, identifier)


def test_control_and_processors_die_and_every_cluster_is_there_once() -> None:
    with running_fleet("packed") as fleet:
        dsql = dsql_of(fleet, attempts=10)
        names = [entry["name"] for entry in fleet.processes() if str(entry["name"]).startswith("zone-")]
        made: list[str] = []
        for number in range(CLUSTERS):
            if number % 3 == 1:
                kill(fleet, str(names[number // 3 % len(names)]))
            made.append(_stubbornly(dsql, f"token-{number}"))
        listed = [
            one["identifier"] for page in dsql.get_paginator("list_clusters").paginate() for one in page["clusters"]
        ]
        assert listed[1:] == made
        with connected(fleet, made[-1]) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)


def test_clusters_and_keys_are_there_after_a_restart() -> None:
    parent = Path(tempfile.mkdtemp(prefix="tausql-clusters-"))
    fleet = start(parent / "data", "single")
    try:
        identifier = created(dsql_of(fleet), tags={"Name": "orders"})
        with connected(fleet, identifier) as session:
            session.execute("CREATE TABLE kept (id int PRIMARY KEY)")
        stop_process(fleet.process)
        fleet = start(parent / "data", "single")
        assert dsql_of(fleet, attempts=5).get_cluster(identifier=identifier)["tags"] == {"Name": "orders"}
        with connected(fleet, identifier) as session:
            assert session.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        stop_process(fleet.process)
        shutil.rmtree(parent, ignore_errors=True)


def _stubbornly(dsql: Any, token: str) -> str:
    """Ask with the same token until there is an answer."""
    found: list[str] = []

    def tried() -> bool:
        try:
            found.append(dsql.create_cluster(clientToken=token)["identifier"])
        except Exception as error:  # what SDKs raise for lost connections has no common class
            if "InternalServer" not in repr(error) and "onnect" not in repr(error):
                raise
        return bool(found)

    until(tried, f"a cluster for {token}", seconds=60)
    return found[0]
