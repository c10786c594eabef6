"""The audit log: many at once, no more than there is room for, and old ones go."""

from __future__ import annotations

import asyncio

import pytest

from tausql.control.clusters import tending
from tausql.control.clusters.records import Token
from tausql.control.clusters.tokens import KEPT_SECONDS
from tausql.control.events.log import WAITING_MAX, EventLog
from tausql.control.events.shape import place_of
from tausql.control.identities.records import Session
from tausql.control.system.state import Image
from tausql.control.system.store import Event, MemoryStore, Put, Unavailable
from tausql.control.tenancy import FORMS

DAY = 86_400.0
NOW = 100 * DAY


def event(at: float, name: str = "a") -> Event:
    return Event(f"{place_of(at)}-{name}", "{}")


def test_old_ones_and_those_beyond_the_count_are_removed():
    async def body() -> None:
        store = MemoryStore()
        log = EventLog(store, 90.0, 3, lambda: NOW)
        log.add([event(day * DAY) for day in (1, 9, 11, 50, 98, 99)])
        await log._write()
        await log._tidy()
        assert sorted(store.log) == [event(day * DAY).id for day in (11, 50, 98, 99)]
        few = EventLog(store, 20.0, 100, lambda: NOW)
        await few._tidy()
        assert len(store.log) == 2

    asyncio.run(body())


def test_what_finds_no_room_is_counted_and_what_cannot_be_written_waits():
    async def body() -> None:
        store = MemoryStore()
        log = EventLog(store, 90.0, 10 * WAITING_MAX, lambda: NOW)
        stored: list[str] = []
        store.away = True
        log.add([event(NOW, str(number)) for number in range(WAITING_MAX - 1)], lambda: stored.append("first"))
        log.add([event(NOW, "x"), event(NOW, "y")], lambda: stored.append("second"))
        assert log.lost == 1
        with pytest.raises(Unavailable):
            await log._write()
        assert stored == []
        store.away = False
        await log._write()
        assert stored == ["first", "second"]
        assert log.written == len(store.log) == WAITING_MAX

    asyncio.run(body())


def test_tokens_of_yesterday_and_credentials_that_have_run_out_are_forgotten():
    image = Image(FORMS)
    for name, at in (("old", NOW - KEPT_SECONDS), ("new", NOW - KEPT_SECONDS + 1)):
        image.take(Put(f"token/{name}", f'{{"token": "{name}", "request": "", "answer": {{}}, "at": {at}}}'))
    for name, ends in (("over", NOW), ("good", NOW + 1)):
        body = f'"access_key_id": "{name}", "sealed": "", "principal": "", "user": "", "role": ""'
        image.take(Put(f"session/{name}", f'{{{body}, "expires_at": {ends}}}'))
    gone = tending.forget(image, NOW).removed
    assert {one.name for one in gone} == {"old", "over"}
    assert {type(one) for one in gone} == {Token, Session}
