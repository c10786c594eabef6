"""Whatever somebody with a good key sends, the API answers in its own words and goes on."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.control.control_api_running import KEY_ID, SECRET, tenancy_of

from tausql.access.sigv4 import Credentials, signed_headers
from tausql.control.api.app import create_api
from tausql.control.clusters import life
from tausql.control.clusters.records import Cluster
from tausql.control.identities.web_identity import WebIdentities
from tausql.runtime.loop import AsyncHost, run_on_host

KEY = Credentials(KEY_ID, SECRET)
ID = "a" * 26
KNOWN = {
    *"ValidationException AccessDeniedException ResourceNotFoundException ConflictException".split(),
    *"ServiceQuotaExceededException RequestEntityTooLargeException".split(),
}

parts = st.sampled_from(["cluster", "clusters", "stream", "tags", "policy", ID, "x", "..", "%00", "%ff", "arn%3A"])
nowhere = st.lists(parts, max_size=4).map(lambda found: "/" + "/".join(found))
FIRST = "{first}"  # stands for the identifier of the first cluster
ARN = f"arn%3Aaws%3Adsql%3Aus-east-1%3A000000000000%3Acluster%2F{FIRST}"
somewhere = st.sampled_from(
    [
        "/cluster",
        f"/cluster/{FIRST}",
        f"/cluster/{ID}",
        f"/cluster/{FIRST}/policy",
        f"/clusters/{FIRST}/vpc-endpoint-service-name",
        f"/stream/{FIRST}",
        f"/stream/{FIRST}/{ID}",
        f"/tags/{ARN}",
        f"/tags/{ARN}%2Fstream%2F{ID}",
    ]
)
paths = st.one_of(nowhere, somewhere, somewhere)
names = st.sampled_from(
    "tags clientToken policy deletionProtectionEnabled multiRegionProperties witnessRegion clusters kmsEncryptionKey "
    "targetDefinition kinesis streamArn roleArn ordering format expectedPolicyVersion".split()
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=50),
    st.dictionaries(names, values, max_size=5).map(lambda found: json.dumps(found).encode()),
)
queries = st.lists(
    st.tuples(
        st.sampled_from("max-results next-token client-token expected-policy-version tagKeys Action".split()),
        st.sampled_from(["", "1", "-1", "x", "%00", "%ff", "AAAA", "9" * 30]),
    ),
    max_size=3,
).map(lambda found: "&".join(f"{name}={value}" for name, value in found))
methods = st.sampled_from("GET POST DELETE PUT PATCH HEAD OPTIONS".split())


def test_every_request_gets_an_answer_of_the_model(tmp_path: Path):
    asked: list[tuple[str, str, str, bytes]] = []

    @settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(methods, paths, queries, bodies)
    def gather(method: str, path: str, query: str, body: bytes) -> None:
        asked.append((method, path, query, body))

    gather()

    async def body(host: AsyncHost) -> None:
        tenancy = tenancy_of(host, tmp_path)
        api = create_api(tenancy, WebIdentities(None, None, tenancy.now), 1e6, 1e6)
        tenancy.start()
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://control") as client:
                await tenancy.change(lambda image: life.first(image, tenancy.place(), (), 0.0))
                (first,) = tenancy.image.of(Cluster)
                for method, path, query, sent in asked:
                    await check(client, method, path.replace(FIRST, first), query, sent)
                answer = await send(client, "GET", "/cluster", "", b"")
                assert answer.status_code == 200
        finally:
            await tenancy.stop()
        assert all(len(cluster.identifier) == 26 for cluster in tenancy.image.of(Cluster).values())

    run_on_host(body)


async def check(client: httpx.AsyncClient, method: str, path: str, query: str, body: bytes) -> None:
    answer = await send(client, method, path, query, body)
    about = (method, path, query, body, answer.status_code, answer.text)
    if answer.status_code == 200:
        return
    if answer.url.path == "/" and method == "POST":
        assert answer.status_code < 500, about
        return
    assert answer.headers.get("x-amzn-errortype") in KNOWN, about
    if method != "HEAD":
        assert set(answer.json()) >= {"message"}, about
        if answer.headers["x-amzn-errortype"] == "ValidationException":
            assert answer.json()["reason"], about


async def send(client: httpx.AsyncClient, method: str, path: str, query: str, body: bytes) -> httpx.Response:
    """As it is: no client library may tidy the path up before it is signed."""
    headers = {"host": "control", "content-type": "application/json"}
    url = httpx.URL("http://control").copy_with(raw_path=(path + ("?" + query if query else "")).encode())
    signed_path = url.raw_path.partition(b"?")[0].decode()
    service = "iam" if signed_path == "/" and method == "POST" else "dsql"
    added: dict[str, Any] = signed_headers(
        KEY, method, signed_path, query, headers.items(), body, service, "us-east-1", time.time()
    )
    async with asyncio.timeout(10):
        return await client.request(method, url, content=body, headers={**headers, **added})
