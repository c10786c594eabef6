"""Logs, checks, tasks, metrics, settings, the kernel's clock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tausql.protocol.fleet import Member
from tausql.runtime import logs, metrics, tasks
from tausql.runtime.check import I5, InvariantViolation, check
from tausql.runtime.kernel_clock import Discipline, KernelClock, bound_of, raw_us, wall_us
from tausql.runtime.loop import DEATH_EXIT_CODE, AsyncHost, run_on_host
from tausql.runtime.process_metrics import ProcessFacts, ProcessMetrics
from tausql.runtime.settings import ProcessSettings, ServiceSettings, settings_for


def record_of(event: str, **facts) -> logging.LogRecord:
    record = logging.LogRecord("tausql.journal", logging.INFO, "f", 1, event, (), None)
    record.facts = facts
    return record


def test_log_line_is_json_with_facts():
    line = json.loads(
        logs.LineFormatter("json", "journal-a").format(record_of("sealed", bytes=3, key=b"\x01", level=9))
    )
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "process": "journal-a", "part": "journal", "event": "sealed", "bytes": 3, "key": "01",
        "level_": 9,
    }  # fmt: skip


def test_log_line_is_logfmt_with_quotes_where_needed():
    line = logs.LineFormatter("logfmt", "j").format(record_of("segment sealed", path="a=b", n=1))
    assert line.endswith('event="segment sealed" path="a=b" n=1')


def test_log_passes_facts_and_errors(caplog):
    caplog.set_level(logging.DEBUG)
    error = ValueError("x")
    logs.get("part").error("it broke", error=error, seq=4)
    (record,) = caplog.records
    assert (record.name, record.facts["seq"], record.exc_info[1]) == ("tausql.part", 4, error)
    assert '"traceback":"ValueError: x' in logs.LineFormatter("json", "p").format(record)


def test_broken_invariant_passes_through_except_exception():
    check(I5, True, "fine")

    def careless() -> None:
        with contextlib.suppress(Exception):
            check(I5, False, "record below closed tau", tau=3)

    with pytest.raises(InvariantViolation, match=r"I5: record below closed tau tau=3") as caught:
        careless()
    assert (caught.value.invariant, caught.value.facts) == (I5, {"tau": 3})


@pytest.mark.parametrize("how", ["task", "soon", "later", "short", "invariant"])
def test_escaped_exception_stops_the_process(how):
    deaths: list[int] = []
    died = asyncio.Event()

    def exit_now(code: int):
        deaths.append(code)
        died.set()

    def fail() -> None:
        if how == "invariant":
            check(I5, False, "broken")
        raise ValueError("escaped")

    async def failing() -> None:
        fail()

    async def body(host: AsyncHost) -> None:
        if how == "task":
            tasks.spawn("failing", failing())
        elif how in ("soon", "invariant"):
            host.soon(fail)
        else:
            host.later(0.0001 if how == "short" else 0.003, fail)
        await died.wait()

    run_on_host(body, exit_now=exit_now)
    assert deaths[0] == DEATH_EXIT_CODE


def test_what_libraries_and_transports_leave_behind_is_only_logged(caplog):
    async def body(host: AsyncHost) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        future.set_exception(ValueError("never looked at"))
        del future
        gc.collect()
        farewell = {"message": "Fatal error on transport", "exception": OSError(113, "No route")}
        loop.call_exception_handler({**farewell, "protocol": asyncio.Protocol()})

    run_on_host(body, exit_now=lambda code: pytest.fail("died"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_protocol_that_raises_stops_the_process():
    deaths: list[int] = []

    class Broken(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise KeyError("half done")

    async def body(host: AsyncHost) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Broken, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()
        server.close()
        await server.wait_closed()

    run_on_host(body, exit_now=deaths.append)
    assert deaths == [DEATH_EXIT_CODE]


def test_tasks_are_held_while_they_run_and_bounded(monkeypatch):
    monkeypatch.setattr(tasks, "TASKS_MAX", 2)

    async def body(host: AsyncHost) -> None:
        loop = asyncio.get_running_loop()
        go = asyncio.Event()

        async def wait() -> None:
            await go.wait()

        first, second = tasks.spawn("one", wait()), tasks.spawn("two", wait())
        assert tasks.running(loop) == 2
        with pytest.raises(tasks.TooManyTasks):
            tasks.spawn("three", wait())
        second.cancel()
        go.set()
        await first
        await asyncio.sleep(0)
        assert tasks.running(loop) == 0

    run_on_host(body)


@given(st.lists(st.floats(0, 10)))
def test_histogram_counts_what_prometheus_would(values):
    histogram = metrics.Histogram(metrics.LATENCY_SECONDS)
    for value in values:
        histogram.observe(value)
    assert histogram.count == len(values)
    for bound, count in histogram.buckets():
        assert count == sum(value <= float(bound) for value in values)


def test_exposition_is_what_prometheus_reads():
    histogram = metrics.Histogram((1.0, 2.0))
    histogram.observe(1.5)

    class Service:
        def collect(self):
            yield metrics.counter("tausql_x_appends_total", "Appends.", 5)
            yield metrics.gauge("tausql_x_bytes", "Bytes.", {("0",): 1, ("1",): 2}, labels=("stream",))
            yield metrics.histogram("tausql_x_seconds", "Seconds.", histogram)
            yield metrics.histogram("tausql_y_seconds", "Seconds.", {("a",): histogram}, labels=("kind",))

    text = metrics.exposition([Service()]).decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["tausql_x_appends_total",] == 5
    assert samples["tausql_x_bytes", "1"] == 2
    assert samples["tausql_x_seconds_bucket", "1.0"] == 0
    assert samples["tausql_x_seconds_bucket", "+Inf"] == 1
    assert samples["tausql_x_seconds_sum",] == 1.5
    assert samples["tausql_y_seconds_count", "a"] == 1


def test_labels_of_the_process_are_on_every_sample():
    histogram = metrics.Histogram((1.0,))

    class Service:
        def collect(self):
            yield metrics.counter("tausql_x_appends_total", "Appends.", 5)
            yield metrics.gauge("tausql_x_bytes", "Bytes.", {("0",): 1}, labels=("stream",))
            yield metrics.histogram("tausql_x_seconds", "Seconds.", histogram)

    labels = {"process": "x-0", "zone": "b"}
    families = text_string_to_metric_families(metrics.exposition([Service()], labels).decode())
    samples = [sample for family in families for sample in family.samples]
    assert len(samples) == 6
    assert all(sample.labels.items() >= labels.items() for sample in samples)


@pytest.mark.parametrize("value", ["plain", 'a "quoted" one', "back\\slash", "two\nlines", "idle (aborted)"])
def test_labels_and_numbers_are_written_as_prometheus_reads_them(value):
    numbers = {("up",): float("inf"), ("down",): float("-inf"), (value,): 1e-07, ("none",): float("nan")}

    class Service:
        def collect(self):
            yield metrics.gauge("tausql_x_state", f"Says {value}.", numbers, labels=("state",))

    (family,) = text_string_to_metric_families(metrics.exposition([Service()], {"zone": value}).decode())
    assert family.documentation == f"Says {value}."
    read = {sample.labels["state"]: sample.value for sample in family.samples}
    assert read.pop("none") != numbers["none",]
    assert {(state,): number for state, number in read.items()} == {k: v for k, v in numbers.items() if k != ("none",)}
    assert {sample.labels["zone"] for sample in family.samples} == {value}


def test_facts_of_a_process_and_the_room_on_its_disk(tmp_path):
    families = {family.name: family for family in ProcessFacts(("journal", "storage"), tmp_path).collect()}
    assert families["tausql_process_info"].samples[0].labels["services"] == "journal+storage"
    free = families["tausql_process_disk_free_bytes"].samples[0].value
    assert 0 < free <= families["tausql_process_disk_size_bytes"].samples[0].value
    without = {family.name for family in ProcessFacts(("frontend",), tmp_path / "none").collect()}
    assert without == {"tausql_process_info", "tausql_process_start_time_seconds"}


def test_bounds_must_rise():
    with pytest.raises(ValueError, match="rise"):
        metrics.Histogram((1.0, 1.0))


def test_process_metrics_can_be_read():
    async def body(host: AsyncHost) -> None:
        process = ProcessMetrics(host, seconds_between=0.001)
        process.start()
        later = asyncio.Event()
        host.later(0.0015, later.set)
        await later.wait()
        process.stop()
        assert process.loop_lag_seconds.count >= 1
        names = {family.name for family in process.collect()}
        assert "tausql_process_resident_bytes" in names

    run_on_host(body)


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    class Own(ServiceSettings):
        model_config = settings_for("own")
        limit: int = 3

    monkeypatch.setenv("TAUSQL_NAME", "journal-b")
    monkeypatch.setenv("TAUSQL_OWN_LIMIT", "7")
    assert Own().limit == 7
    settings = ProcessSettings()
    assert settings.name == "journal-b"
    assert settings.read_fleet().journal == ()
    fleet = '{"journal": [{"name": "journal-b", "zone": "b", "address": "h:1"}]}'
    assert ProcessSettings(fleet=fleet).read_fleet().journal == (Member("journal-b", "b", "h:1"),)
    path = tmp_path / "fleet.json"
    path.write_text(fleet)
    assert ProcessSettings(fleet=str(path)).read_fleet().journal == (Member("journal-b", "b", "h:1"),)


def test_kernel_answers_about_its_clock():
    kernel = KernelClock()
    assert kernel.discipline().error_us_max >= 0
    assert wall_us() > 1_600_000_000_000_000
    assert raw_us() <= raw_us()


@pytest.mark.parametrize(
    ("synchronised", "assumed", "expected"),
    [(False, None, None), (False, 20, 20), (True, None, 1_051), (True, 20, 20), (True, 5_000, 1_051)],
)
def test_bound_is_the_tighter_of_what_kernel_and_operator_vouch_for(synchronised, assumed, expected):
    class Kernel(KernelClock):
        def discipline(self) -> Discipline:
            return Discipline(synchronised, 1_000)

    assert bound_of(Kernel(), assumed)() == expected
