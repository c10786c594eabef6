"""Users, roles, keys and temporary credentials, asked by boto3's `iam`, `sts` and `cloudtrail` as they are."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from tests.unit.control.control_api_running import KEY_ID, Running, api_of, ask

from tausql.control.identities.web_identity import Published, Reviewed
from tausql.runtime.loop import AsyncHost, run_on_host

READER = "arn:aws:iam::000000000000:user/reader"
ISSUER = "kubernetes.default.svc"


def policy(*actions: str, effect: str = "Allow", **more: Any) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trusting(principal: dict[str, str], action: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def credentials(answer: dict[str, Any]) -> dict[str, str]:
    found = answer["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


async def key_of(running: Running, user: str, *actions: str) -> dict[str, str]:
    iam = running.client("iam")
    await ask(iam.create_user, UserName=user)
    if actions:
        await ask(iam.put_user_policy, UserName=user, PolicyName="p", PolicyDocument=policy(*actions))
    made = (await ask(iam.create_access_key, UserName=user))["AccessKey"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}


async def refused(call: Any, code: str, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        await ask(call, **arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    return str(caught.value.response["Error"]["Message"])


def test_a_user_may_do_what_his_policies_say_until_his_key_goes(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            iam = running.client("iam")
            key = await key_of(running, "reader", "dsql:ListClusters")
            reader = running.client(**key)
            first = (await ask(reader.list_clusters))["clusters"][0]
            said = await refused(reader.get_cluster, "AccessDeniedException", identifier=first["identifier"])
            assert said == (
                f"User: {READER} is not authorized to perform: dsql:GetCluster on resource: {first['arn']} "
                "because no identity-based policy allows the dsql:GetCluster action"
            )
            await refused(reader.get_cluster, "AccessDeniedException", identifier="a" * 26)
            await refused(running.client("iam", **key).create_user, "AccessDenied", UserName="other")
            caller = await ask(running.client("sts", **key).get_caller_identity)
            assert (caller["Arn"], caller["Account"]) == (READER, "000000000000")

            identifier = key["aws_access_key_id"]
            listed = (await ask(iam.list_access_keys, UserName="reader"))["AccessKeyMetadata"]
            assert [(one["AccessKeyId"], one["Status"]) for one in listed] == [(identifier, "Active")]
            await ask(iam.update_access_key, UserName="reader", AccessKeyId=identifier, Status="Inactive")
            await refused(reader.list_clusters, "UnrecognizedClientException")
            await ask(iam.update_access_key, UserName="reader", AccessKeyId=identifier, Status="Active")
            await ask(reader.list_clusters)
            await refused(iam.delete_user, "DeleteConflict", UserName="reader")
            await ask(iam.delete_access_key, UserName="reader", AccessKeyId=identifier)
            await refused(reader.list_clusters, "UnrecognizedClientException")
            await ask(iam.delete_user_policy, UserName="reader", PolicyName="p")
            await ask(iam.delete_user, UserName="reader")
            await refused(iam.get_user, "NoSuchEntity", UserName="reader")

    run_on_host(body)


def test_secrets_are_kept_sealed(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            key = await key_of(running, "reader")
            session = credentials(await ask(running.client("sts", **key).get_session_token))
            kept = "".join(put.body or "" for put in (await running.tenancy.state._store.load()).records)
            for secret in (key["aws_secret_access_key"], *list(session.values())[1:]):
                assert secret not in kept

    run_on_host(body)


def test_the_first_key_makes_others_for_its_user_and_what_is_wrong_is_said(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            iam = running.client("iam")
            made = (await ask(iam.create_access_key))["AccessKey"]
            assert made["UserName"] == "admin"
            second = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
            await ask(running.client(**second).list_clusters)
            await ask(iam.create_access_key, UserName="admin")
            await refused(iam.create_access_key, "LimitExceeded", UserName="admin")
            await refused(iam.create_user, "EntityAlreadyExists", UserName="Admin")
            await refused(iam.create_user, "ValidationError", UserName="no/slash")
            bad = {"UserName": "admin", "PolicyName": "x", "PolicyDocument": "{"}
            await refused(iam.put_user_policy, "MalformedPolicyDocument", **bad)
            await refused(iam.create_role, "MalformedPolicyDocument", RoleName="r", AssumeRolePolicyDocument="{}")
            await refused(iam.get_group, "InvalidAction", GroupName="g")
            names = [user["UserName"] for user in (await ask(iam.list_users))["Users"]]
            assert names == ["admin"]

    run_on_host(body)


def test_a_role_is_acted_for_by_whom_it_trusts_within_a_session_policy_and_for_a_time(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            iam = running.client("iam")
            reader = await key_of(running, "reader")
            other = await key_of(running, "other", "sts:*", "dsql:*")
            trust = trusting({"AWS": READER}, "sts:AssumeRole")
            role = (await ask(iam.create_role, RoleName="app", AssumeRolePolicyDocument=trust))["Role"]
            assert role["AssumeRolePolicyDocument"] == json.loads(trust)
            await ask(iam.put_role_policy, RoleName="app", PolicyName="p", PolicyDocument=policy("dsql:*"))
            wanted = {"RoleArn": role["Arn"], "RoleSessionName": "job"}
            await refused(running.client("sts", **other).assume_role, "AccessDenied", **wanted)
            assumed = await ask(running.client("sts", **reader).assume_role, **wanted, DurationSeconds=900)
            acting = credentials(assumed)
            caller = await ask(running.client("sts", **acting).get_caller_identity)
            assert caller["Arn"] == "arn:aws:sts::000000000000:assumed-role/app/job"
            record = running.tenancy.keyring.records[acting["aws_access_key_id"]]
            assert record.mapped == role["Arn"]
            await ask(running.client(**acting).create_cluster)
            narrowed = await ask(
                running.client("sts", **reader).assume_role, **wanted, Policy=policy("dsql:ListClusters")
            )
            await ask(running.client(**credentials(narrowed)).list_clusters)
            await refused(running.client(**credentials(narrowed)).create_cluster, "AccessDeniedException")
            without = {**acting, "aws_session_token": "x"}
            await refused(running.client(**without).list_clusters, "UnrecognizedClientException")

            await ask(iam.delete_role_policy, RoleName="app", PolicyName="p")
            await refused(running.client(**acting).list_clusters, "AccessDeniedException")
            await ask(iam.delete_role, RoleName="app")
            await refused(running.client(**acting).list_clusters, "UnrecognizedClientException")

    run_on_host(body)


class Pods:
    """The API server's word on tokens."""

    def review_token(self, token: str, audience: str) -> Reviewed:
        assert audience == "sts.amazonaws.com"
        return Reviewed(token.endswith(".good"), "system:serviceaccount:shop:orders", (audience,))


def test_a_pod_gets_a_role_by_its_service_account_and_another_does_not(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path, reviews=Pods()) as running:
            iam = running.client("iam")
            provider = {"Federated": f"arn:aws:iam::000000000000:oidc-provider/{ISSUER}"}
            for name, subject in (("orders", "orders"), ("billing", "billing")):
                condition = {"StringEquals": {f"{ISSUER}:sub": f"system:serviceaccount:shop:{subject}"}}
                trust = trusting(provider, "sts:AssumeRoleWithWebIdentity", Condition=condition)
                await ask(iam.create_role, RoleName=name, AssumeRolePolicyDocument=trust)
            await ask(iam.put_role_policy, RoleName="orders", PolicyName="p", PolicyDocument=policy("dsql:*"))
            claims = base64.urlsafe_b64encode(json.dumps({"iss": f"https://{ISSUER}"}).encode()).decode().rstrip("=")
            sts = running.client("sts")
            wanted = {"RoleSessionName": "pod", "WebIdentityToken": f"head.{claims}.good"}
            arn = "arn:aws:iam::000000000000:role/"
            assumed = await ask(sts.assume_role_with_web_identity, RoleArn=f"{arn}orders", **wanted)
            await ask(running.client(**credentials(assumed)).list_clusters)
            for role, token, code in (
                ("billing", f"head.{claims}.good", "AccessDenied"),
                ("none", f"head.{claims}.good", "AccessDenied"),
                ("orders", f"head.{claims}.bad", "InvalidIdentityToken"),
                ("orders", "no-token", "InvalidIdentityToken"),
            ):
                more = {**wanted, "RoleArn": arn + role, "WebIdentityToken": token}
                await refused(sts.assume_role_with_web_identity, code, **more)

    run_on_host(body)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_tokens_of_an_issuer_whose_keys_are_in_a_file_count_until_they_end(tmp_path: Path):
    private = ec.generate_private_key(ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    point = {name: encoded(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", **point}]}))

    def token(seconds: float, **more: Any) -> str:
        claims = {
            "iss": "https://issuer",
            "aud": "sts.amazonaws.com",
            "sub": "job",
            "exp": time.time() + seconds,
            **more,
        }
        head = {"alg": "ES256", "kid": "1"}
        signed = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path, published=Published("https://issuer", file)) as running:
            provider = {"Federated": "arn:aws:iam::000000000000:oidc-provider/issuer"}
            condition = {"StringEquals": {"issuer:sub": "job", "issuer:aud": "sts.amazonaws.com"}}
            trust = trusting(provider, "sts:AssumeRoleWithWebIdentity", Condition=condition)
            await ask(running.client("iam").create_role, RoleName="app", AssumeRolePolicyDocument=trust)
            sts = running.client("sts")
            wanted = {"RoleArn": "arn:aws:iam::000000000000:role/app", "RoleSessionName": "job"}
            assume = sts.assume_role_with_web_identity
            found = await ask(assume, **wanted, WebIdentityToken=token(60))
            assert found["SubjectFromWebIdentityToken"] == "job"
            await refused(assume, "AccessDenied", **wanted, WebIdentityToken=token(60, sub="other"))
            await refused(assume, "ExpiredToken", **wanted, WebIdentityToken=token(-60))
            forged = token(60)[:-4] + "AAAA"
            await refused(assume, "InvalidIdentityToken", **wanted, WebIdentityToken=forged)
            await refused(assume, "InvalidIdentityToken", **wanted, WebIdentityToken=token(60, iss="https://else"))

    run_on_host(body)


def test_who_did_what_is_in_the_log(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            dsql = running.client()
            made = await ask(dsql.create_cluster)
            await refused(dsql.delete_cluster, "ValidationException", identifier=made["identifier"])
            await running.tenancy.events._write()
            trail = running.client("cloudtrail")
            wanted = [{"AttributeKey": "ResourceName", "AttributeValue": made["arn"]}]
            found = (await ask(trail.lookup_events, LookupAttributes=wanted))["Events"]
            assert [event["EventName"] for event in found] == ["DeleteCluster", "CreateCluster"]
            assert {event["AccessKeyId"] for event in found} == {KEY_ID}
            told = json.loads(found[0]["CloudTrailEvent"])
            assert told["errorCode"] == "ValidationException"
            assert told["userIdentity"]["arn"] == "arn:aws:iam::000000000000:user/admin"
            pages = await ask(trail.lookup_events, MaxResults=1)
            more = await ask(trail.lookup_events, MaxResults=1, NextToken=pages["NextToken"])
            assert pages["Events"][0]["EventId"] != more["Events"][0]["EventId"]

    run_on_host(body)
