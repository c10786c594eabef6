"""All 16 operations, waiters, paginators and both token calls of boto3, nothing but its own environment variables."""

from __future__ import annotations

import os
import time

import boto3
import psycopg
from botocore.exceptions import ClientError

client = boto3.client("dsql")
region = client.meta.region_name


def refused(call, **arguments) -> dict:
    try:
        call(**arguments)
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    raise AssertionError("it was not refused")


began = time.perf_counter()
made = client.create_cluster(deletionProtectionEnabled=True, tags={"team": "shop"}, clientToken="token-1")
assert time.perf_counter() - began < 5
assert (
    client.create_cluster(deletionProtectionEnabled=True, tags={"team": "shop"}, clientToken="token-1")["identifier"]
    == made["identifier"]
)
conflict = refused(client.create_cluster, deletionProtectionEnabled=False, clientToken="token-1")
assert conflict == {"code": "ConflictException", "status": 409}, conflict
identifier, arn = made["identifier"], made["arn"]
client.get_waiter("cluster_active").wait(identifier=identifier, WaiterConfig={"Delay": 1})
got = client.get_cluster(identifier=identifier)
assert got["status"] == "ACTIVE"
assert got["tags"] == {"team": "shop"}
assert got["deletionProtectionEnabled"]
assert got["endpoint"] == f"{identifier}.dsql.{region}.on.aws"
pages = client.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1})
listed = [one["identifier"] for page in pages for one in page["clusters"]]
assert identifier in listed
assert len(listed) == len(set(listed)) >= 2
assert client.get_vpc_endpoint_service_name(identifier=identifier)["serviceName"].startswith("com.amazonaws.")

client.tag_resource(resourceArn=arn, tags={"stage": "test"})
assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "shop", "stage": "test"}
client.untag_resource(resourceArn=arn, tagKeys=["team"])
assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"stage": "test"}

allow = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},'
    '"Action":"dsql:*","Resource":"*"}]}'
)
version = client.put_cluster_policy(identifier=identifier, policy=allow)["policyVersion"]
assert client.get_cluster_policy(identifier=identifier)["policyVersion"] == version
stale = refused(client.put_cluster_policy, identifier=identifier, policy=allow, expectedPolicyVersion="0")
assert stale["code"] == "ConflictException"
public = allow.replace('{"AWS":"arn:aws:iam::000000000000:root"}', '"*"')
assert refused(client.put_cluster_policy, identifier=identifier, policy=public)["code"] == "ValidationException"
client.delete_cluster_policy(identifier=identifier)
assert refused(client.get_cluster_policy, identifier=identifier)["code"] == "ResourceNotFoundException"

stream = client.create_stream(
    clusterIdentifier=identifier,
    targetDefinition={
        "kinesis": {
            "streamArn": f"arn:aws:kinesis:{region}:000000000000:stream/changes",
            "roleArn": "arn:aws:iam::000000000000:role/changes",
        }
    },
    ordering="UNORDERED",
    format="JSON",
)["streamIdentifier"]
client.get_waiter("stream_active").wait(
    clusterIdentifier=identifier, streamIdentifier=stream, WaiterConfig={"Delay": 1}
)
assert [one["streamIdentifier"] for one in client.list_streams(clusterIdentifier=identifier)["streams"]] == [stream]
assert client.get_stream(clusterIdentifier=identifier, streamIdentifier=stream)["status"] == "ACTIVE"
client.delete_stream(clusterIdentifier=identifier, streamIdentifier=stream)
client.get_waiter("stream_not_exists").wait(
    clusterIdentifier=identifier, streamIdentifier=stream, WaiterConfig={"Delay": 1}
)


def connect(user: str, token: str) -> psycopg.Connection:
    return psycopg.connect(
        host=got["endpoint"],
        user=user,
        password=token,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=os.environ["PGSSLROOTCERT"],
        autocommit=True,
    )


for name in [name for name in os.environ if name.startswith("PG") and name not in ("PGSSLROOTCERT", "PGHOSTADDR")]:
    del os.environ[name]
admin = connect("admin", client.generate_db_connect_admin_auth_token(got["endpoint"], region))
assert admin.execute("SELECT current_user").fetchone() == ("admin",)
admin.execute("CREATE ROLE app WITH LOGIN")
me = boto3.client("sts").get_caller_identity()["Arn"]
plain = client.generate_db_connect_auth_token(got["endpoint"], region)
for user, token in [("app", plain), ("admin", plain)]:
    try:
        connect(user, token)
    except psycopg.OperationalError as error:
        assert "unable to accept connection, access denied" in str(error), error
    else:
        raise AssertionError(f"{user} was let in")
admin.execute(f"AWS IAM GRANT app TO '{me}'")
assert connect("app", plain).execute("SELECT current_user").fetchone() == ("app",)
admin.close()

protected = refused(client.delete_cluster, identifier=identifier)
assert protected == {"code": "ValidationException", "status": 400}, protected
client.update_cluster(identifier=identifier, deletionProtectionEnabled=False)
client.get_waiter("cluster_active").wait(identifier=identifier, WaiterConfig={"Delay": 1})
assert client.delete_cluster(identifier=identifier)["status"] in ("DELETING", "DELETED")
client.get_waiter("cluster_not_exists").wait(identifier=identifier, WaiterConfig={"Delay": 1})
gone = refused(client.get_cluster, identifier=identifier)
assert gone == {"code": "ResourceNotFoundException", "status": 404}, gone
print("16 operations, waiters, paginators, tokens: fine")
