"""Coming in, with tokens of AWS's own make, and all the ways not to: on a fleet as `tausql up` starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from collections.abc import Iterator
from typing import Any

import boto3
import psycopg
import pytest
from loadtest.ports import free_port
from loadtest.tausql_fleet import Fleet, running_fleet
from websockets.asyncio.client import connect as websocket

from tausql.access.connect_tokens import connect_token
from tausql.access.sigv4 import Credentials
from tausql.local.tokens import endpoint_name
from tausql.pgwire import client

from .test_clusters import created, dsql_of
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

DENIED = "unable to accept connection, access denied"


@pytest.fixture
def other(fleet: Fleet) -> Iterator[str]:
    """A second cluster."""
    dsql = dsql_of(fleet)
    identifier = created(dsql)
    yield identifier
    dsql.delete_cluster(identifier=identifier)


def host_of(fleet: Fleet, identifier: str = "") -> str:
    found = fleet.reached
    return endpoint_name(identifier or found.identifier, found.region)


def token(fleet: Fleet, identifier: str = "", action: str = "admin") -> str:
    """As boto3 makes it."""
    dsql = dsql_of(fleet)
    make = dsql.generate_db_connect_admin_auth_token if action == "admin" else dsql.generate_db_connect_auth_token
    made: str = make(Hostname=host_of(fleet, identifier), Region=fleet.reached.region)
    return made


def come_in(fleet: Fleet, password: str, identifier: str = "", **changes: Any) -> psycopg.Connection[Any]:
    asked: dict[str, Any] = {
        "host": host_of(fleet, identifier),
        "hostaddr": fleet.host,
        "port": fleet.pg_port,
        "user": "admin",
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": str(fleet.folder / "tls" / "ca.pem"),
        "autocommit": True,
        **changes,
    }
    return psycopg.connect(password=password, **asked)


def refused(fleet: Fleet, password: str, identifier: str = "", **changes: Any) -> str:
    """What a refusal says, hint included."""
    with pytest.raises(psycopg.OperationalError) as caught:
        come_in(fleet, password, identifier, **changes)
    return str(caught.value)


def signed(fleet: Fleet, *, region: str = "", ago: float = 0, key: Any = None) -> str:
    found = fleet.reached
    by = key or Credentials(found.key.access_key_id, found.key.secret)
    return connect_token(by, host_of(fleet), region or found.region, "DbConnectAdmin", time.time() - ago, 900)


def test_a_token_of_boto3_opens_the_cluster_it_names_in_every_way_to_name_it(fleet: Fleet, other: str) -> None:
    with come_in(fleet, token(fleet, other), other) as opened:
        opened.execute("create table only_here (id int primary key)")
    made = token(fleet, other)
    for changes in (
        {"sslnegotiation": "direct"},
        {"host": "localhost", "options": f"-c amzn-cluster-id={other}"},
        {"host": fleet.host},  # no SNI: by the token's host
    ):
        with come_in(fleet, made, other, **changes) as opened:
            assert opened.execute("select count(*) from only_here").fetchone() == (0,)
    with come_in(fleet, token(fleet)) as first, pytest.raises(psycopg.errors.UndefinedTable):
        first.execute("select count(*) from only_here")


def test_every_other_token_is_refused_in_words_of_dsql(fleet: Fleet, other: str) -> None:
    mine = token(fleet)
    for password, changes, word in (
        (token(fleet, other), {}, "made for another host"),
        (mine, {"identifier": other}, "made for another host"),
        (mine, {"options": f"-c amzn-cluster-id={other}"}, DENIED),
        (mine, {"identifier": "a" * 26}, DENIED),
        (mine.replace("DbConnectAdmin", "DbConnect"), {}, DENIED),
        (mine[:-2] + "00", {}, "does not match"),
        (signed(fleet, ago=901), {}, "Signature expired: "),
        (signed(fleet, region="eu-west-3"), {}, "Credential should be scoped to a valid region"),
        (token(fleet, action="role"), {}, "Wrong user to action mapping. user: admin, action: DbConnect"),
        (mine, {"user": "app"}, "Wrong user to action mapping. user: app, action: DbConnectAdmin"),
        (mine, {"sslmode": "disable"}, "TLS is required"),
        ("hunter2", {}, "must be an authentication token"),
    ):
        said = refused(fleet, password, **changes)
        assert DENIED in said
        assert word in said
    assert 'database "other" does not exist' in refused(fleet, mine, dbname="other")


def test_a_deleted_key_opens_nothing_and_its_sessions_stay(fleet: Fleet) -> None:
    found = fleet.reached
    iam = boto3.client(
        "iam",
        region_name=found.region,
        endpoint_url=found.api,
        aws_access_key_id=found.key.access_key_id,
        aws_secret_access_key=found.key.secret,
    )
    iam.create_user(UserName="guest")
    allow = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dsql:*","Resource":"*"}]}'
    iam.put_user_policy(UserName="guest", PolicyName="all", PolicyDocument=allow)
    made = iam.create_access_key(UserName="guest")["AccessKey"]
    key = Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def comes_in() -> psycopg.Connection[Any] | None:
        try:
            return come_in(fleet, signed(fleet, key=key))
        except psycopg.OperationalError:
            return None

    opened = until(comes_in, "the new key opens")
    assert opened is not None
    iam.delete_access_key(UserName="guest", AccessKeyId=key.access_key_id)

    def is_out() -> bool:
        another = comes_in()
        if another is not None:
            another.close()
        return another is None

    until(is_out, "the deleted key opens nothing")
    assert opened.execute("select 1").fetchone() == (1,)
    opened.close()


def test_clients_come_in_while_control_is_away(fleet: Fleet) -> None:
    (control,) = [entry for entry in fleet.processes() if "control" in str(entry["service"])]
    pid = int(str(control["pid"]))
    made = token(fleet)
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            with come_in(fleet, made) as opened:
                assert opened.execute("select 1").fetchone() == (1,)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_postgresql_over_websocket() -> None:
    port = free_port()

    async def talk(fleet: Fleet) -> list[bytes]:
        context = ssl.create_default_context(cafile=str(fleet.folder / "tls" / "ca.pem"))
        url = f"wss://{host_of(fleet)}:{port}"
        async with asyncio.timeout(30), websocket(url, host=fleet.host, ssl=context) as socket:
            await socket.send(client.startup("admin", "postgres"))
            await socket.recv()
            await socket.send(client.password(fleet.password))
            while (await socket.recv())[:1] != b"Z":
                pass
            await socket.send(client.query("select 'over a web socket'"))
            answer = [await socket.recv() for _ in range(4)]
        return [bytes(message) for message in answer if isinstance(message, bytes)]

    with running_fleet("single", "--websocket-port", str(port), plaintext=False) as fleet:
        description, row, complete, ready = asyncio.run(talk(fleet))
    assert (description[:1], complete[:1], ready[:1]) == (b"T", b"C", b"Z")
    assert row.endswith(b"over a web socket")
