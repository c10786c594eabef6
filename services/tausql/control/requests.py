"""What people and tests may ask of the plan, over HTTP: bounded, checked, and never more than a wish.

What was asked for by hand lasts as long as the control that was asked: pins and cuts are not stored anywhere. What came
of it stays, because the next control begins with what is so.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tausql.control.planner import Planner, Refused
from tausql.control.planning import Planning
from tausql.control.wanted import STREAMS_MAX

KEY_BYTES_MAX = 8_192  # far above the longest key

Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-fA-F]{2})*$", max_length=2 * KEY_BYTES_MAX)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]

REFUSED: dict[int | str, dict[str, Any]] = {409: {"description": "It cannot be wanted now; `detail` says why."}}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StreamsWanted(_Body):
    count: int = Field(ge=1, le=STREAMS_MAX, description="Streams from now on.")


class RangeWanted(_Body):
    low: Hex = Field(default="", description="First key, hexadecimal.")
    high: Hex = Field(default="", description="The key after the last; empty: no end.")
    stream: int | None = Field(
        ge=0, lt=STREAMS_MAX, description="Who judges it, and goes on doing so; null: let the load decide again."
    )


class CutWanted(_Body):
    key: Hex = Field(min_length=2, description="Where the second of the two shards begins.")


class MoveWanted(_Body):
    key: Hex = Field(default="", description="A key of the shard.")
    source: Name = Field(description="The storage process that hands it over.")
    target: Name = Field(description="One of the same zone.")


class Planned(Protocol):
    @property
    def planning(self) -> Planning: ...


def routes(service: Planned) -> APIRouter:
    """`/v1/plan` and what may be asked."""
    router = APIRouter(tags=["plan"])

    @router.get("/v1/plan", summary="What is wanted, and why the last step was taken")
    async def plan() -> dict[str, Any]:
        return service.planning.status()

    @router.post("/v1/streams", summary="How many streams there should be", responses=REFUSED)
    async def streams(body: StreamsWanted) -> dict[str, Any]:
        return _ask(service, lambda planner, _: planner.ask_streams(body.count))

    @router.post("/v1/placement", summary="Pin a key range to a stream, or let it go", responses=REFUSED)
    async def placement(body: RangeWanted) -> dict[str, Any]:
        low, high = bytes.fromhex(body.low), bytes.fromhex(body.high)
        return _ask(service, lambda planner, now: planner.ask_placement(low, high, body.stream, now))

    @router.post("/v1/shards/split", summary="Cut a shard in two, for good", responses=REFUSED)
    async def split(body: CutWanted) -> dict[str, Any]:
        return _ask(service, lambda planner, now: planner.ask_split(bytes.fromhex(body.key), now))

    @router.post("/v1/shards/move", summary="Move a shard from one storage to another of its zone", responses=REFUSED)
    async def move(body: MoveWanted) -> dict[str, Any]:
        key = bytes.fromhex(body.key)
        return _ask(service, lambda planner, now: planner.ask_move(key, body.source, body.target, now))

    return router


class _Wish(Protocol):
    def __call__(self, planner: Planner, now: float, /) -> None: ...


def _ask(service: Planned, wish: _Wish) -> dict[str, Any]:
    try:
        service.planning.ask(wish)
    except Refused as refused:
        raise HTTPException(409, str(refused)) from refused
    return service.planning.status()
