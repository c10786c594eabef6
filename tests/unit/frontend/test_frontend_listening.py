from __future__ import annotations

import socket
from pathlib import Path

import pytest
from frontend_running import Raw, Running, frontend, with_frontend

from tausql.frontend.listener import listening_socket
from tausql.frontend.settings import FrontendSettings


def test_frontends_share_a_port_only_where_both_are_told_to(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        same = {"listen": running.service.address, "reuse_port": True}
        async with frontend(running.host, tmp_path, 0, same) as second:
            assert second.service.address == running.service.address
            assert second.password == running.password
            for _ in range(4):
                (await Raw.session(second)).close()
            assert len(running.processor.starts) + len(second.processor.starts) == 4
        with pytest.raises(OSError, match="in use"):
            listening_socket(FrontendSettings(listen=running.service.address))

    with_frontend(tmp_path, body, settings={"reuse_port": True})


def test_inherited_socket_is_used(tmp_path: Path) -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]

    async def body(running: Running) -> None:
        assert running.port == port
        (await Raw.session(running)).close()

    with_frontend(tmp_path, body, settings={"listen_fd": inherited.detach()})


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAUSQL_FRONTEND_LISTEN", "[::1]:0")
    monkeypatch.setenv("TAUSQL_FRONTEND_CERTIFICATE_NAMES", '["db.example"]')
    settings = FrontendSettings()
    assert settings.certificate_names == ("db.example",)
    listening = listening_socket(settings)
    assert listening.family is socket.AF_INET6
    listening.close()
