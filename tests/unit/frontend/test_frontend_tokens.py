"""Who comes in with a token, on which cluster, and what everybody else is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from frontend_known import (
    ACCOUNT,
    ALLOW_ALL,
    FIRST,
    KEY,
    REGION,
    SECOND,
    TOKENS,
    changed,
    cluster,
    key,
    known_clusters,
    token,
)
from frontend_running import Raw, Running, until, with_frontend
from frontend_tokens import refused, welcome

from tausql.pgwire import client
from tausql.protocol.clusters import Clusters, Keys

DENIED = "unable to accept connection, access denied"
HOST, OTHER = FIRST.hosts[0], SECOND.hosts[0]
OPTIONAL = {**TOKENS, "sni": "optional"}
LAMBDA = f"arn:aws:iam::{ACCOUNT}:role/lambda"


def policy(effect: str, action: str, resource: str) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_sni_picks_the_cluster(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        for record in (FIRST, SECOND):
            (await welcome(running, record.hosts[0], token(record))).close()
        (await welcome(running, OTHER.upper(), token(SECOND))).close()
        first, second, third = running.processor.starts
        assert (first.cluster, first.switches, first.user, first.mapped) == (1, (), "admin", "")
        assert (second.cluster, second.switches) == (third.cluster, third.switches) == (7, ("extensions",))
        await until(lambda: running.service.metrics.clients == 0)

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


def test_an_identifier_in_the_options_picks_it_where_the_name_is_no_clusters(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        for parameters in (
            {"options": f"-c amzn-cluster-id={SECOND.identifier} -c search_path=x"},
            {"options": f"--amzn-cluster-id={SECOND.identifier}"},
            {"amzn-cluster-id": SECOND.identifier},
        ):
            (await welcome(running, "localhost", token(SECOND), parameters=parameters)).close()
        (await welcome(running, "", token(SECOND), parameters=parameters)).close()
        (await welcome(running, OTHER, token(SECOND), parameters=parameters)).close()
        assert {start.cluster for start in running.processor.starts} == {7}

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


def test_without_sni_the_tokens_host_picks_it_only_where_that_is_allowed(tmp_path: Path) -> None:
    async def strict(running: Running) -> None:
        assert await refused(running, "", token(SECOND)) == (
            "08006",
            "unable to accept connection, sni was not received",
            None,
        )
        assert await refused(running, "localhost", token(SECOND)) == ("08006", DENIED, None)

    async def lenient(running: Running) -> None:
        for host in ("", "localhost"):
            (await welcome(running, host, token(SECOND))).close()
        assert {start.cluster for start in running.processor.starts} == {7}
        # A name under .on.aws is an endpoint's: this one's cluster is gone, and no other answers for it.
        gone = cluster("c")
        code, message, _ = await refused(running, gone.hosts[0], token(SECOND))
        assert (code, message) == ("08006", DENIED)

    with_frontend(tmp_path, strict, settings=TOKENS, clusters=known_clusters())
    with_frontend(tmp_path, lenient, settings=OPTIONAL, clusters=known_clusters())


def test_plaintext_where_allowed_goes_by_the_tokens_host(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        raw.send(client.startup("admin", "postgres"))
        await raw.until(client.Authentication)
        raw.send(client.password(token(SECOND)))
        await raw.until(client.ReadyForQuery)
        raw.close()
        assert running.processor.starts[0].cluster == 7

    with_frontend(tmp_path, body, settings={**OPTIONAL, "tls": "optional"}, clusters=known_clusters())


def test_private_link_names_pick_the_cluster_of_their_first_label(tmp_path: Path) -> None:
    clusters = known_clusters()
    assert clusters.by_host(f"{SECOND.identifier}.dsql-fnh4.{REGION}.on.aws.") is SECOND
    assert clusters.by_host(f"{'d' * 26}.dsql-fnh4.{REGION}.on.aws") is None


ATTACKS: list[tuple[str, dict[str, Any], str, str]] = [
    ("expired", {"password": token(seconds_ago=901)}, "admin", "Signature expired: "),
    ("not yet", {"password": token(seconds_ago=-3600)}, "admin", "Signature not yet current: "),
    ("for ever", {"password": token(expires=604_801)}, "admin", "must be less than a week (in seconds)"),
    ("altered", {"password": token().replace("Expires=900", "Expires=90000")}, "admin", "signature we calculated"),
    ("another host", {"password": token(SECOND)}, "admin", "made for another host"),
    ("wrong region", {"password": token(region="eu-west-9")}, "admin", "Credential should be scoped to a valid region"),
    ("no admin", {"password": token(action="DbConnect")}, "admin", "Wrong user to action mapping. user: admin"),
    ("only admin", {"password": token()}, "bob", "Wrong user to action mapping. user: bob, action: DbConnectAdmin"),
    ("unknown key", {"password": token(by=key("AKIAGONE"))}, "admin", "The security token included in the request is"),
    ("no token", {"password": "hunter2"}, "admin", "must be an authentication token"),
    ("empty host", {"password": "/?Action=DbConnectAdmin"}, "admin", "must be an authentication token"),
]


@pytest.mark.parametrize(("password", "user", "hint"), [each[1:] for each in ATTACKS], ids=[a[0] for a in ATTACKS])
def test_a_bad_token_is_refused_and_says_why(tmp_path: Path, password: dict[str, str], user: str, hint: str) -> None:
    async def body(running: Running) -> None:
        code, message, said = await refused(running, HOST, **password, user=user)
        assert (code, message) == ("08006", DENIED)
        assert said is not None
        assert hint in said
        assert running.processor.starts == []
        assert running.service.metrics.authentications_failed == 1
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


@pytest.mark.parametrize(
    ("host", "parameters"),
    [
        (HOST, {"options": f"-c amzn-cluster-id={SECOND.identifier}"}),
        (HOST, {"amzn-cluster-id": SECOND.identifier}),
        (HOST, {"Amzn-Cluster-Id": SECOND.identifier}),
        (
            "localhost",
            {"options": f"-c amzn-cluster-id={FIRST.identifier} -c amzn-cluster-id={SECOND.identifier}"},
        ),
        ("localhost", {"options": "-c amzn-cluster-id=nowhere"}),
        ("localhost", {"options": "-c amzn-cluster-id=0"}),
        ("localhost", {"options": f"-c amzn-cluster-id={FIRST.identifier}\\0"}),
    ],
)
@pytest.mark.parametrize("record", [FIRST, SECOND])
def test_nobody_names_two_clusters_or_one_that_is_not_there(
    tmp_path: Path, host: str, parameters: dict[str, str], record: Any
) -> None:
    async def body(running: Running) -> None:
        code, message, _ = await refused(running, host, token(record), parameters=parameters)
        assert (code, message) == ("08006", DENIED)
        assert running.processor.starts == []

    with_frontend(tmp_path, body, settings=OPTIONAL, clusters=known_clusters())


def test_keys_and_clusters_that_control_takes_away_are_of_no_use_any_more(tmp_path: Path) -> None:
    clusters = known_clusters()

    async def body(running: Running) -> None:
        stays = await welcome(running, HOST, token())
        ends = await welcome(running, OTHER, token(SECOND))
        clusters.take_clusters(Clusters(False, (changed(SECOND, status="DELETING"),)))
        assert await ends.refusal() == ("FATAL", "57P01", "terminating connection due to administrator command")
        assert await refused(running, OTHER, token(SECOND)) == (
            "08006",
            DENIED,
            "The cluster cannot be connected to: it is DELETING.",
        )
        clusters.take_clusters(Clusters(False, (), (SECOND.identifier,)))
        assert await refused(running, OTHER, token(SECOND)) == ("08006", DENIED, None)
        clusters.take_keys(Keys(False, (), (KEY.access_key_id,)))
        code, _, hint = await refused(running, HOST, token())
        assert code == "08006"
        assert hint is not None
        stays.send(client.query("select 1"))  # tokens are looked at when connecting, and never again
        assert await stays.until(client.DataRow) == client.DataRow((b"1",))
        stays.close()

    with_frontend(tmp_path, body, settings=TOKENS, clusters=clusters)


@pytest.mark.parametrize(
    ("status", "allowed"), [("IDLE", True), ("INACTIVE", True), ("UPDATING", True), ("CREATING", False)]
)
def test_only_some_states_can_be_connected_to(tmp_path: Path, status: str, allowed: bool) -> None:
    async def body(running: Running) -> None:
        if allowed:
            (await welcome(running, HOST, token())).close()
        else:
            assert (await refused(running, HOST, token()))[0] == "08006"

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters((changed(FIRST, status=status),)))


def test_roles_bring_the_arn_that_must_be_mapped_to_them(tmp_path: Path) -> None:
    assumed = f"arn:aws:sts::{ACCOUNT}:assumed-role/lambda/session"
    temporary = changed(key("ASIALAMBDA"), principal=assumed, mapped=LAMBDA, session_token="of a session")

    async def body(running: Running) -> None:
        (await welcome(running, HOST, token(by=temporary, action="DbConnect"), user="app")).close()
        (start,) = running.processor.starts
        assert (start.user, start.mapped) == ("app", LAMBDA)
        without = changed(temporary, session_token="")
        assert (await refused(running, HOST, token(by=without, action="DbConnect"), user="app"))[0] == "08006"

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters(keys=(temporary,)))


def test_policies_decide(tmp_path: Path) -> None:
    named = key("AKIAONE", (policy("Allow", "dsql:DbConnectAdmin", FIRST.arn),))
    denied = key("AKIANO", (ALLOW_ALL, policy("Deny", "dsql:DbConnect*", SECOND.arn)))

    async def body(running: Running) -> None:
        (await welcome(running, HOST, token(by=named))).close()
        assert await refused(running, OTHER, token(SECOND, named)) == (
            "08006",
            DENIED,
            f"User: {named.principal} is not authorized to perform: dsql:DbConnectAdmin on resource: {SECOND.arn} "
            "because no identity-based policy allows the dsql:DbConnectAdmin action",
        )
        (await welcome(running, HOST, token(by=denied))).close()
        hint = (await refused(running, OTHER, token(SECOND, denied)))[2]
        assert hint is not None
        assert "explicit deny" in hint

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters(keys=(named, denied)))


def test_another_database_does_not_exist(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        assert await refused(running, HOST, token(), database="other") == (
            "3D000",
            'database "other" does not exist',
            None,
        )
        # Who has no token is not even told that.
        assert (await refused(running, HOST, token(SECOND), database="other"))[0] == "08006"

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


def test_what_comes_with_the_token_is_the_sessions_first_bytes(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.direct(running, server_hostname=HOST)
        raw.send(client.startup("admin", "postgres"))
        await raw.until(client.Authentication)
        raw.send(client.password(token()) + client.query("select 1"))
        assert await raw.until(client.DataRow) == client.DataRow((b"1",))
        raw.close()

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())
    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters(), remote=1)
