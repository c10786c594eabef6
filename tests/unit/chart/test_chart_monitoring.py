"""Dashboards and alerts get to where Prometheus and Grafana look, as they were made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.tools.prometheus import program
from tests.unit.chart.rendering import CHART, SERVICES, SHAPES, of_kind, pods, render

ALERTS = {path.name: path for path in CHART.glob("alerts/*.yaml")}
DASHBOARDS = {path.name: path for path in CHART.glob("dashboards/*.json")}


def test_there_is_something_to_look_at() -> None:
    assert ALERTS
    assert "tausql-overview.json" in DASHBOARDS


def test_every_dashboard_is_a_config_map_for_the_sidecar() -> None:
    maps = [one for name, one in of_kind(render(), "ConfigMap").items() if "-dashboard-" in name]
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in maps)
    found = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    assert found == {name: json.loads(path.read_text()) for name, path in DASHBOARDS.items()}
    assert not of_kind(render("--set", "monitoring.dashboards.enabled=false"), "ConfigMap").keys() - {"tausql-test"}


def test_alerts_arrive_with_their_own_braces() -> None:
    rules = [one["spec"]["groups"] for one in render(operators=True) if one["kind"] == "PrometheusRule"]
    assert rules == [yaml.safe_load(ALERTS[name].read_text())["groups"] for name in sorted(ALERTS)]
    assert "{{ $labels." in str(rules)


def test_runbooks_may_be_elsewhere() -> None:
    flags = ("--set", "monitoring.rules.runbooks=https://wiki.example.org/")
    rules = [one for one in render(*flags, operators=True) if one["kind"] == "PrometheusRule"]
    groups = [group for one in rules for group in one["spec"]["groups"]]
    links = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]]
    assert links
    assert all(link.startswith("https://wiki.example.org/") for link in links)


def bundled() -> dict[str, Any]:
    data: dict[str, Any] = of_kind(render(*SHAPES["everything"]), "ConfigMap")["tausql-prometheus"]["data"]
    return data


def test_the_bundled_prometheus_knows_the_alerts_and_scrapes_every_service() -> None:
    assert set(bundled()) == {"prometheus.yml", *ALERTS}
    configuration = yaml.safe_load(bundled()["prometheus.yml"])
    assert configuration["rule_files"] == ["/etc/prometheus/*.yaml"]
    (job,) = configuration["scrape_configs"]
    assert job["relabel_configs"][0]["regex"] == f"http;({'|'.join(SERVICES)})"


def test_the_bundled_prometheus_would_start(tmp_path: Path) -> None:
    for name, text in bundled().items():
        (tmp_path / name).write_text(text.replace("/etc/prometheus", str(tmp_path)))
    configuration = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    # Debian's promtool is built without it.
    del configuration["scrape_configs"][0]["kubernetes_sd_configs"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    command = [program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_bundled_grafana_shows_every_dashboard(name: str) -> None:
    grafana = pods(render(*SHAPES["everything"]))["Deployment/tausql-grafana"]["spec"]
    short = name.removesuffix(".json").removeprefix("tausql-")
    assert {"name": short, "configMap": {"name": f"tausql-dashboard-{short}"}} in grafana["volumes"]
    (container,) = grafana["containers"]
    assert {"name": short, "mountPath": f"/dashboards/{short}", "readOnly": True} in container["volumeMounts"]


def test_grafana_begins_with_the_overview() -> None:
    grafana = pods(render(*SHAPES["everything"]))["Deployment/tausql-grafana"]["spec"]["containers"][0]
    home = next(one["value"] for one in grafana["env"] if one["name"] == "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH")
    *_, folder, name = home.split("/")
    assert name in of_kind(render(), "ConfigMap")[f"tausql-dashboard-{folder}"]["data"]


def test_metrics_that_scale_are_metrics() -> None:
    """What `autoscaling.load` names is there, and prometheus-adapter's rules offer it."""
    adapter = (CHART / "files" / "prometheus-adapter.yaml").read_text()
    named = {
        metric["pods"]["metric"]["name"]
        for hpa in of_kind(render("--set", "autoscaling.source=adapter"), "HorizontalPodAutoscaler").values()
        for metric in hpa["spec"]["metrics"]
        if metric["type"] == "Pods"
    }
    assert named == {"tausql_frontend_clients", "tausql_processor_sessions"}
    sources = CHART.parents[1] / "services" / "tausql"
    for metric in named:
        service = metric.split("_")[1]
        assert f'"{metric}"' in (sources / service / "metrics.py").read_text()
        assert metric.removeprefix("tausql_") in adapter
