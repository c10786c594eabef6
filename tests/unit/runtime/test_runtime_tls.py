"""Contexts follow their files: renewed certificates, a replaced authority, and files that cannot be used."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
from pathlib import Path

import pytest

from tausql.runtime.issuing import Issued, issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Tls

NOW = datetime.datetime.now(datetime.UTC)


def put(folder: Path, trusted: list[Issued], leaf: Issued) -> None:
    """As Kubernetes does it: a new folder, and the link to it turned."""
    fresh = folder / f"..{len(list(folder.iterdir()))}"
    fresh.mkdir()
    (fresh / "ca.crt").write_bytes(b"".join(one.pem() for one in trusted))
    (fresh / "tls.crt").write_bytes(leaf.pem())
    (fresh / "tls.key").write_bytes(leaf.key_pem())
    link = folder / "..next"
    link.symlink_to(fresh.name)
    link.rename(folder / "..data")
    for name in ("ca.crt", "tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def authority() -> Issued:
    return issue_authority("a fleet", NOW, 100)


def leaf_of(signer: Issued, days: int = 10) -> Issued:
    return issue(signer, "member", ["member"], NOW, days, client=True)


async def serial_seen(address: str, client: ssl.SSLContext) -> int:
    """The serial number that the server shows; it says so itself after it has seen ours. Raises OSError."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=client)
    try:
        if await reader.read(2) != b"hi":  # in TLS 1.3 a client learns that it was refused only now
            raise ConnectionError("refused")
        return int(writer.get_extra_info("peercert")["serialNumber"], 16)
    finally:
        writer.close()


class Door:
    """A server that shows what there is when it is opened; it is opened anew for every look."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._open: list[asyncio.StreamWriter] = []
        self._servers: list[asyncio.Server] = []

    async def address(self) -> str:
        def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hi")
            self._open.append(writer)

        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=self._tls.server())
        self._servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        for writer in self._open:
            writer.close()
        for server in self._servers:
            server.close()


def test_new_connections_get_the_renewed_certificate(tmp_path: Path) -> None:
    ours = authority()
    first, second = leaf_of(ours), leaf_of(ours, 20)
    put(tmp_path, [ours], first)

    async def body(host: AsyncHost) -> None:
        tls = Tls(host, tmp_path)
        door = Door(tls)
        assert await serial_seen(await door.address(), tls.client()) == first.certificate.serial_number
        put(tmp_path, [ours], second)
        tls.look()
        assert await serial_seen(await door.address(), tls.client()) == second.certificate.serial_number
        assert tls.expires == second.certificate.not_valid_after_utc.timestamp()
        assert (tls.reloads, tls.reload_failures) == (1, 0)
        door.close()

    run_on_host(body)


def test_an_authority_is_replaced_in_three_steps_without_a_refused_member(tmp_path: Path) -> None:
    old, new = authority(), authority()
    steps = [([old], old), ([old, new], old), ([old, new], new), ([new], new)]
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        put(folder, *_step(steps[0]))

    async def body(host: AsyncHost) -> None:
        one, two = (Tls(host, folder) for folder in folders)
        doors = [Door(one), Door(two)]
        for step in steps[1:]:
            for folder, tls in zip(folders, (one, two), strict=True):  # never both at once
                put(folder, *_step(step))
                tls.look()
                for client, door in ((one, doors[1]), (two, doors[0])):
                    await serial_seen(await door.address(), client.client())
        outsider = tmp_path / "outsider"
        outsider.mkdir()
        put(outsider, [old, new], leaf_of(old))
        for door in doors:
            with pytest.raises(OSError, match=r"refused|unknown ca"):
                await serial_seen(await door.address(), Tls(host, outsider).client())
        for door in doors:
            door.close()

    run_on_host(body)


def _step(step: tuple[list[Issued], Issued]) -> tuple[list[Issued], Issued]:
    return step[0], leaf_of(step[1])


def test_a_member_of_another_fleet_is_refused_by_either_side(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        signer = authority()
        put(tmp_path / name, [signer], leaf_of(signer))

    async def body(host: AsyncHost) -> None:
        ours, theirs = Tls(host, tmp_path / "ours"), Tls(host, tmp_path / "theirs")
        door = Door(ours)
        with pytest.raises(ssl.SSLError):
            await serial_seen(await door.address(), theirs.client())
        nameless = ssl.create_default_context(cafile=str(tmp_path / "ours" / "ca.crt"))
        nameless.check_hostname = False
        with pytest.raises(OSError, match=r"refused|certificate required"):
            await serial_seen(await door.address(), nameless)
        door.close()

    run_on_host(body)


BROKEN = {
    "no certificate": lambda folder, ours: (folder / "..data" / "tls.crt").write_bytes(b"nonsense"),
    "no key": lambda folder, ours: (folder / "..data" / "tls.key").unlink(),
    "another key": lambda folder, ours: (folder / "..data" / "tls.key").write_bytes(leaf_of(ours).key_pem()),
    "another authority": lambda folder, ours: (folder / "..data" / "ca.crt").write_bytes(authority().pem()),
    "expired": lambda folder, ours: put(folder, [ours], issue(ours, "m", ["m"], NOW - _DAYS, 10, client=True)),
    "for servers only": lambda folder, ours: put(folder, [ours], issue(ours, "m", ["m"], NOW, 10)),
}
_DAYS = datetime.timedelta(days=20)


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_used_is_not_taken_over(tmp_path: Path, what: str) -> None:
    ours = authority()
    first = leaf_of(ours)
    put(tmp_path, [ours], first)

    async def body(host: AsyncHost) -> None:
        tls = Tls(host, tmp_path)
        door = Door(tls)
        BROKEN[what](tmp_path, ours)
        tls.look()
        assert (tls.reloads, tls.reload_failures) == (0, 1)
        assert await serial_seen(await door.address(), tls.client()) == first.certificate.serial_number
        with pytest.raises(OSError, match=r".+"):
            Tls(host, tmp_path)
        put(tmp_path, [ours], leaf_of(ours))
        tls.look()
        assert tls.reloads == 1
        door.close()

    run_on_host(body)


def test_files_are_looked_at_by_itself_and_unchanged_ones_left_alone(tmp_path: Path) -> None:
    ours = authority()
    put(tmp_path, [ours], leaf_of(ours))

    async def body(host: AsyncHost) -> None:
        tls = Tls(host, tmp_path, seconds_between=0.002)
        changed = asyncio.Event()
        tls.follow(changed.set)
        before = tls.client()
        tls.start()
        tls.look()
        assert tls.client() is before
        put(tmp_path, [ours], leaf_of(ours))
        async with asyncio.timeout(5):
            await changed.wait()
        assert tls.client() is not before
        tls.stop()
        names = {family.name for family in tls.collect()}
        assert names == {"tausql_tls_certificate_expiry_timestamp_seconds", "tausql_tls_reloads"} | {
            "tausql_tls_reload_failures"
        }

    run_on_host(body)


def test_a_locked_key_is_refused_and_nobody_asked(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    ours = authority()
    leaf = leaf_of(ours)
    put(tmp_path, [ours], leaf)
    locked = leaf.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    os.truncate(tmp_path / "tls.key", 0)
    (tmp_path / "tls.key").write_bytes(locked)

    async def body(host: AsyncHost) -> None:
        with pytest.raises(OSError, match=r".+"):
            Tls(host, tmp_path)

    run_on_host(body)
