"""Batches into a new cluster, by whichever processor answers: once each, in order, however often they are sent."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from tausql.changefeed.backup_restoring import RestoreFailed
from tausql.protocol.adjudicator import PostImage
from tausql.protocol.backup import LoadClient, Loaded, LoadPairs
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fleet import Neighbour
from tausql.runtime.host import Host

TRIES: Final = 40  # of one batch, half a second apart: longer than any process takes to come back
PAUSE_SECONDS: Final = 0.5
LOAD_SECONDS: Final = 30.0


class Processors(Protocol):
    @property
    def all(self) -> tuple[Neighbour[LoadClient], ...]: ...


class FleetLoader:
    """`backup_restoring.Loader` of one attempt."""

    def __init__(self, host: Host, processors: Processors, cluster: int, attempt: str) -> None:
        self._host = host
        self._processors = processors
        self._cluster = cluster
        self._attempt = attempt
        self._batch = 0
        self._turn = 0

    async def begin(self) -> bool:
        return not (await self._send(LoadPairs(self._cluster, self._attempt, 0))).finished

    async def put(self, pairs: tuple[PostImage, ...], last: bool = False) -> None:
        self._batch += 1
        await self._send(LoadPairs(self._cluster, self._attempt, self._batch, pairs, last))

    async def _send(self, request: LoadPairs) -> Loaded:
        why = "no processor is there"
        for _ in range(TRIES):
            processors = self._processors.all
            if processors:
                told = await self._ask(processors[self._turn % len(processors)].client, request)
                if isinstance(told, Loaded):
                    return told
                if isinstance(told, Failure) and told.cause is Cause.refused:
                    raise RestoreFailed(told.message)
                why = str(told)
                self._turn += 1
            await asyncio.sleep(PAUSE_SECONDS * (0.5 + self._host.random.random()))
        raise RestoreFailed(f"no processor takes the rows: {why}")

    async def _ask(self, client: LoadClient, request: LoadPairs) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settle(told: Any) -> None:
            if not answer.done():
                answer.set_result(told)

        client.load(request, LOAD_SECONDS, settle)
        return await answer
