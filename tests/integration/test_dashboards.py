"""Every query of every panel and every measure of every alert has data: of a fleet under load that loses processes."""

from __future__ import annotations

import math
from pathlib import Path

import httpx
import pytest
from helm.observability.boards import BOARDS
from helm.observability.generate import GROUPS
from helm.observability.panels import Panel
from loadtest.tausql_fleet import Fleet, running_fleet, stop_process

from tausql.local.api import api_of

from .prometheus import Prometheus, QueryFailed, scraping
from .sessions import session, status
from .under_load import kill, under_load
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

ALERTS = Path(__file__).resolve().parents[2] / "helm/tausql/alerts"
VARIABLES = {"$cluster": ".*", "$namespace": ".*", "$zone": ".*", "$__rate_interval": "10s", "$__interval": "5s"}
LOOP_LOOKS_SECONDS = 12  # the loop's lag is looked at every 5 s: two looks after the first scrape

# What a fleet on one machine cannot have, and why.
ELSEWHERE = {
    "a fleet on one machine has no control service",
    "a fleet on one machine may take the kernel's clock and ask no timekeeper",
    "a fleet on one machine talks without TLS",
}


def test_every_panel_and_every_alert_has_data() -> None:
    files = sorted(ALERTS.glob("*.yaml"))
    with running_fleet("separate") as fleet, scraping(fleet, files) as prometheus:
        since = prometheus.now()
        with under_load(fleet) as load:
            kill(fleet, "processor-a")  # its sessions move
            kill(fleet, _holder(fleet))
            load.await_progress()
            _ask_over_http(fleet)
            until(lambda: prometheus.now() > since + LOOP_LOOKS_SECONDS, "time for the slow ones")
        rules = until(lambda: _evaluated(prometheus), "all rules evaluated")
        end = prometheus.now()
        stop_process(fleet.process)  # several hundred queries: leave them the machine
        wrong = _panels(prometheus, since, end) + _measures(prometheus, since, end)
    assert not wrong, "\n".join(wrong)
    assert sorted(rule["name"] for rule in rules) == sorted(alert.name for group in GROUPS for alert in group.alerts)
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []


def test_what_one_machine_cannot_show_is_listed() -> None:
    reasons = {panel.elsewhere for board in BOARDS for row in board.rows for panel in row.panels}
    reasons |= {alert.elsewhere for group in GROUPS for alert in group.alerts}
    assert reasons - {""} == ELSEWHERE


def _panels(prometheus: Prometheus, since: float, end: float) -> list[str]:
    """What is wrong with which panel."""
    wrong: list[str] = []
    for board in BOARDS:
        for row in board.rows:
            for panel in row.panels:
                wrong += [f"{board.uid} / {panel.title}: {why}" for why in _panel(prometheus, panel, since, end)]
    return wrong


def _panel(prometheus: Prometheus, panel: Panel, since: float, end: float) -> list[str]:
    expressions = []
    for query in panel.queries:
        expression = query.selected
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        expressions.append(expression)
    found = (_why_empty(prometheus, expression, since, end) for expression in expressions)
    return [why for why in found if why and not (panel.elsewhere and why.startswith("no data"))]


def _measures(prometheus: Prometheus, since: float, end: float) -> list[str]:
    wrong: list[str] = []
    for group in GROUPS:
        for alert in group.alerts:
            if not alert.elsewhere:
                found = (_why_empty(prometheus, condition.measure, since, end) for condition in alert.when)
                wrong += [f"{alert.name}: {why}" for why in found if why]
    return wrong


def _why_empty(prometheus: Prometheus, expression: str, since: float, end: float) -> str:
    """Empty if there is a number, at any moment."""
    try:
        series = prometheus.over(expression, since, end)
    except QueryFailed as failed:
        return str(failed)
    if not series:
        return f"no data: {expression}"
    if not any(not math.isnan(float(value)) for one in series for _, value in one["values"]):
        return f"no number: {expression}"
    return ""


def _evaluated(prometheus: Prometheus) -> list[dict[str, object]]:
    rules = prometheus.rules()
    return rules if rules and all(rule["health"] != "unknown" for rule in rules) else []


def _ask_over_http(fleet: Fleet) -> None:
    """What the load does not do: a call of the API, a statement over HTTP, an error, an idle transaction."""
    assert api_of(fleet.reached).call("GET", "/cluster")["clusters"]
    url = f"http://{fleet.host}:{fleet.http_port}/v1/sql"
    assert httpx.post(url, json={"sql": "select 1"}, auth=("admin", fleet.password), timeout=10).status_code == 200
    with session(fleet) as opened:
        opened.execute("select 1")


def _holder(fleet: Fleet) -> str:
    names = [name for name in ("adjudicator-a", "adjudicator-b") if _holds(fleet, name)]
    assert names, "nobody holds the stream"
    return names[0]


def _holds(fleet: Fleet, name: str) -> bool:
    return any(stream["held"] for stream in status(fleet, name)["adjudicator"]["streams"])
