"""Where backups are kept: a folder, or a bucket of whatever speaks S3.

Folders are below one that the owner of the fleet names: whoever may start a backup must not write wherever the process
may. Buckets are asked with the fleet's own key, path-style, one object at a time; objects are small (see
`backup_format`), so no multipart uploads are needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from tausql.access.sigv4 import Credentials, signed_headers

TRIES: Final = 5
PAUSE_SECONDS: Final = 0.2
# Of characters that are the same encoded: S3 signs paths as they are, all other services encode them once more.
_S3: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]*)(?:/(?P<prefix>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*))?/?")


class StoreFailed(Exception):
    """It cannot be written or read; the message says why."""


class NoSuchFile(StoreFailed):
    """There is nothing of that name."""


class BackupStore(Protocol):
    """Names have parts separated by `/`. Raises StoreFailed."""

    async def put(self, name: str, body: bytes) -> None:
        """It is kept when this returns; whoever reads sees all of it or what was there before."""
        ...

    async def get(self, name: str) -> bytes:
        """Raises NoSuchFile."""
        ...


class Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, name: str, body: bytes) -> None:
        try:
            await asyncio.to_thread(self._put, self._place(name), body)
        except OSError as error:
            raise StoreFailed(f"{self._path / name}: {error.strerror or error}") from error

    async def get(self, name: str) -> bytes:
        place = self._place(name)
        try:
            return await asyncio.to_thread(place.read_bytes)
        except FileNotFoundError as error:
            raise NoSuchFile(f"{place} is not there") from error
        except OSError as error:
            raise StoreFailed(f"{place}: {error.strerror or error}") from error

    def _place(self, name: str) -> Path:
        """A manifest may name anything; files are within the folder."""
        place = (self._path / name).resolve()
        if not place.is_relative_to(self._path.resolve()):
            raise StoreFailed(f"{name!r} is no name of a file")
        return place

    def _put(self, place: Path, body: bytes) -> None:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
        try:
            with written.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            written.replace(place)
        finally:
            written.unlink(missing_ok=True)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Bucket:
    """`now`: seconds since 1970."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        endpoint: str,
        region: str,
        bucket: str,
        prefix: str,
        credentials: Credentials,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._root = f"/{bucket}/{prefix}/" if prefix else f"/{bucket}/"
        self._credentials = credentials
        self._now = now

    async def put(self, name: str, body: bytes) -> None:
        await self._request("PUT", name, body)

    async def get(self, name: str) -> bytes:
        return await self._request("GET", name, b"")

    async def _request(self, method: str, name: str, body: bytes) -> bytes:
        """What is put twice is the same twice, so whatever fails for a moment is asked again."""
        why = ""
        for turn in range(TRIES):
            if turn:
                await asyncio.sleep(PAUSE_SECONDS * 2**turn)
            try:
                answer = await self._ask(method, self._root + name, body)
            except httpx.HTTPError as error:
                why = str(error) or type(error).__name__
                continue
            if answer.is_success:
                return answer.content
            why = f"{answer.status_code}: {answer.text[:300]}"
            if answer.status_code == httpx.codes.NOT_FOUND and method == "GET":
                raise NoSuchFile(f"{self._root}{name} is not there")
            if answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
        raise StoreFailed(f"{method} {self._endpoint}{self._root}{name}: {why}")

    async def _ask(self, method: str, path: str, body: bytes) -> httpx.Response:
        headers = {"host": urlsplit(self._endpoint).netloc, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        headers |= signed_headers(
            self._credentials, method, path, "", headers.items(), body, "s3", self._region, self._now()
        )
        return await self._client.request(method, self._endpoint + path, headers=headers, content=body)


class Stores:
    """Where locations lead. root: the folder that folders are below; empty: there are none."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        root: str,
        endpoint: str,
        region: str,
        credentials: Credentials | None,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._root = Path(root).resolve() if root else None
        self._endpoint = endpoint
        self._region = region
        self._credentials = credentials
        self._now = now

    def at(self, location: str) -> BackupStore:
        """Raises StoreFailed for a place that is none."""
        if location.startswith("s3://"):
            parts = _S3.fullmatch(location)
            if parts is None or ".." in location:
                raise StoreFailed(f"{location} is not s3://bucket/prefix of letters, digits and -._")
            bucket, prefix = parts["bucket"], parts["prefix"] or ""
            if not self._endpoint or self._credentials is None:
                raise StoreFailed("this fleet has no S3 endpoint and key for backups")
            return Bucket(self._client, self._endpoint, self._region, bucket, prefix, self._credentials, self._now)
        if self._root is None:
            raise StoreFailed("this fleet has no folder for backups")
        path = (self._root / location).resolve()
        if path == self._root or not path.is_relative_to(self._root):
            raise StoreFailed(f"backups are kept in folders below {self._root}, and {location!r} is not below it")
        return Folder(path)
