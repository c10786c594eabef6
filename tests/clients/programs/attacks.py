"""A stranger at a living fleet: bad tokens, wrong doors, other clusters' names, SQL that wants out; and a good client
that goes on working. Run by pytest, in an environment that has psycopg and boto3."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator
from typing import NamedTuple

import boto3
import psycopg
import pytest
import urllib3
from wire import ADDRESS, AUTHORITY, HOST, KEY, PORT, REGION, Wire, fields_of, message, refusal, startup, token

DENIED = "unable to accept connection, access denied"
CONNECT = {"Statement": {"Effect": "Allow", "Action": "dsql:DbConnect", "Resource": "*"}}
BAD_CONNECTIONS, AT_ONCE = 400, 8


class Place(NamedTuple):
    """Two clusters and the keys that people have."""

    other: str  # the second cluster's identifier
    other_host: str
    reader: tuple[str, ...]  # may DbConnect, is linked with no role
    app: tuple[str, ...]  # may, and is linked with the role app, which may nothing
    deleted: tuple[str, ...]
    inactive: tuple[str, ...]
    session: tuple[str, ...]


def made_key(user: str) -> tuple[str, ...]:
    key = boto3.client("iam").create_access_key(UserName=user)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    dsql, iam = boto3.client("dsql"), boto3.client("iam")
    made = dsql.create_cluster(deletionProtectionEnabled=False)
    identifier = made["identifier"]
    dsql.get_waiter("cluster_active").wait(identifier=identifier, WaiterConfig={"Delay": 1})
    for user in ("reader", "app"):
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="connect", PolicyDocument=json.dumps(CONNECT))
    reader, deleted = made_key("reader"), made_key("reader")
    assert not refused_by_hint(refusal(token(key=deleted, action="DbConnect"), user="nobody"), "security token")
    iam.delete_access_key(UserName="reader", AccessKeyId=deleted[0])
    inactive = made_key("reader")
    iam.update_access_key(UserName="reader", AccessKeyId=inactive[0], Status="Inactive")
    given = boto3.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    session = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    host = f"{identifier}.dsql.{REGION}.on.aws"
    with client(host, token(host)) as connection:
        connection.execute("CREATE TABLE kept_secret (id int PRIMARY KEY, word text)")
        connection.execute("INSERT INTO kept_secret VALUES (1, 'abracadabra')")
    with client() as connection:
        connection.execute("CREATE ROLE app WITH LOGIN")
        connection.execute(f"AWS IAM GRANT app TO '{iam.get_user(UserName='app')['User']['Arn']}'")
        connection.execute("CREATE TABLE of_admin (id int PRIMARY KEY)")
    yield Place(identifier, host, reader, made_key("app"), deleted, inactive, session)
    dsql.delete_cluster(identifier=identifier)


def client(host: str = HOST, password: str = "", **more: str) -> psycopg.Connection:
    given = {"hostaddr": ADDRESS, "port": PORT, "user": "admin", "dbname": "postgres", "sslmode": "verify-full"}
    return psycopg.connect(
        host=host, password=password or token(host), sslrootcert=AUTHORITY, autocommit=True, **given | more
    )


def refused_by_hint(error: dict[str, str], hint: str) -> bool:
    return hint in error.get("H", "")


def check(error: dict[str, str], hint: str = "") -> None:
    assert (error.get("C"), error.get("S"), error.get("M")) == ("08006", "FATAL", DENIED), error
    assert hint in error.get("H", ""), error
    assert KEY[1] not in str(error)


# tokens


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        ({"age": 901}, "Signature expired: "),
        ({"expires": 0}, "Signature expired: "),
        ({"age": -3600}, "Signature not yet current"),
        ({"expires": 604_801}, "X-Amz-Expires must be less than a week (in seconds)"),
        ({"region": "eu-west-1"}, "Credential should be scoped to a valid region"),
        ({"service": "s3"}, "Credential should be scoped to correct service"),
        ({"service": "rds-db"}, "Credential should be scoped to correct service"),
        ({"action": "DbConnect"}, "Wrong user to action mapping. user: admin, action: DbConnect"),
        ({"action": "DeleteCluster"}, ""),
        ({"key": (KEY[0], "x" * 40)}, "The request signature we calculated does not match"),
        ({"key": ("AKIAAAAAAAAAAAAAAAAA", KEY[1])}, "The security token included in the request is invalid"),
        ({"key": (*KEY, "made-up")}, "The security token included in the request is invalid"),
        ({"host": "a" * 26 + f".dsql.{REGION}.on.aws"}, "The token was made for another host"),
        ({"X-Amz-Algorithm": "none"}, ""),
        ({"X-Amz-SignedHeaders": ""}, ""),
        ({"X-Amz-SignedHeaders": "host;x"}, "X-Amz-SignedHeaders must be 'host'"),
        ({"X-Amz-Expires": "-1"}, ""),
        ({"X-Amz-Expires": "9" * 400}, ""),
        ({"X-Amz-Date": "99999999T999999Z"}, ""),
    ],
)
def test_bad_tokens(made: dict, hint: str) -> None:
    check(refusal(token(**made)), hint)


def test_a_token_altered_anywhere() -> None:
    good = token()
    assert refusal(good) == {}
    host, _, query = good.partition("/?")
    parts = query.split("&")
    for number, part in enumerate(parts):
        name, _, value = part.partition("=")
        last = "0" if value[-1] != "0" else "1"
        for altered in ([f"{name}={value[:-1]}{last}"], [f"{name}={value}x"], [f"{name}="], [], [part, part]):
            check(refusal(f"{host}/?{'&'.join((*parts[:number], *altered, *parts[number + 1 :]))}"))
    check(refusal(f"{good}&Action=DbConnect"))
    check(refusal(f"{good}&user=admin"))
    check(refusal(good.replace("/?", "/x?")))
    check(refusal(f"https://{good}"))
    assert refusal(good) == {}


@pytest.mark.parametrize(
    "password", ["admin", "postgres", "?", "/?", "=&=", "\u00fc" * 50, f"{HOST}/?Action=DbConnectAdmin"]
)
def test_no_token_at_all(password: str) -> None:
    check(refusal(password))


def test_keys_that_are_gone_and_keys_of_others(place: Place) -> None:
    for key in (place.deleted, place.inactive):
        check(refusal(token(key=key, action="DbConnect"), user="nobody"), "The security token included in the request")
    check(refusal(token(key=place.session[:2])), "The security token included in the request is invalid")
    check(refusal(token(key=(*KEY, place.session[2]))), "The security token included in the request is invalid")
    check(refusal(token(key=(*place.session[:2], place.session[2][:-1] + "_"))), "The security token")
    assert refusal(token(key=place.session)) == {}


def test_what_a_user_may_not(place: Place) -> None:
    told = refusal(token(key=place.reader))
    check(told, ":user/reader is not authorized to perform: dsql:DbConnectAdmin on resource: arn:aws:dsql:")
    check(refusal(token(key=place.reader, action="DbConnect")), "Wrong user to action mapping. user: admin")
    check(refusal(token(), user="reader"), "Wrong user to action mapping. user: reader, action: DbConnectAdmin")
    for user in ("reader", "postgres", "Admin", "ADMIN", "admin ", '"admin"', "pg_monitor", "control", "x" * 200):
        check(refusal(token(key=place.reader, action="DbConnect"), user=user), "is not authorized to access")


# doors


def test_a_token_of_one_cluster_at_the_others_door(place: Place) -> None:
    check(refusal(token(), place.other_host), "The token was made for another host")
    check(refusal(token(place.other_host), HOST), "The token was made for another host")
    assert refusal(token(place.other_host), place.other_host) == {}


def test_names_that_contradict_each_other(place: Place) -> None:
    own = HOST.partition(".")[0]
    for parameters in (
        {"amzn-cluster-id": place.other},
        {"options": f"-c amzn-cluster-id={place.other}"},
        {"options": f"--amzn-cluster-id={place.other}"},
        {"options": f"-c amzn-cluster-id={own} -c amzn-cluster-id={place.other}"},
        {"options": "-c amzn-cluster-id=0"},
        {"options": "-c amzn-cluster-id=nobody"},
        {"options": f"-c amzn-cluster-id={own}\\"},
    ):
        for password in (token(), token(place.other_host)):
            if parameters != {"options": f"-c amzn-cluster-id={own}\\"} or password.startswith(place.other):
                check(refusal(password, **parameters))
    assert refusal(token(), options=f"-c amzn-cluster-id={own}") == {}


def test_doors_that_are_none(place: Place) -> None:
    for sni in (f"{'a' * 26}.dsql.{REGION}.on.aws", f"{place.other}.dsql.eu-west-1.on.aws", f"x.{HOST}"):
        with Wire(sni, checked=False) as wire:
            check(wire.answered(token()))
    with Wire("") as wire:  # without SNI a fleet on loopback goes by the token, which is for one cluster alone
        check(wire.answered(token("a" * 26 + f".dsql.{REGION}.on.aws")))
    with Wire("") as wire:
        check(wire.answered(token(), options=f"-c amzn-cluster-id={place.other}"), "made for another host")


def test_in_plaintext() -> None:
    with Wire(secure=False) as wire:
        check(wire.answered(token()), "TLS is required")


def test_other_databases(place: Place) -> None:
    for database in ("system", "control", "template1", place.other, f"{place.other}.postgres", "0", "POSTGRES"):
        error = refusal(token(), database=database)
        assert (error["C"], error["M"]) == ("3D000", f'database "{database}" does not exist')


@pytest.mark.parametrize(
    "parameters",
    [
        {"cluster": "0"},
        {"switches": "removal"},
        {"mapped": "x"},
        {"tausql.cluster": "0"},
        {"role": "postgres"},
        {"session_authorization": "postgres"},
        {"is_superuser": "on"},
        {"options": "-c session_authorization=postgres"},
        {"options": "-c tausql.switches=removal"},
        {"replication": "database"},
    ],
)
def test_startup_parameters_that_are_none_of_a_clients(parameters: dict[str, str]) -> None:
    error = refusal(token(), **parameters)
    assert error["S"] == "FATAL", error
    assert error["C"] in ("42704", "0A000", "22023", "08P01"), error


# SQL


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM kept_secret",
        "SELECT * FROM public.kept_secret",
        "SELECT 'kept_secret'::regclass",
        "SELECT * FROM control.records",
        "SELECT * FROM control.changes",
        "SELECT * FROM {other}.public.kept_secret",
        'SELECT * FROM "{other}".kept_secret',
        "CALL sys.remove_cluster_data()",
        "CALL SYS.REMOVE_CLUSTER_DATA()",
        'CALL "sys"."remove_cluster_data"()',
        "SELECT sys.remove_cluster_data()",
        "SET cluster = 0",
        "SET tausql.cluster = 0",
        "SET tausql.switches = 'removal'",
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE postgres",
        "SELECT set_config('session_authorization', 'postgres', false)",
        "SELECT set_config('is_superuser', 'on', false)",
        "CREATE ROLE boss SUPERUSER",
        "ALTER ROLE admin SUPERUSER",
        "UPDATE pg_database SET datname = 'x'",
        "DELETE FROM pg_class",
        "INSERT INTO sys.iam_pg_role_mappings VALUES ('admin')",
        "CREATE TABLE sys.mine (id int PRIMARY KEY)",
        "CREATE TABLE pg_catalog.mine (id int PRIMARY KEY)",
        "CREATE DATABASE other",
        "CREATE EXTENSION dblink",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'return 1'",
        "DO $$ BEGIN PERFORM 1; END $$",
        "LOAD 'x.so'",
        "COPY (SELECT 1) TO '/tmp/out'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_reload_conf()",
        "ALTER SYSTEM SET port = 1",
    ],
)
def test_sql_that_wants_out(place: Place, statement: str) -> None:
    with client(options="-c search_path=control,sys,public") as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement.format(other=place.other))
        assert caught.value.sqlstate and not caught.value.sqlstate.startswith(("XX", "57P")), caught.value
        assert "abracadabra" not in str(caught.value)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_no_catalogue_shows_another_cluster(place: Place) -> None:
    with client() as connection:
        listed = connection.execute(
            "SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname IN ('sys', 'pg_catalog') "
            "UNION SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('sys', 'pg_catalog')"
        ).fetchall()
        assert len(listed) > 20
        for (name,) in listed:
            try:
                rows = connection.execute(f"SELECT * FROM {name}").fetchall()
            except psycopg.Error as error:
                assert error.sqlstate in ("42501", "0A000", "42P01"), (name, error)
                continue
            for word in ("kept_secret", place.other, "control", KEY[1]):
                seen = [row for row in rows if word in (str(cell) for cell in row)]
                assert not seen, (name, seen)


@pytest.mark.parametrize(
    "begun",
    [
        "SET ROLE admin",
        "SET LOCAL ROLE admin",
        "SET LOCAL ROLE postgres",
        "SET SESSION AUTHORIZATION admin",
        "SELECT set_config('role', 'admin', true)",
        "SELECT set_config('session_authorization', 'admin', false)",
        "GRANT admin TO app",
        "ALTER ROLE app SUPERUSER",
        "AWS IAM GRANT admin TO 'arn:aws:iam::000000000000:user/app'",
        "ALTER TABLE of_admin OWNER TO app",
        "GRANT SELECT ON of_admin TO app",
        "SELECT * FROM of_admin",
        "CREATE ROLE another",
    ],
)
def test_a_role_stays_what_it_is(place: Place, begun: str) -> None:
    with client(password=token(key=place.app, action="DbConnect"), user="app") as connection:
        connection.execute("BEGIN")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(begun)
        assert caught.value.sqlstate in ("42501", "0A000", "42601"), caught.value
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT current_user, session_user").fetchone() == ("app", "app")


@pytest.mark.parametrize("parameters", [{"role": "admin"}, {"options": "-c role=admin"}, {"options": "--Role=admin"}])
def test_nobody_comes_in_as_somebody_else(place: Place, parameters: dict[str, str]) -> None:
    told = refusal(token(key=place.app, action="DbConnect"), user="app", **parameters)
    assert (told["S"], told["C"]) == ("FATAL", "0A000"), told
    assert refusal(token(key=place.app, action="DbConnect"), user="app") == {}


# other people's statements


def post(path: str, password: str, body: object = None, **headers: str) -> tuple[int, dict]:
    sent = urllib3.make_headers(basic_auth=f"admin:{password}") | {"content-type": "application/json"} | headers
    url = os.environ["TAUSQL_HTTP"] + path
    answer = urllib3.PoolManager().request("POST", url, body=json.dumps(body or {}), headers=sent, timeout=20.0)
    return answer.status, answer.json()


def test_a_cancel_request_needs_its_own_secret(place: Place) -> None:
    with client(place.other_host) as victim, Wire() as attacker:
        attacker.send(startup())
        attacker.read()
        attacker.send(message(b"p", token().encode() + b"\0"))
        own = b""
        while not own:
            kind, body = attacker.read()
            own = body if kind == "K" else b""
        number = victim.info.backend_pid
        held: list[object] = []
        run = threading.Thread(target=lambda: held.append(victim.execute("SELECT 1 FROM pg_sleep(2)").fetchone()))
        run.start()
        for secret in (0, 1, 0xFFFFFFFF, *struct.unpack(">I", own[4:8])):
            with Wire(secure=False) as wire:
                wire.send(struct.pack(">IIII", 16, 1234 << 16 | 5678, number, secret))
                assert wire.read()[0] == ""
        run.join(30)
        assert held == [(1,)]


def test_a_transaction_over_http_is_its_owners(place: Place) -> None:
    status, begun = post("/v1/transactions", token())
    assert status < 300, begun
    within = {"sql": "SELECT 1", "transaction": begun["transaction"]}
    status, told = post("/v1/sql", token(place.other_host), within)
    assert (status, told["error"]["message"]) == (400, "there is no such transaction"), told
    assert post("/v1/sql", token(), within)[0] == 200
    assert post(f"/v1/transactions/{begun['transaction']}/rollback", token())[0] == 200


def test_http_asks_for_the_same_tokens(place: Place) -> None:
    for password in (
        "",
        "x",
        token(age=901),
        token(key=place.deleted),
        token(key=place.reader),
        token(action="DbConnect"),
    ):
        status, told = post("/v1/sql", password, {"sql": "SELECT 1"})
        assert (status, told["error"]["sqlstate"], told["error"]["message"]) == (401, "08006", DENIED), told
    status, told = post("/v1/sql", token(), {"sql": "SELECT 1"}, host=place.other_host)
    assert "made for another host" in told["error"]["hint"]
    for forged in ({"x-forwarded-proto": "https", "x-forwarded-for": "10.0.0.1"}, {"x-tausql-cluster": "0"}):
        status, told = post("/v1/sql", token(age=901), {"sql": "SELECT 1"}, **forged)
        assert status == 401


# many


def bad_connection(number: int) -> None:
    """One of several kinds; whatever it is told, it is not let in."""
    kind = number % 8
    if kind == 0:
        check(refusal(token(age=901)))
    elif kind == 1:
        check(refusal("x" * 2_000))
    elif kind == 2:
        with Wire() as wire:
            wire.send(os.urandom(200))
            assert wire.read()[0] in ("", "E")
    elif kind == 3:
        with Wire() as wire:
            wire.send(startup())  # and leaves
    else:
        with Wire(secure=False) as wire:
            first = (b"", os.urandom(64), b"\x16\x03\x01\x02\x00" + os.urandom(60), b"GET / HTTP/1.1\r\n\r\n")[kind - 4]
            wire.send(first)


def test_hundreds_of_bad_connections_beside_a_good_client() -> None:
    failed: list[BaseException] = []

    def bad(first: int) -> None:
        try:
            for number in range(first, BAD_CONNECTIONS, AT_ONCE):
                bad_connection(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=bad, args=(number,)) for number in range(AT_ONCE)]
    with client() as connection:
        for thread in threads:
            thread.start()
        asked = 0
        while any(thread.is_alive() for thread in threads):
            assert connection.execute("SELECT 1").fetchone() == (1,)
            asked += 1
            if asked % 100 == 0:
                with client() as another:
                    assert another.execute("SELECT 2").fetchone() == (2,)
        assert asked
    assert not failed, failed[0]
    assert refusal(token()) == {}
    assert fields_of(b"") == {}
