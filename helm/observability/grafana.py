"""Boards as Grafana's JSON: everything that is the same on each of them, and where each panel sits."""

from __future__ import annotations

import json
from typing import Any

from helm.observability.panels import Board, Panel, Query

SCHEMA_VERSION = 39
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8, "state-timeline": 8}
COLUMNS = 24
STARTS = "tausql_process_start_time_seconds{%} * 1000"
TAKEOVERS = "max by (process) (changes(tausql_adjudicator_takeovers_total{%}[$__interval])) > 0"


def dashboard(board: Board) -> str:
    """The file of one board: sorted, so that a change shows as nothing but itself."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in board.rows:
        panels.append(_row(row.title, len(panels) + 1, top))
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, height = top + height, 0, 0
            panels.append(_panel(panel, len(panels) + 1, left, top))
            left += panel.width
            height = max(height, HEIGHTS[panel.kind])
        top += height
    made = {
        "annotations": {
            "list": [_marks("Process starts", "red", STARTS, True), _marks("Takeovers", "orange", TAKEOVERS)]
        },
        "description": board.about,
        "editable": False,
        "graphTooltip": 1,
        "links": [_link()],
        "panels": panels,
        "refresh": "10s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["tausql"],
        "templating": {"list": _variables()},
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "title": board.title,
        "uid": board.uid,
    }
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _row(title: str, number: int, top: int) -> dict[str, Any]:
    return {
        "collapsed": False,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        "id": number,
        "panels": [],
        "title": title,
        "type": "row",
    }


def _panel(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": c, "value": v} for v, c in panel.steps]}
        defaults["color"] = {"mode": "thresholds"}
    if panel.kind == "timeseries":
        stacking = {"group": "A", "mode": "normal" if panel.stacked else "none"}
        defaults["custom"] = {"fillOpacity": 30 if panel.stacked else 8, "showPoints": "never", "stacking": stacking}
    return {
        "datasource": SOURCE,
        "description": panel.about,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "gridPos": {"h": HEIGHTS[panel.kind], "w": panel.width, "x": left, "y": top},
        "id": number,
        "options": _options(panel),
        "targets": [_target(panel, index) for index in range(len(panel.queries))],
        "title": panel.title,
        "type": panel.kind,
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {
            "colorMode": "background_solid" if panel.steps else "value",
            "graphMode": "area",
            "reduceOptions": reduced,
        }
    if panel.kind == "timeseries":
        legend = {"calcs": ["lastNotNull"], "displayMode": "list", "placement": "bottom", "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "state-timeline":
        return {"mergeValues": True, "showValue": "never"}
    return {"showHeader": True}


def _target(panel: Panel, index: int) -> dict[str, Any]:
    query = panel.queries[index]
    target: dict[str, Any] = {"datasource": SOURCE, "expr": query.selected, "refId": chr(ord("A") + index)}
    if query.legend:
        target["legendFormat"] = query.legend
    if panel.kind == "table":
        target |= {"format": "table", "instant": True}
    return target


def _marks(name: str, colour: str, expression: str, at_value: bool = False) -> dict[str, Any]:
    """Lines across every graph. `at_value`: the query's value says when, else the time of its sample."""
    return {
        "datasource": SOURCE,
        "enable": True,
        "expr": Query(expression).selected,
        "iconColor": colour,
        "name": name,
        "step": "10s",
        "titleFormat": name,
        "textFormat": "{{process}}",
        "useValueForTime": at_value,
    }


def _link() -> dict[str, Any]:
    return {
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "tags": ["tausql"],
        "title": "TauSQL",
        "type": "dashboards",
    }


def _variables() -> list[dict[str, Any]]:
    source = {"current": {}, "label": "Data source", "name": "datasource", "query": "prometheus", "type": "datasource"}
    chosen = ""
    variables: list[dict[str, Any]] = [source]
    for name in ("cluster", "namespace", "zone"):
        variables.append(
            {
                "allValue": ".*",  # a series without the label is selected as well
                "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
                "datasource": SOURCE,
                "includeAll": True,
                "label": name.capitalize(),
                "multi": True,
                "name": name,
                "query": {"query": f"label_values(tausql_process_info{{{chosen}}}, {name})", "refId": name},
                "refresh": 2,
                "sort": 1,
                "type": "query",
            }
        )
        chosen += f'{"," if chosen else ""}{name}=~"${name}"'
    return variables
