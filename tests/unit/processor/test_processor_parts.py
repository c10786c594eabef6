"""The smaller parts: coroutines, placement, parameters, internal transactions, load."""

from __future__ import annotations

from typing import Any

import pytest
from processor_client import Client, add_table, items, rows
from processor_fleet import TestFleet

from tausql.processor.coroutines import Driver, Wait, start
from tausql.processor.internal import InternalTransaction
from tausql.processor.parameters import SessionParameters
from tausql.protocol.adjudicator import Reason
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import Load, ProcessorClient
from tausql.simulation.world import Process, World

# --- coroutines ------------------------------------------------------------------------------------------------------


def test_a_coroutine_runs_on_from_within_resolve() -> None:
    first: Wait[int] = Wait()
    second: Wait[int] = Wait()
    second.resolve(2)
    ended: list[Any] = []

    async def body() -> int:
        return await first + await second

    driver = start(body(), lambda value, error: ended.append((value, error)))
    assert driver.suspended
    first.resolve(1)
    assert ended == [(3, None)]
    first.resolve(5)
    assert len(ended) == 1


def test_an_interrupted_wait_is_forgotten() -> None:
    wait: Wait[int] = Wait()
    ended: list[Any] = []

    async def body() -> str:
        try:
            await wait
        except KeyError:
            return "interrupted"
        return "resolved"

    driver = Driver()
    driver.run(body(), lambda value, error: ended.append(value))
    assert driver.interrupt(KeyError())
    wait.resolve(1)
    assert ended == ["interrupted"]
    assert not driver.interrupt(KeyError())


def test_an_error_comes_out_where_it_is_awaited_and_at_the_end() -> None:
    wait: Wait[int] = Wait()
    ended: list[Any] = []

    async def body() -> None:
        await wait

    start(body(), lambda value, error: ended.append(error))
    wait.fail(KeyError("no"))
    assert isinstance(ended[0], KeyError)


# --- parameters ------------------------------------------------------------------------------------------------------


def test_startup_parameters_and_options() -> None:
    parameters = SessionParameters("admin")
    parameters.start(
        {
            "client_encoding": "'utf-8'",
            "options": r"-c search_path=a,b\ c --extra-float-digits=3 -cTimeZone=Asia/Tokyo",
            "_pq_.thing": "ignored",
        }
    )
    assert parameters.search_path == ("a", "b c")
    assert parameters.show("EXTRA_FLOAT_DIGITS") == ("extra_float_digits", "3")
    assert parameters.format.timezone == "Asia/Tokyo"
    parameters.set("timezone", "UTC", False)
    parameters.reset("timezone")
    assert parameters.show("timezone") == ("TimeZone", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("client_encoding", "LATIN1", Code.invalid_parameter_value),
        ("TimeZone", "Nowhere/Land", Code.invalid_parameter_value),
        ("extra_float_digits", "99", Code.invalid_parameter_value),
        ("extra_float_digits", "x", Code.invalid_parameter_value),
        ("enable_seqscan", "perhaps", Code.invalid_parameter_value),
        ("work_mem", "4MB", Code.feature_not_supported),
        ("role", "admin", Code.feature_not_supported),
    ],
)
def test_bad_settings(name: str, value: str, code: Code) -> None:
    parameters = SessionParameters("admin")
    before = dict(parameters.values)
    with pytest.raises(SqlError) as caught:
        parameters.set(name, value, False)
    assert caught.value.code is code
    assert parameters.values == before


def test_a_rollback_takes_back_what_was_set() -> None:
    parameters = SessionParameters("admin")
    parameters.set("application_name", "before", False)
    parameters.committed()
    parameters.set("application_name", "within", False)
    parameters.set("search_path", ["x", "Y"], True)
    assert parameters.search_path == ("x", "Y")
    assert parameters.show("search_path")[1] == 'x, "Y"'
    parameters.rolled_back()
    assert parameters.show("application_name")[1] == "before"
    assert parameters.search_path == ("public",)
    parameters.set("application_name", "local", True)
    parameters.committed()
    assert parameters.show("application_name")[1] == "before"


# --- the service -----------------------------------------------------------------------------------------------------


def test_internal_transactions_retry_what_lost_a_race() -> None:
    fleet = TestFleet()
    adjudicator = fleet.adjudicators[0]
    adjudicator.mood = Reason.conflict
    attempts: list[int] = []
    ended: list[Any] = []

    async def body(internal: InternalTransaction) -> str:
        attempts.append(internal.now_us)
        if len(attempts) == 3:
            adjudicator.mood = "judge"
        internal.transaction.insert_row(9, b"\0\0\0\1\0\0\0\x09key", b"\x90")
        return "done"

    fleet.processor.tenants.first.internal.begin(body, lambda value, error: ended.append((value, error)))
    fleet.until(lambda: bool(ended))
    assert ended == [("done", None)]
    assert len(attempts) == 3
    assert len(fleet.data.commits) == 1


def test_internal_transactions_give_up_in_the_end() -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].mood = Reason.conflict
    ended: list[Any] = []

    async def body(internal: InternalTransaction) -> None:
        internal.transaction.insert_row(9, b"\0\0\0\1\0\0\0\x09key", b"\x90")

    fleet.processor.tenants.first.internal.begin(body, lambda value, error: ended.append(error))
    fleet.until(lambda: bool(ended))
    assert ended[0].code is Code.serialization_failure


def test_frontends_hear_of_the_load() -> None:
    fleet = TestFleet()
    loads: list[Load] = []

    def watch(process: Process) -> None:
        channel = process.network.connect("processor-0:1", "processor")
        ProcessorClient(channel).watch_load(loads.append, lambda end: None)

    world: World = fleet.world
    world.add("frontend", "a", watch).start()
    fleet.run(0.1)
    Client(fleet)
    Client(fleet)
    fleet.run(0.5)
    fleet.processor.sessions.drain()
    fleet.run(0.5)
    assert [(load.sessions, load.draining) for load in loads] == [(0, False), (2, False), (0, True)]


def test_ready_once_the_catalogue_is_read() -> None:
    fleet = TestFleet()
    assert fleet.processor.ready() == (True, "")
    assert fleet.processor.status()["holders"]["0"]["adjudicator"] == "adjudicator-a"
    fleet.world.processes["processor-0"].clock.lost = True
    assert not fleet.processor.ready()[0]


def test_an_uncertain_clock_fails_statements_and_not_the_session() -> None:
    fleet = TestFleet()
    add_table(fleet, items())
    session = Client(fleet)
    clock = fleet.world.processes["processor-0"].clock
    clock.lost = True
    answer = session.query("SELECT * FROM items")
    assert [m.fields["C"] for m in answer if hasattr(m, "fields")] == ["57P03"]
    clock.lost = False
    assert rows(session.query("SELECT count(*) FROM items")) == [("0",)]


def test_metrics_are_collected() -> None:
    fleet = TestFleet()
    Client(fleet).query("SELECT 1")
    assert len(list(fleet.processor.metrics.collect())) > 15


def test_metrics_tell_kinds_codes_and_what_a_cluster_used() -> None:
    fleet = TestFleet()
    add_table(fleet, items())
    session = Client(fleet)
    before = fleet.processor.metrics.usages.of(1).total_transactions
    session.query("INSERT INTO items (id) VALUES (1)")
    session.query("SELECT * FROM items")
    session.query("SELECT * FROM nowhere")
    session.query("BEGIN")
    counts = fleet.processor.metrics
    list(counts.collect())
    assert (counts.statements["insert"], counts.statements["query"]) == (1, 1)
    assert counts.errors[Code.undefined_table] == 1
    assert counts.activities == {"active": 0, "idle": 0, "idle in transaction": 1, "idle in transaction (aborted)": 0}
    usage = counts.usages.of(1)
    assert usage.total_transactions - before == 3
    assert usage.read_only_transactions >= 1
    assert usage.bytes_read > 0
    assert usage.units_written == 1_024
    assert 0 < usage.bytes_written < 1_024
    assert counts.answer_seconds.count == 4
    assert counts.read_seconds.count == counts.reads > 0
    assert counts.unheld_streams == counts.reads_in_flight == counts.commits_in_flight == 0
