"""Dashboards: what they name is there, what is committed is what the list says, and nothing lies on anything else."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from helm.observability.__main__ import main
from helm.observability.boards import BOARDS
from helm.observability.catalogue import all_metrics, named_in, series_names
from helm.observability.generate import differing, files, write
from helm.observability.grafana import COLUMNS, dashboard

ROOT = Path(__file__).resolve().parents[3]
UIDS = ["overview", "commit-path", "time", "journal", "adjudicators", "storage", "sessions", "chaos"]
UNITS = {"short", "s", "ops", "bytes", "Bps", "percentunit"}
GRAFANA_VARIABLES = {"cluster", "namespace", "zone", "__rate_interval", "__interval", "datasource"}

every_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)


def test_committed_files_are_what_the_list_says():
    assert differing(ROOT) == [], "run `python -m helm.observability`"


def test_check_names_what_differs_and_writing_mends_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helm.observability.__main__.ROOT", tmp_path)
    assert main([]) == 0
    (tmp_path / "helm/tausql/dashboards/tausql-time.json").write_text("{}")
    (tmp_path / "helm/tausql/alerts/left-over.yaml").write_text("groups: []")
    (tmp_path / "docs/metrics.md").unlink()
    capsys.readouterr()
    assert main(["--check"]) == 1
    differs = ["docs/metrics.md", "helm/tausql/alerts/left-over.yaml", "helm/tausql/dashboards/tausql-time.json"]
    assert capsys.readouterr().out.splitlines() == [f"differs: {path}" for path in differs]
    assert write(tmp_path) == differs
    assert main(["--check"]) == 0
    assert main(["--what"]) == 2


def test_addresses_of_dashboards_do_not_change():
    assert [board.uid for board in BOARDS] == [f"tausql-{name}" for name in UIDS]


def test_metric_names_follow_the_rule():
    for metric in all_metrics():
        assert re.fullmatch(r"tausql_[a-z0-9]+(_[a-z0-9]+)+", metric.name), metric.name
        assert metric.about.endswith("."), metric.name
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
    names = [metric.name for metric in all_metrics()]
    assert len(names) == len(set(names))


@every_board
def test_panels_name_metrics_that_are_there(board):
    known = series_names(all_metrics())
    for row in board.rows:
        for panel in row.panels:
            for query in panel.queries:
                assert named_in(query.expression) <= known, panel.title
                assert query.expression.count("tausql_") == query.expression.count("{%"), "a selection is missing"


@every_board
def test_first_row_says_whether_it_is_healthy(board):
    first = board.rows[0]
    assert first.title == "Healthy?"
    assert {panel.kind for panel in first.panels} == {"stat"}
    assert sum(panel.width for panel in first.panels) <= COLUMNS


@every_board
def test_panels_are_explained_and_in_known_units(board):
    for row in board.rows:
        titles = [panel.title for panel in row.panels]
        assert len(titles) == len(set(titles)), row.title
        for panel in row.panels:
            assert panel.about.endswith("."), panel.title
            assert panel.unit in UNITS, panel.title
            legends = [query.legend for query in panel.queries]
            assert len(legends) == len(set(legends)), panel.title
            for query in panel.queries:
                for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
                    assert label in query.expression or label == "stream", (panel.title, label)


@every_board
def test_files_are_sorted_and_whole(board):
    text = dashboard(board)
    made = json.loads(text)
    assert text == json.dumps(made, indent=1, sort_keys=True) + "\n"
    numbers = [panel["id"] for panel in made["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    names = set(re.findall(r"\$\{?(\w+)\}?", text))
    assert names <= GRAFANA_VARIABLES | {"__all"}, names


@every_board
def test_no_panel_lies_on_another(board):
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(dashboard(board))["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert 0 <= x < COLUMNS
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    rows = sorted({y for _, y in taken})
    assert all(after - before == 1 for before, after in pairwise(rows)), "a gap"


def test_every_file_is_one_of_ours():
    assert set(files()) >= {f"helm/tausql/dashboards/tausql-{name}.json" for name in UIDS}
