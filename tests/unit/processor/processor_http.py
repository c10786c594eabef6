"""SQL over HTTP onto a processor in virtual time: the frontend's real routes and tokens, and no socket.

What a session is fed it works off at once: virtual time goes on until the fleet has nothing more to do for it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
from processor_fleet import TestFleet

from tausql.access.connect_tokens import action_for, connect_token
from tausql.access.sigv4 import Credentials
from tausql.frontend.app import create_app
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.service import FrontendService
from tausql.frontend.settings import FrontendSettings
from tausql.protocol.clusters import FIRST_CLUSTER, ClusterRecord, Clusters, KeyRecord, Keys
from tausql.protocol.fleet import Fleet
from tausql.protocol.processor import ClientOut, SessionIn, SessionStart
from tausql.runtime.fleet import Directory
from tausql.simulation.world import Process

_HOST = "f.dsql.local-1.on.aws"
_ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
_ARN = "arn:aws:dsql:local-1:000000000000:cluster/f"
# Nothing is mapped to roles: which of them there are is what is tried here.
_KEY = KeyRecord("AKIATEST", "secret", "arn:aws:iam::000000000000:user/test", "", (_ALLOW,))
_SETTLED_SECONDS = 1.0  # virtual


class _Session:
    """A `SessionIn` that has answered when `feed` returns."""

    def __init__(self, fleet: TestFleet, session: SessionIn) -> None:
        self._fleet = fleet
        self._session = session

    def feed(self, data: bytes) -> None:
        self._session.feed(data)
        self._fleet.run(_SETTLED_SECONDS)

    def lost(self) -> None:
        self._session.lost()


class _Host:
    """A `SessionHost`: the fleet's first processor."""

    def __init__(self, fleet: TestFleet) -> None:
        self._fleet = fleet

    def attach(self, start: SessionStart, out: ClientOut) -> SessionIn:
        session = self._fleet.processor.attach(start, out)
        self._fleet.run(_SETTLED_SECONDS)  # roles are looked up
        return _Session(self._fleet, session)

    def cancel(self, process_id: int, secret: int) -> bool:
        return self._fleet.processor.cancel(process_id, secret)


class Http:
    """Requests of one user. settings: the frontend's."""

    def __init__(self, fleet: TestFleet, user: str = "admin", **settings: Any) -> None:
        self.fleet = fleet
        self.user = user
        self._services: list[FrontendService] = []

        def build(process: Process) -> FrontendService:
            service = FrontendService(
                process,
                process.network,
                Directory(Fleet()),
                FrontendSettings(**settings),
                _Host(fleet),
                directory=Path("unused"),
                clusters=_known(),
            )
            self._services.append(service)
            return service

        fleet.world.add(f"frontend-{user}-{fleet.world.now}", "a", build).start()
        (service,) = self._services
        self._app = create_app(service)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return asyncio.run(self._post(path, body))

    async def _post(self, path: str, body: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        credentials = Credentials(_KEY.access_key_id, _KEY.secret)
        token = connect_token(credentials, _HOST, "local-1", action_for(self.user), time.time())
        async with httpx.AsyncClient(transport=transport, base_url="http://f", auth=(self.user, token)) as http:
            return await http.post(f"/v1/{path}", json=body)

    def begin(self) -> str:
        answer = self.post("transactions")
        assert answer.status_code == 200, answer.text
        transaction: str = answer.json()["transaction"]
        return transaction

    def end(self, transaction: str, how: str = "commit") -> httpx.Response:
        return self.post(f"transactions/{transaction}/{how}")

    def sql(self, sql: str, *params: Any, transaction: str | None = None) -> httpx.Response:
        return self.post("sql", {"sql": sql, "params": params, "transaction": transaction})

    def rows(self, sql: str, *params: Any, transaction: str | None = None) -> list[list[Any]]:
        answer = self.sql(sql, *params, transaction=transaction)
        assert answer.status_code == 200, answer.text
        rows: list[list[Any]] = answer.json()["rows"]
        return rows


def _known() -> ClusterDirectory:
    known = ClusterDirectory()
    known.take_clusters(Clusters(True, (ClusterRecord("f", FIRST_CLUSTER, "ACTIVE", _ARN, (_HOST,)),)))
    known.take_keys(Keys(True, (_KEY,)))
    return known


def refusal(answer: httpx.Response) -> tuple[str, str]:
    """(SQLSTATE, message), or ("ok", command)."""
    told = answer.json()
    if answer.status_code == 200:
        return "ok", told["command"]
    error = told["error"]
    return error["sqlstate"], error["message"]
