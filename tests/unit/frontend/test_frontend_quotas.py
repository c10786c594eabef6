"""A cluster's limits, and what control is told of its use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frontend_by_hand import ManualHost
from frontend_known import FIRST, KEY, SECOND, TOKENS, changed, known_clusters, token
from frontend_running import Running, until, with_frontend
from frontend_tokens import refused, welcome

from tausql.frontend.clientele import frontends_of
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.quotas import Quotas
from tausql.frontend.reporting import EVENTS_A_REPORT, EVENTS_MAX, UseReports
from tausql.protocol.clusters import ClustersClient, ConnectEvent, ReportUse, UseReported
from tausql.protocol.fleet import Fleet, Member
from tausql.rpc.interface import Cause, Failure

TOO_MANY = "Unable to accept connection, too many open connections."
TOO_FAST = "Unable to accept connection, rate exceeded."
SLOW = changed(FIRST, connections_per_second=10.0, connections_burst=20)


def let_in(quotas: Quotas, record: Any, times: int) -> int:
    return sum(quotas.enter(record) is None for _ in range(times))


def test_the_bucket_fills_up_at_the_clusters_rate() -> None:
    host = ManualHost()
    quotas = Quotas(host.monotonic, lambda: 1)
    assert let_in(quotas, SLOW, 30) == 20
    error = quotas.enter(SLOW)
    assert error is not None
    assert (error.severity, error.sqlstate, error.message) == ("FATAL", "53400", TOO_FAST)
    assert let_in(quotas, SECOND, 1) == 1  # another cluster's clients notice nothing
    host.now += 0.55
    assert let_in(quotas, SLOW, 30) == 5
    host.now += 3600
    assert let_in(quotas, SLOW, 30) == 20
    assert quotas.connections(SLOW.identifier) == 45


def test_connections_are_counted_and_given_back() -> None:
    quotas = Quotas(ManualHost().monotonic, lambda: 1)
    record = changed(FIRST, connections_max=2)
    assert let_in(quotas, record, 3) == 2
    error = quotas.enter(record)
    assert error is not None
    assert (error.severity, error.sqlstate, error.message) == ("FATAL", "53300", TOO_MANY)
    quotas.leave(record.identifier)
    assert let_in(quotas, record, 3) == 1
    assert let_in(quotas, changed(record, connections_max=5), 9) == 3  # raised while clients are there


def test_several_frontends_share_a_limit() -> None:
    host, frontends = ManualHost(), 4
    quotas = Quotas(host.monotonic, lambda: frontends)
    assert let_in(quotas, SLOW, 30) == 5
    host.now += 1
    assert let_in(quotas, SLOW, 30) == 2  # 10 a second among four, and half a one is kept
    host.now += 0.2
    assert let_in(quotas, SLOW, 30) == 1
    quotas = Quotas(host.monotonic, lambda: 100)
    assert let_in(quotas, changed(SLOW, connections_max=10), 30) == 1  # one at least
    quotas = Quotas(host.monotonic, lambda: 4)
    assert let_in(quotas, changed(FIRST, connections_max=10), 30) == 3


def test_frontends_of_other_regions_share_nothing() -> None:
    members = [Member(name, "a", name, region=region) for name, region in (("x", ""), ("y", "here"), ("z", "there"))]
    assert frontends_of(Fleet(region="here", frontend=tuple(members))) == 2


def test_what_nobody_uses_is_forgotten_and_told_of_once() -> None:
    host = ManualHost()
    quotas = Quotas(host.monotonic, lambda: 1)
    quotas.enter(FIRST)
    quotas.enter(SECOND)
    quotas.leave(SECOND.identifier)
    assert [(use.identifier, use.connections) for use in quotas.used()] == [
        (FIRST.identifier, 1),
        (SECOND.identifier, 0),
    ]
    host.now += 100
    (still,) = quotas.used()
    assert (still.identifier, still.used_at) == (FIRST.identifier, host.now)
    quotas.sweep(60)
    assert len(quotas) == 1


def test_clients_meet_the_limits(tmp_path: Path) -> None:
    small = changed(FIRST, connections_max=4)
    slow = changed(SECOND, connections_burst=2, connections_per_second=0.0001)
    two = Fleet(frontend=(Member("frontend-a", "a", "x"), Member("frontend-b", "b", "y")))

    async def body(running: Running) -> None:
        inside = [await welcome(running, small.hosts[0], token(small)) for _ in range(2)]
        assert await refused(running, small.hosts[0], token(small)) == ("53300", TOO_MANY, None)
        inside[0].close()
        await until(lambda: running.service.metrics.clients == 1)
        (await welcome(running, small.hosts[0], token(small))).close()
        # Bad tokens use nothing of it up.
        assert (await refused(running, slow.hosts[0], token(small)))[0] == "08006"
        (await welcome(running, slow.hosts[0], token(slow))).close()
        assert await refused(running, slow.hosts[0], token(slow)) == ("53400", TOO_FAST, None)
        assert (running.service.metrics.refused_full, running.service.metrics.refused_rate) == (1, 1)
        inside[1].close()

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters((small, slow)), fleet=two)


class FakeChannel:
    def __init__(self) -> None:
        self.reports: list[ReportUse] = []
        self.done: Any = None

    def call(self, request: ReportUse, deadline_seconds: float, done: Any) -> None:
        assert self.done is None, "one report at a time"
        self.reports.append(request)
        self.done = done

    def answer(self, answer: Any) -> None:
        done, self.done = self.done, None
        done(answer)


def event(number: int) -> ConnectEvent:
    return ConnectEvent(number, FIRST.identifier, KEY.principal, KEY.access_key_id, "DbConnect", "bob", "1.2.3.4:5")


def reporting() -> tuple[ManualHost, Quotas, FakeChannel, UseReports, FrontendMetrics]:
    host, channel, metrics = ManualHost(), FakeChannel(), FrontendMetrics()
    quotas = Quotas(host.monotonic, lambda: 1)
    made = UseReports(
        host,
        "frontend-a",
        quotas,
        metrics,
        lambda: 5_000_000,
        lambda: ClustersClient(channel),  # type: ignore[arg-type]
    )
    made.start()
    return host, quotas, channel, made, metrics


def test_reports_go_out_now_and_then_and_what_is_not_acknowledged_goes_again() -> None:
    host, quotas, channel, reports, _ = reporting()
    host.pass_time(60)
    assert channel.reports == []  # nothing to say
    quotas.enter(FIRST)
    host.now += 1
    quotas.leave(FIRST.identifier)
    reports.record(event(1))
    host.pass_time(2)
    (first,) = channel.reports
    assert first.events == (event(1),)
    (use,) = first.uses
    assert (use.cluster, use.connections) == (FIRST.identifier, 0)
    assert 3_000_000 <= use.used_at_us < 5_000_000
    reports.record(event(2))
    host.pass_time(10)
    assert len(channel.reports) == 1
    channel.answer(Failure(Cause.unavailable))
    host.pass_time(2)
    again = channel.reports[1]
    assert (again.events, again.uses) == ((event(1), event(2)), first.uses)
    channel.answer(UseReported())
    assert reports.waiting == 0
    host.pass_time(60)
    assert len(channel.reports) == 2


def test_events_that_find_no_room_are_counted() -> None:
    host, _, channel, reports, metrics = reporting()
    for number in range(EVENTS_MAX + 7):
        reports.record(event(number))
    host.pass_time(2)
    assert (len(channel.reports[0].events), channel.reports[0].events_lost) == (EVENTS_A_REPORT, 7)
    channel.answer(UseReported())  # and the rest at once, one after the other
    while channel.done is not None and reports.waiting > EVENTS_A_REPORT:
        assert channel.reports[-1].events_lost == 0
        channel.answer(UseReported())
    channel.answer(UseReported())
    assert [each.at_us for report in channel.reports for each in report.events] == list(range(EVENTS_MAX))
    assert metrics.events_lost == 7
    reports.stop()


def test_connects_and_refusals_are_recorded(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        clientele = running.service._clientele
        assert clientele is not None
        (await welcome(running, FIRST.hosts[0], token())).close()
        await refused(running, FIRST.hosts[0], token(action="DbConnect"))
        await refused(running, FIRST.hosts[0], "x" * 5000, user="b" * 5000)
        good, wrong, long = clientele._reports._events
        assert (good.cluster, good.principal, good.access_key_id) == (
            FIRST.identifier,
            KEY.principal,
            KEY.access_key_id,
        )
        assert (good.action, good.user, good.error) == ("DbConnectAdmin", "admin", "")
        assert good.client.startswith("127.0.0.1:")
        assert wrong.principal == KEY.principal
        assert wrong.error.startswith("Wrong user to action mapping.")
        assert len(long.user) <= 1024

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())
