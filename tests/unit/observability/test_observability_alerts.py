"""Every alert fires when it should and is silent when it should be, judged by promtool; and has its runbook."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from alert_cases import CASES, Example
from helm.observability.alerts import RUNBOOKS, Alert, rules
from helm.observability.catalogue import all_metrics, named_in, series_names
from helm.observability.generate import GROUPS
from tests.tools.prometheus import program

ROOT = Path(__file__).resolve().parents[3]
ALERTS = {alert.name: alert for group in GROUPS for alert in group.alerts}
SECTIONS = ("## What it means", "## What clients notice", "## Find the cause", "## What to do")


def test_each_alert_has_a_case_and_each_case_an_alert():
    assert sorted(CASES) == sorted(ALERTS)


def test_alerts_fire_and_are_silent_as_they_should(tmp_path):
    for group in GROUPS:
        (tmp_path / f"{group.name}.yaml").write_text(rules(group))
    tests = [
        _test(ALERTS[name], example, fires)
        for name, case in CASES.items()
        for example, fires in ((case.fires, True), *((quiet, False) for quiet in case.quiet))
    ]
    written = {"rule_files": [f"{group.name}.yaml" for group in GROUPS], "evaluation_interval": "15s", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    done = subprocess.run(
        [program("promtool"), "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _test(alert: Alert, example: Example, fires: bool) -> dict[str, Any]:
    expected: list[dict[str, Any]] = []
    if fires:
        place = {"namespace": "n"} if example.placed else {}
        notes = {
            "summary": example.summary,
            "description": example.about or alert.about,
            "runbook_url": RUNBOOKS + alert.page,
        }
        labels = {"severity": alert.severity} | place | example.labels
        expected.append({"exp_labels": labels, "exp_annotations": notes})
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in example.series.items()],
        "alert_rule_test": [{"eval_time": example.at, "alertname": alert.name, "exp_alerts": expected}],
    }


def test_each_alert_names_metrics_that_are_there():
    known = series_names(all_metrics())
    missing = {alert.name: named_in(alert.expression) - known for alert in ALERTS.values()}
    assert not {name: names for name, names in missing.items() if names}


def test_each_alert_says_how_bad_it_is():
    assert {alert.severity for alert in ALERTS.values()} == {"warning", "critical"}
    assert all(alert.summary and alert.about.endswith(".") for alert in ALERTS.values())


def test_each_alert_has_a_runbook_and_each_runbook_an_alert():
    folder = ROOT / "docs/runbooks"
    pages = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert pages == {alert.page for alert in ALERTS.values()}
    index = (folder / "README.md").read_text()
    for alert in ALERTS.values():
        text = (folder / alert.page).read_text()
        assert text.startswith(f"# {alert.name}\n"), alert.page
        assert [line for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS), alert.page
        assert f"[{alert.name}]({alert.page})" in index, alert.page


def test_runbooks_name_metrics_that_are_there():
    known = series_names(all_metrics()) | {metric.name for metric in all_metrics()}
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        assert named_in(path.read_text()) <= known, path.name
