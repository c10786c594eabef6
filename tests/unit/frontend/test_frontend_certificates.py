"""A certificate replaced while clients are connected, given or our own."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import asyncpg
import pytest
from frontend_running import Running, with_frontend

from tausql.runtime.issuing import Issued, issue, issue_authority

NOW = datetime.datetime.now(datetime.UTC)


def put(folder: Path, authority: Issued, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    issued = issue(authority, "edge", names, NOW, 10)
    (folder / "ca.crt").write_bytes(authority.pem())
    (folder / "tls.crt").write_bytes(issued.pem())
    (folder / "tls.key").write_bytes(issued.key_pem())


async def connect(running: Running, context: ssl.SSLContext) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="localhost", port=running.port, user="admin", password=running.password, database="postgres", ssl=context
    )


def test_a_replaced_certificate_is_for_new_connections_and_open_ones_stay(tmp_path: Path) -> None:
    old, new, folder = issue_authority("old", NOW, 10), issue_authority("new", NOW, 10), tmp_path / "given"
    put(folder, old, ["localhost"])
    trusting = {one: ssl.create_default_context(cadata=one.pem().decode()) for one in (old, new)}

    async def body(running: Running) -> None:
        edge = running.service.edge
        assert edge is not None
        assert not running.service.certificates.exists()
        stays = await connect(running, trusting[old])
        put(folder, new, ["localhost"])
        edge.look()
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(running, trusting[old])
        late = await connect(running, trusting[new])
        assert [await one.fetchval("select 1") for one in (stays, late)] == [1, 1]
        assert (edge.reloads, edge.reload_failures) == (1, 0)
        assert running.service.status()["certificate_authority"] == str(folder / "ca.crt")
        for one in (stays, late):
            await one.close()

    with_frontend(tmp_path, body, settings={"tls_dir": str(folder)})


def test_a_certificate_that_cannot_be_used_is_left_alone(tmp_path: Path) -> None:
    authority, folder = issue_authority("old", NOW, 10), tmp_path / "given"
    put(folder, authority, ["localhost"])

    async def body(running: Running) -> None:
        edge = running.service.edge
        assert edge is not None
        before = edge.expires
        (folder / "tls.key").write_bytes(issue(authority, "other", [], NOW, 20).key_pem())
        edge.look()
        (folder / "tls.crt").write_bytes(b"nonsense")
        edge.look()
        assert (edge.reloads, edge.reload_failures, edge.expires) == (0, 2, before)
        opened = await connect(running, ssl.create_default_context(cadata=authority.pem().decode()))
        await opened.close()
        put(folder, authority, ["localhost", "db.example"])
        edge.look()
        assert edge.reloads == 1

    with_frontend(tmp_path, body, settings={"tls_dir": str(folder)})


def test_our_own_certificate_made_anew_by_another_frontend_is_taken_over(tmp_path: Path) -> None:
    from tausql.frontend.tls import ensure_certificates, host_names

    async def body(running: Running) -> None:
        edge = running.service.edge
        assert edge is not None
        ensure_certificates(running.service.certificates, host_names("local-1", ["db.example"]), NOW)
        edge.look()
        assert edge.reloads == 1
        dsn = running.tls()
        opened = await connect(running, dsn)
        await opened.close()
        families = {family.name for family in edge.collect()}
        assert "tausql_frontend_certificate_expiry_timestamp_seconds" in families

    with_frontend(tmp_path, body)
