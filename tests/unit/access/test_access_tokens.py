"""Who gets in with a token, and what the others are told."""

from __future__ import annotations

import datetime
import json

import boto3
import msgspec
import pytest
from access_keys import (
    ACCOUNT,
    ARN,
    CLUSTER,
    HOST,
    KEYS,
    NOW,
    PERMANENT,
    REGION,
    ROLE,
    SESSION,
    TEMPORARY,
    credentials,
)
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tausql.access.connect_tokens import (
    Admitted,
    ConnectTokens,
    Refused,
    access_denied,
    connect_token,
    host_in,
)
from tausql.access.decisions import Policies
from tausql.access.sigv4 import parameters_of, presigned_query

CLIENT = "192.0.2.7:50000"
MISMATCH = "The request signature we calculated does not match"
replaced = msgspec.structs.replace


def token(key=PERMANENT, action="DbConnectAdmin", host=HOST, region=REGION, at=NOW, expires=900):
    return connect_token(credentials(key), host, region, action, at, expires).encode()


def checked(given, user="admin", cluster=CLUSTER, now=NOW, keys=KEYS):
    return ConnectTokens(keys.get, REGION).check(given, cluster, user, CLIENT, now)


def hint(*args, **kwargs):
    answer = checked(*args, **kwargs)
    assert isinstance(answer, Refused)
    return answer.hint


@pytest.fixture
def dsql(monkeypatch):
    """boto3's client, at our time."""
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment.replace(tzinfo=None))

    def client(key):
        return boto3.client(
            "dsql",
            region_name=REGION,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret,
            aws_session_token=key.session_token or None,
        )

    return client


@pytest.mark.parametrize("key", [PERMANENT, TEMPORARY])
def test_tokens_of_boto3_are_ours_and_let_in(dsql, key):
    for user, make, action in (
        ("admin", dsql(key).generate_db_connect_admin_auth_token, "DbConnectAdmin"),
        ("reader", dsql(key).generate_db_connect_auth_token, "DbConnect"),
    ):
        made = make(HOST, REGION, 60).encode()
        assert checked(made, user) == Admitted(key, action)
        assert sorted(parameters_of(made.decode())) == sorted(parameters_of(token(key, action, expires=60).decode()))


def test_names_in_capitals_and_a_host_without_slash_are_the_same_token():
    assert isinstance(checked(token(host=HOST.upper())), Admitted)
    assert isinstance(checked(token().replace(b"/?", b"?", 1)), Admitted)


def test_a_mapped_role_is_what_the_key_says():
    answer = checked(token(TEMPORARY, "DbConnect"), "app")
    assert isinstance(answer, Admitted)
    assert (answer.key.principal, answer.key.mapped) == (SESSION, ROLE)


def test_an_expired_token_says_when_it_was_over():
    assert isinstance(checked(token(), now=NOW + 899), Admitted)
    assert hint(token(), now=NOW + 900) == (
        "Signature expired: 20261123T221500Z is now earlier than 20261123T221500Z (20261123T221500Z - 0 min.)"
    )


def test_a_token_of_tomorrow_is_refused_and_a_clock_five_minutes_ahead_is_not():
    assert isinstance(checked(token(at=NOW + 300)), Admitted)
    assert hint(token(at=NOW + 301)).startswith("Signature not yet current: 20261123T220501Z is still later than")


def test_a_token_lasts_a_week_at_most():
    assert isinstance(checked(token(expires=604_800), now=NOW + 604_799), Admitted)
    assert hint(token(expires=604_801)) == "X-Amz-Expires must be less than a week (in seconds)"
    assert hint(token(expires=-1)) == "X-Amz-Expires should be a number"


@pytest.mark.parametrize(
    ("user", "action"), [("admin", "DbConnect"), ("reader", "DbConnectAdmin"), ("Admin", "DbConnectAdmin")]
)
def test_the_action_has_to_be_the_users(user, action):
    assert hint(token(action=action), user) == f"Wrong user to action mapping. user: {user}, action: {action}"


def test_a_token_for_another_cluster_is_refused():
    other = HOST.replace("abc", "xyz")
    assert hint(token(host=other)) == "The token was made for another host."
    # Moving it here breaks the signature.
    assert hint(token(host=other).replace(other.encode(), HOST.encode())).startswith(MISMATCH)


def test_a_token_of_another_region_or_service_is_refused():
    assert hint(token(region="eu-west-1")) == "Credential should be scoped to a valid region."
    query = presigned_query(
        credentials(PERMANENT), "GET", HOST, "/", [("Action", "DbConnectAdmin")], "rds-db", REGION, NOW, 900
    )
    assert hint(f"{HOST}/?{query}".encode()) == "Credential should be scoped to correct service: 'dsql'."


def test_unknown_keys_are_invalid():
    answer = checked(token(), keys={})
    assert answer == Refused(
        "The security token included in the request is invalid.", "DbConnectAdmin", PERMANENT.access_key_id
    )
    rotated = replaced(PERMANENT, secret="another")
    assert hint(token(), keys={PERMANENT.access_key_id: rotated}).startswith(MISMATCH)


def test_temporary_keys_need_their_session_token_and_expire():
    naked = replaced(TEMPORARY, session_token="")
    assert hint(token(naked)) == "The security token included in the request is invalid."
    assert hint(token(TEMPORARY, expires=7200), now=NOW + 3600) == (
        "The security token included in the request has expired"
    )


def test_a_policy_that_does_not_allow_it_is_named():
    reader = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dsql:DbConnect", "Resource": ARN}}
    )
    keys = {PERMANENT.access_key_id: replaced(PERMANENT, policies=(reader,))}
    assert isinstance(checked(token(action="DbConnect"), "reader", keys=keys), Admitted)
    answer = checked(token(), keys=keys)
    assert answer.hint == (
        f"User: {PERMANENT.principal} is not authorized to perform: dsql:DbConnectAdmin on resource: {ARN} "
        "because no identity-based policy allows the dsql:DbConnectAdmin action"
    )
    assert (answer.principal, answer.access_key_id) == (PERMANENT.principal, PERMANENT.access_key_id)


@pytest.mark.parametrize(
    ("condition", "admitted"),
    [
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "orders"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "other"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-23T22:00:01Z"}}, True),
    ],
)
def test_conditions_see_where_the_client_is_and_what_the_cluster_is(condition, admitted):
    policy = {"Effect": "Allow", "Action": "dsql:*", "Resource": "*", "Condition": condition}
    keys = {PERMANENT.access_key_id: replaced(PERMANENT, policies=(json.dumps({"Statement": policy}),))}
    cluster = replaced(CLUSTER, tags={"team": "orders"})
    assert isinstance(checked(token(), cluster=cluster, keys=keys), Admitted) is admitted


def test_the_clusters_own_policy_denies_and_allows():
    def policy(effect, principal):
        statement = {
            "Effect": effect,
            "Principal": {"AWS": principal},
            "Action": "dsql:DbConnectAdmin",
            "Resource": "*",
        }
        return replaced(CLUSTER, policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    assert hint(token(), cluster=policy("Deny", ACCOUNT)).endswith("with an explicit deny in a resource-based policy")
    powerless = {PERMANENT.access_key_id: replaced(PERMANENT, policies=())}
    assert isinstance(checked(token(), cluster=policy("Allow", PERMANENT.principal), keys=powerless), Admitted)
    assert isinstance(checked(token(), cluster=policy("Allow", ACCOUNT), keys=powerless), Refused)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"password",
        HOST.encode(),
        f"{HOST}/?".encode(),
        f"{HOST}/?Action=DbConnectAdmin".encode(),
        f"{HOST}/other?Action=DbConnectAdmin".encode(),
        f"{HOST}:5432/?Action=DbConnectAdmin".encode(),
        f"https://{HOST}/?Action=DbConnectAdmin".encode(),
        token().replace(b"Action=DbConnectAdmin", b"Action=Drop"),
        token() + b"&Action=DbConnectAdmin",
        token() + b"&X-Amz-Expires=604800",
        token().replace(b"&X-Amz-Expires=900", b""),
        token().replace(b"&X-Amz-Expires=900", b"&X-Amz-Expires="),
        token().replace(b"=host", b"=host%3Bother"),
        token().replace(b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256"),
        token().replace(b"aws4_request", b"aws5_request"),
        token() + b"&" + b"x" * 9000,
        token() + b"&a=b" * 100,
        b"\xff" * 100,
        "ä/?Action=DbConnectAdmin".encode(),
        b"\x00?\x00",
    ],
)
def test_garbage_is_refused(text):
    answer = checked(text)
    assert isinstance(answer, Refused)
    assert answer.hint
    assert PERMANENT.secret not in answer.hint


def test_refusals_are_dsqls():
    error = checked(b"password").error
    assert (error.severity, error.code.sqlstate) == ("FATAL", "08006")
    assert error.message == "unable to accept connection, access denied"
    assert error.hint.startswith("The password must be an authentication token")
    assert access_denied("x").hint == "x"


@given(st.data())
def test_a_token_altered_anywhere_lets_nobody_in(data):
    good = token(TEMPORARY)
    position = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(["put", "cut", "add"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    altered = {
        "put": good[:position] + byte + good[position + 1 :],
        "cut": good[:position],
        "add": good[:position] + byte + good[position:],
    }[kind]

    def meaning(text):  # %2f is %2F, and && is &
        host, _, query = text.decode("latin-1").partition("?")
        return host.lower().removesuffix("/"), sorted(parameters_of(query))

    assume(meaning(altered) != meaning(good))
    assert isinstance(checked(altered), Refused)


@given(st.binary(max_size=300))
@example(b"?")
@example(b"/?")
def test_any_bytes_are_answered(text):
    assert isinstance(checked(text), Refused)
    assert isinstance(checked(HOST.encode() + b"/?Action=DbConnectAdmin&" + text), Refused)
    host_in(text)


def test_the_host_of_a_token_is_read_without_proof():
    assert host_in(token()) == HOST
    assert host_in(token(host=HOST.upper())) == HOST
    for text in (b"", b"secret", b"a/b/?x=y", b"/?x=y"):
        assert host_in(text) is None


def test_documents_of_policies_are_read_once():
    policies = Policies()
    tokens = ConnectTokens(KEYS.get, REGION, policies)
    for _ in range(3):
        assert isinstance(tokens.check(token(), CLUSTER, "admin", CLIENT, NOW), Admitted)
    assert policies.kept == 1
