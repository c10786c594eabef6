"""Where backups are kept: nothing half written, nothing outside, and requests that S3's own rules accept."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from tausql.access.sigv4 import Credentials
from tausql.changefeed import backup_stores
from tausql.changefeed.backup_stores import NoSuchFile, StoreFailed, Stores

KEY = Credentials("AKIA" + "B" * 16, "s" * 40)
NOW = 1_700_000_000.0


class S3:
    """Objects by path; every request has to be signed as botocore signs it. `troubles`: statuses to answer first."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.troubles: list[int] = []
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        self.asked.append(f"{request.method} {path}")
        if self.troubles:
            return httpx.Response(self.troubles.pop(0), text="trouble")
        if request.headers["authorization"].rpartition("Signature=")[2] != self._signature(request):
            return httpx.Response(403, text="<Code>SignatureDoesNotMatch</Code>")
        if request.method == "PUT":
            self.objects[path] = request.content
            return httpx.Response(200)
        found = self.objects.get(path)
        return httpx.Response(404, text="NoSuchKey") if found is None else httpx.Response(200, content=found)

    def _signature(self, request: httpx.Request) -> str:
        signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: request.headers[name] for name in signed}
        same = AWSRequest(request.method, str(request.url), headers, request.content)
        same.context["timestamp"] = headers["x-amz-date"]
        auth = S3SigV4Auth(BotoCredentials(KEY.access_key_id, KEY.secret), "s3", "eu-west-1")
        return str(auth.signature(auth.string_to_sign(same, auth.canonical_request(same)), same))


def stores(s3: S3, key: Credentials | None = KEY, root: str = "") -> Stores:
    client = httpx.AsyncClient(transport=httpx.MockTransport(s3))
    return Stores(client, root, "http://s3.test:9000", "eu-west-1", key, lambda: NOW)


def test_objects_are_put_and_got_path_style_under_their_prefix():
    async def body() -> None:
        s3 = S3()
        store = stores(s3).at("s3://my-bucket/nightly/one")
        await store.put("attempt/pages-000000", b"content")
        assert s3.objects == {"/my-bucket/nightly/one/attempt/pages-000000": b"content"}
        assert await store.get("attempt/pages-000000") == b"content"
        with pytest.raises(NoSuchFile):
            await store.get("manifest.json")
        await stores(s3).at("s3://my-bucket").put("manifest.json", b"{}")
        assert "/my-bucket/manifest.json" in s3.objects

    asyncio.run(body())


def test_what_fails_for_a_moment_is_asked_again_and_a_refusal_is_not(monkeypatch):
    monkeypatch.setattr(backup_stores, "PAUSE_SECONDS", 0.0001)

    async def body() -> None:
        s3 = S3()
        s3.troubles = [503, 500, 429]
        await stores(s3).at("s3://bucket/p").put("a", b"1")
        assert s3.objects == {"/bucket/p/a": b"1"}
        wrong = stores(s3, Credentials(KEY.access_key_id, "other")).at("s3://bucket/p")
        s3.asked.clear()
        with pytest.raises(StoreFailed, match=r"403.*SignatureDoesNotMatch"):
            await wrong.put("b", b"1")
        assert len(s3.asked) == 1
        s3.troubles = [503] * 10
        with pytest.raises(StoreFailed, match="503"):
            await stores(s3).at("s3://bucket/p").get("a")

    asyncio.run(body())


@pytest.mark.parametrize(
    "location", ["s3://", "s3:///p", "s3://B", "s3://b/../c", "s3://b/a b", "s3://b//p", "s3://b/é"]
)
def test_what_names_no_place_in_a_bucket_is_refused(location):
    with pytest.raises(StoreFailed, match="s3://bucket/prefix"):
        stores(S3()).at(location)


def test_a_folder_has_whole_files_only(tmp_path):
    async def body() -> None:
        store = stores(S3(), root=str(tmp_path)).at("nightly/one")
        await store.put("attempt/log-000000", b"old")
        await store.put("attempt/log-000000", b"new")
        assert await store.get("attempt/log-000000") == b"new"
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["log-000000"]
        with pytest.raises(NoSuchFile):
            await store.get("manifest.json")
        for name in ("../../other/secret", "/etc/passwd"):
            with pytest.raises(StoreFailed):
                await store.get(name)
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreFailed):
            await stores(S3(), root=str(tmp_path)).at("file/below").put("a", b"")

    asyncio.run(body())


def test_folders_outside_the_fleets_own_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    here = stores(S3(), root=str(tmp_path / "in"))
    for location in ("../out", "/etc", str(tmp_path), ".", "", "link/out", "a/../../out"):
        with pytest.raises(StoreFailed, match="below"):
            here.at(location)
    here.at(str(tmp_path / "in" / "named"))
    with pytest.raises(StoreFailed, match="no folder"):
        stores(S3()).at("name")
    with pytest.raises(StoreFailed, match="no S3 endpoint"):
        stores(S3(), None).at("s3://bucket")
