"""The operations on clusters, asked by boto3 as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.control.control_api_running import Running, api_of, ask

from tausql.control.clusters.life import Quotas
from tausql.control.clusters.records import Cluster
from tausql.runtime.loop import AsyncHost, run_on_host

MEMBERS = {"identifier", "arn", "status", "creationTime"}


def error_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int, dict[str, Any]]:
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer


async def reached(running: Running, identifier: str, status: str) -> None:
    there = asyncio.Event()

    def look(_: object) -> None:
        cluster = running.tenancy.image.of(Cluster).get(identifier)
        if cluster is not None and cluster.status == status:
            there.set()

    running.tenancy.state.watch(look)
    look(None)
    async with asyncio.timeout(5):
        await there.wait()


def test_a_cluster_is_made_found_changed_and_deleted(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            dsql = running.client()
            made = await ask(dsql.create_cluster, tags={"Name": "orders"}, clientToken="once")
            identifier = made["identifier"]
            assert made["status"] == "CREATING"
            assert made["deletionProtectionEnabled"] is True
            assert made["endpoint"] == f"{identifier}.dsql.us-east-1.on.aws"
            assert made["arn"] == f"arn:aws:dsql:us-east-1:000000000000:cluster/{identifier}"
            again = await ask(dsql.create_cluster, tags={"Name": "orders"}, clientToken="once")
            assert again["identifier"] == identifier
            with pytest.raises(ClientError) as caught:
                await ask(dsql.create_cluster, tags={"Name": "other"}, clientToken="once")
            assert error_of(caught)[:2] == ("ConflictException", 409)

            await ask(dsql.get_waiter("cluster_active").wait, identifier=identifier, WaiterConfig={"Delay": 0})
            found = await ask(dsql.get_cluster, identifier=identifier)
            assert found["status"] == "ACTIVE"
            assert found["tags"] == {"Name": "orders"}
            assert found["encryptionDetails"] == {
                "encryptionType": "AWS_OWNED_KMS_KEY",
                "encryptionStatus": "ENABLED",
            }

            with pytest.raises(ClientError) as caught:
                await ask(dsql.delete_cluster, identifier=identifier)
            code, status, answer = error_of(caught)
            assert (code, status, answer["reason"]) == ("ValidationException", 400, "deletionProtectionEnabled")
            changed = await ask(dsql.update_cluster, identifier=identifier, deletionProtectionEnabled=False)
            assert changed["status"] == "UPDATING"
            gone = await ask(dsql.delete_cluster, identifier=identifier)
            assert gone["status"] == "DELETING"
            await ask(dsql.get_waiter("cluster_not_exists").wait, identifier=identifier, WaiterConfig={"Delay": 1})
            assert running.removals.numbers == [2]
            with pytest.raises(ClientError) as caught:
                await ask(dsql.get_cluster, identifier=identifier)
            code, status, answer = error_of(caught)
            assert (code, status) == ("ResourceNotFoundException", 404)
            assert (answer["resourceId"], answer["resourceType"]) == (identifier, "cluster")

    run_on_host(body)


def test_the_first_cluster_is_there_and_lists_are_in_order_of_creation(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            dsql = running.client()
            made = [(await ask(dsql.create_cluster))["identifier"] for _ in range(5)]
            pages = await ask(
                lambda: list(dsql.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2}))
            )
            listed = [one["identifier"] for page in pages for one in page["clusters"]]
            assert listed[1:] == made
            assert len(pages) == 3
            assert running.tenancy.image.of(Cluster)[listed[0]].number == 1
            for nobodys in ("?", "nonsense"):
                with pytest.raises(ClientError) as caught:
                    await ask(dsql.list_clusters, nextToken=nobodys)
                assert error_of(caught)[2]["fieldList"][0]["name"] == "nextToken", nobodys

    run_on_host(body)


def test_the_quota_counts_and_a_deleted_cluster_makes_room(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path, quotas=Quotas(clusters=2)) as running:
            dsql = running.client()
            made = await ask(dsql.create_cluster, deletionProtectionEnabled=False)
            with pytest.raises(ClientError) as caught:
                await ask(dsql.create_cluster)
            code, status, answer = error_of(caught)
            assert (code, status) == ("ServiceQuotaExceededException", 402)
            assert answer["Error"]["Message"] == "You have reached the cluster limit."
            assert {"resourceId", "resourceType", "serviceCode", "quotaCode"} <= answer.keys()
            await ask(dsql.delete_cluster, identifier=made["identifier"])
            assert (await ask(dsql.create_cluster))["identifier"]

    run_on_host(body)


def test_two_regions_are_linked_in_two_steps_and_deleted_in_two(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            east, west = running.client(), running.client(region="us-east-2")
            witness = {"witnessRegion": "us-west-2"}
            one = await ask(east.create_cluster, multiRegionProperties=witness, deletionProtectionEnabled=False)
            assert one["status"] == "PENDING_SETUP"
            two = await ask(
                west.create_cluster,
                multiRegionProperties={**witness, "clusters": [one["arn"]]},
                deletionProtectionEnabled=False,
            )
            assert two["status"] == "PENDING_SETUP"
            linked = await ask(
                east.update_cluster,
                identifier=one["identifier"],
                multiRegionProperties={**witness, "clusters": [two["arn"]]},
            )
            assert linked["status"] == "UPDATING"
            for made in (one, two):
                await reached(running, made["identifier"], "ACTIVE")
            clusters = running.tenancy.image.of(Cluster)
            assert clusters[one["identifier"]].number == clusters[two["identifier"]].number
            told = (await ask(east.get_cluster, identifier=one["identifier"]))["multiRegionProperties"]
            assert told == {**witness, "clusters": [one["arn"], two["arn"]]}

            first = await ask(east.delete_cluster, identifier=one["identifier"])
            assert first["status"] == "PENDING_DELETE"
            assert running.removals.numbers == []
            second = await ask(west.delete_cluster, identifier=two["identifier"])
            assert second["status"] == "DELETING"
            for client, made in ((east, one), (west, two)):
                waiter = client.get_waiter("cluster_not_exists")
                await ask(waiter.wait, identifier=made["identifier"], WaiterConfig={"Delay": 1})
            assert running.removals.numbers == [2]

    run_on_host(body)


def test_links_that_cannot_be_are_refused(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            dsql = running.client()
            for properties in (
                {"clusters": []},
                {"witnessRegion": "us-east-1"},
                {"witnessRegion": "eu-west-1"},
                {"witnessRegion": "us-west-2", "clusters": ["arn:aws:dsql:us-east-2:000000000000:cluster/" + "a" * 26]},
            ):
                with pytest.raises(ClientError) as caught:
                    await ask(dsql.create_cluster, multiRegionProperties=properties)
                assert error_of(caught)[0] == "ValidationException", properties

    run_on_host(body)


def test_policies_have_versions_and_lock_nobody_out(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            dsql = running.client()
            identifier = (await ask(dsql.create_cluster))["identifier"]
            arn = f"arn:aws:dsql:us-east-1:000000000000:cluster/{identifier}"
            user = "arn:aws:iam::000000000000:user/reader"
            good = (
                f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{user}"}}, '
                f'"Action": "dsql:DbConnect", "Resource": "{arn}"}}]}}'
            )
            with pytest.raises(ClientError) as caught:
                await ask(dsql.get_cluster_policy, identifier=identifier)
            assert error_of(caught)[:2] == ("ResourceNotFoundException", 404)
            version = (await ask(dsql.put_cluster_policy, identifier=identifier, policy=good))["policyVersion"]
            assert (await ask(dsql.get_cluster_policy, identifier=identifier))["policy"] == good
            with pytest.raises(ClientError) as caught:
                await ask(dsql.put_cluster_policy, identifier=identifier, policy=good, expectedPolicyVersion="no")
            assert error_of(caught)[:2] == ("ConflictException", 409)
            public = good.replace(user, "*")
            denying = good.replace('"Allow"', '"Deny"').replace(user, "*").replace("dsql:DbConnect", "dsql:*")
            for bad in (public, denying, "{"):
                with pytest.raises(ClientError) as caught:
                    await ask(dsql.put_cluster_policy, identifier=identifier, policy=bad)
                assert error_of(caught)[:2] == ("ValidationException", 400), bad
            gone = await ask(dsql.delete_cluster_policy, identifier=identifier, expectedPolicyVersion=version)
            assert gone["policyVersion"] == version

    run_on_host(body)


def test_tags_service_names_and_streams(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            dsql = running.client()
            made = await ask(dsql.create_cluster)
            identifier, arn = made["identifier"], made["arn"]
            await reached(running, identifier, "ACTIVE")
            await ask(dsql.tag_resource, resourceArn=arn, tags={"a": "1", "b": "2"})
            await ask(dsql.untag_resource, resourceArn=arn, tagKeys=["a"])
            assert (await ask(dsql.list_tags_for_resource, resourceArn=arn))["tags"] == {"b": "2"}
            named = await ask(dsql.get_vpc_endpoint_service_name, identifier=identifier)
            assert named["serviceName"].startswith("com.amazonaws.us-east-1.dsql-")
            assert named["clusterVpcEndpoint"].startswith(identifier)

            target = {
                "kinesis": {
                    "streamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/changes",
                    "roleArn": "arn:aws:iam::000000000000:role/deliverer",
                }
            }
            wanted = {"targetDefinition": target, "ordering": "UNORDERED", "format": "JSON"}
            streams = [
                await ask(dsql.create_stream, clusterIdentifier=identifier, **wanted, tags={"n": str(number)})
                for number in range(5)
            ]
            with pytest.raises(ClientError) as caught:
                await ask(dsql.create_stream, clusterIdentifier=identifier, **wanted)
            assert error_of(caught)[2]["Error"]["Message"] == "You have reached the stream limit."
            pages = await ask(
                lambda: list(
                    dsql.get_paginator("list_streams").paginate(
                        clusterIdentifier=identifier, PaginationConfig={"PageSize": 2}
                    )
                )
            )
            assert [one["streamIdentifier"] for page in pages for one in page["streams"]] == [
                one["streamIdentifier"] for one in streams
            ]
            name = {"clusterIdentifier": identifier, "streamIdentifier": streams[0]["streamIdentifier"]}
            found = await ask(dsql.get_stream, **name)
            assert (found["status"], found["targetDefinition"], found["tags"]) == ("CREATING", target, {"n": "0"})
            await ask(dsql.tag_resource, resourceArn=found["arn"], tags={"m": "1"})
            assert (await ask(dsql.list_tags_for_resource, resourceArn=found["arn"]))["tags"] == {"n": "0", "m": "1"}
            assert (await ask(dsql.delete_stream, **name))["status"] == "DELETING"
            await ask(dsql.get_waiter("stream_not_exists").wait, **name)

    run_on_host(body)
