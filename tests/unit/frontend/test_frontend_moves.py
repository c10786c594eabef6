"""Sessions whose processor goes away, over real sockets: what the client sees, and where the session is afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from frontend_fake_processor import FakeProcessor, FakeSession, note_bytes
from frontend_running import Raw, Running, until, with_frontend

from tausql.pgwire import backend, client
from tausql.pgwire.client import BackendMessage, CommandComplete, DataRow, ErrorResponse, ReadyForQuery
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.errors import conflict
from tausql.protocol.processor import (
    CarriedStatement,
    Changed,
    CommitNote,
    Immovable,
    Load,
    Lost,
    MoveAway,
    Resolved,
)


def sessions(running: Running) -> list[FakeSession]:
    """Those that are on a processor now."""
    found = [session for each in running.processors for session in each.sessions.values()]
    return [session for session in found if not session.is_lost]


def the_session(running: Running) -> FakeSession:
    (session,) = sessions(running)
    return session


async def say(running: Running, session: FakeSession, *notes: object) -> None:
    """Notes, and then something that shows that they have been read."""
    for note in notes:
        session.out.write(note_bytes(note))  # type: ignore[arg-type]


async def answered(raw: Raw, *, count: int = 1) -> list[BackendMessage]:
    messages: list[BackendMessage] = []
    while sum(isinstance(message, ReadyForQuery) for message in messages) < count:
        message = await raw.next()
        assert message is not None, messages
        messages.append(message)
    return messages


async def select(raw: Raw) -> None:
    raw.send(client.query("select 1"))
    assert any(isinstance(message, DataRow) for message in await answered(raw))


def codes(messages: list[BackendMessage]) -> list[str]:
    return [message.fields["C"] for message in messages if isinstance(message, ErrorResponse)]


def test_idle_session_goes_on_with_another_processor_unnoticed(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        session = the_session(running)
        statement = CarriedStatement("s", "select 2", [23])
        await say(running, session, Changed({"TimeZone": "UTC"}, statements=[statement]), Changed({"role": "none"}))
        await say(running, session, Changed(closed=["nothing"]))
        await select(raw)
        session.processor.die()
        await until(lambda: len(sessions(running)) == 1 and the_session(running) is not session)
        await select(raw)
        moved = the_session(running)
        restore = moved.processor.starts[-1].restore
        assert restore is not None
        assert (restore.process_id, restore.secret) == (session.process_id, session.secret)
        assert restore.settings == {"TimeZone": "UTC", "role": "none"}
        assert restore.statements == [statement]
        assert restore.lost == Lost.nothing
        metrics = running.service.metrics
        assert metrics.moves == {"lost": 1, "drained": 0}
        assert metrics.move_seconds.count == 1
        assert metrics.relays == 1
        assert raw.waiting == []
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_session_of_a_draining_processor_moves_once_its_transaction_has_ended(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        session = the_session(running)
        raw.send(client.query("begin"))
        await answered(raw)
        session.out.write(note_bytes(MoveAway()))
        await select(raw)
        assert the_session(running) is session
        raw.send(client.query("commit"))
        assert CommandComplete("COMMIT") in await answered(raw)
        await until(lambda: session.is_lost)
        await select(raw)
        assert running.service.metrics.moves == {"lost": 0, "drained": 1}
        assert running.service.metrics.processors_lost == 0
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_session_that_finds_no_other_processor_stays_where_it_is_while_that_is_there(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        session = the_session(running)
        session.out.write(note_bytes(MoveAway()))
        await until(lambda: running.service.metrics.moves_failed["drained"] == 1)
        await select(raw)
        assert the_session(running) is session
        raw.close()

    with_frontend(tmp_path, body, remote=1, settings={"move_seconds": 0.05})


def test_open_transaction_is_lost(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        raw.send(client.query("begin"))
        await answered(raw)
        the_session(running).processor.die()
        raw.send(client.query("select 1"))
        messages = await answered(raw)
        assert codes(messages) == ["40001"]
        assert messages[-1] == ReadyForQuery("E")
        raw.send(client.query("rollback"))
        await answered(raw)
        await select(raw)
        assert running.service.metrics.transactions_lost == 1
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_request_without_any_answer_is_run_again(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        raw.send(client.query("sleep"))
        await until(lambda: the_session(running).sleeping)
        first = the_session(running)
        first.processor.die()
        await until(lambda: len(sessions(running)) == 1 and the_session(running) is not first)
        await until(lambda: the_session(running).sleeping)
        the_session(running).cancel()
        assert codes(await answered(raw)) == ["57014"]
        raw.close()

    with_frontend(tmp_path, body, remote=2)


@pytest.mark.parametrize("extended", [False, True])
def test_half_answered_request_fails_between_two_messages(tmp_path: Path, extended: bool) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        pipeline = client.parse("sleep") + client.bind([]) + client.execute() + client.SYNC
        raw.send(pipeline if extended else client.query("sleep"))
        await until(lambda: the_session(running).sleeping)
        the_session(running).out.write(backend.data_row([b"one"]))
        await raw.until(DataRow)
        the_session(running).processor.die()
        messages = await answered(raw)
        assert codes(messages) == ["40001"]
        assert messages[-1] == ReadyForQuery("I")
        await select(raw)
        raw.close()

    with_frontend(tmp_path, body, remote=2)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [(Resolved(True), []), (Resolved(False, backend.error_response(conflict()), "40001"), ["40001"])],
)
def test_outcome_of_a_commit_under_way_is_found_out(tmp_path: Path, verdict: Resolved, told: list[str]) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        for processor in running.processors:
            processor.verdict = verdict
        raw.send(client.query("sleep"))
        await until(lambda: the_session(running).sleeping)
        question = Outcome(b"t" * 16, 1, 2, 0, (1, 1))
        row, tag = backend.data_row([b"one"]), backend.command_complete("INSERT 0 1")
        first = the_session(running)
        first.out.write(note_bytes(CommitNote(1, question, row, tag, True, {"TimeZone": "Asia/Tokyo"})))
        await asyncio.sleep(0.02)
        first.processor.die()
        messages = await answered(raw)
        assert DataRow((b"one",)) in messages
        assert (CommandComplete("INSERT 0 1") in messages) == (not told)
        assert codes(messages) == told
        restore = the_session(running).processor.starts[-1].restore
        assert restore is not None
        assert restore.question == question
        assert restore.if_committed == {"TimeZone": "Asia/Tokyo"}
        assert running.service.metrics.outcomes == {"committed": not told, "aborted": bool(told), "unknown": 0}
        first = the_session(running)
        first.processor.die()
        await until(lambda: len(sessions(running)) == 1 and the_session(running) is not first)
        restore = the_session(running).processor.starts[-1].restore
        assert restore is not None
        assert restore.settings == ({} if told else {"TimeZone": "Asia/Tokyo"})
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_without_another_processor_the_client_waits_for_one(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        for processor in running.processors:
            processor.tell(Load(0, 100, True))
        the_session(running).processor.die()
        raw.send(client.query("select 1"))
        await asyncio.sleep(0.1)
        assert sessions(running) == []
        running.processor.tell(Load(0, 100, False))
        assert any(isinstance(message, DataRow) for message in await answered(raw))
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_without_another_processor_for_long_the_client_is_told(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        running.processor.tell(Load(0, 100, True))
        running.processor.die()
        assert (await raw.refusal())[1] == "57P01"
        assert running.service.metrics.moves_failed == {"lost": 1, "drained": 0}

    with_frontend(tmp_path, body, remote=1, settings={"move_seconds": 0.1})


def test_session_that_holds_too_much_ends_with_its_processor(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        the_session(running).out.write(note_bytes(Immovable("it is too big")))
        await until(lambda: running.service.metrics.sessions_immovable == 1)
        the_session(running).processor.die()
        assert (await raw.refusal())[1] == "57P01"

    with_frontend(tmp_path, body, remote=2)


def test_cancel_finds_a_session_that_has_moved(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        first = the_session(running)
        first.processor.die()
        await until(lambda: len(sessions(running)) == 1 and the_session(running) is not first)
        raw.send(client.query("sleep"))
        await until(lambda: the_session(running).sleeping)
        asking = await Raw.direct(running)
        asking.send(client.cancel_request(first.process_id, first.secret))
        assert codes(await answered(raw)) == ["57014"]
        asking.close()
        raw.close()

    with_frontend(tmp_path, body, remote=3)


def test_client_hears_of_what_is_different_at_its_new_processor(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        first = the_session(running)
        for processor in running.processors:
            if processor is not first.processor:
                processor.parameters["server_version"] = "16.99"
        first.processor.die()
        raw.send(client.query("select 1"))
        told = [message for message in await answered(raw) if isinstance(message, client.ParameterStatus)]
        assert told == [client.ParameterStatus("server_version", "16.99")]
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_processor_that_leaves_the_fleet_has_its_sessions_taken_away(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        first = the_session(running)
        fleet = running.directory.fleet
        left = tuple(member for member in fleet.processor if member.index != first.processor.index)
        running.directory.replace(msgspec.structs.replace(fleet, processor=left))
        await until(lambda: len(sessions(running)) == 1 and the_session(running) is not first)
        await select(raw)
        assert [one["name"] for one in running.service.status()["processors"]] == [member.name for member in left]
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_processor_that_joins_gets_sessions(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        fleet = running.directory.fleet
        late = fleet.processor[1]
        running.directory.replace(msgspec.structs.replace(fleet, processor=fleet.processor[:1]))
        running.processor.tell(Load(0, 100, True))
        assert running.service.ready() == (False, "no processor has room")
        running.directory.replace(msgspec.structs.replace(fleet, processor=(fleet.processor[0], late)))
        await until(lambda: running.service.ready()[0])
        raw = await Raw.session(running)
        assert the_session(running).processor is running.processors[1]
        raw.close()

    with_frontend(tmp_path, body, remote=2)


def test_many_sessions_move_at_once(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raws = [await Raw.session(running) for _ in range(12)]
        dying: FakeProcessor = running.processors[0]
        count = sum(session.processor is dying for session in sessions(running))
        dying.tell(Load(0, 100, True))
        dying.die()
        for raw in raws:
            await select(raw)
        assert running.service.metrics.moves["lost"] == count > 2
        for raw in raws:
            raw.close()

    with_frontend(tmp_path, body, remote=3, settings={"moves_max": 2})
