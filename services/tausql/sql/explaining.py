"""EXPLAIN: the plan as text, in Aurora DSQL's shape."""

from __future__ import annotations

import json
from typing import Any

from tausql.sql.execution.run import Node
from tausql.sql.execution.writes import Delete, Insert, Update, Write


def plan_lines(plan: Node | Write, counts: dict[int, int] | None, verbose: bool) -> list[str]:
    """One line an output row. `counts`: rows each node gave, of EXPLAIN ANALYZE."""
    lines: list[str] = []
    if isinstance(plan, Write):
        lines.append(f"{_write_title(plan)} on {plan.access.table.name}  (rows=0)")
        _node_lines(plan.source, 1, lines, counts)
    else:
        _node_lines(plan, 0, lines, counts)
    return lines


def plan_json(plan: Node | Write, counts: dict[int, int] | None) -> str:
    root = (
        {
            "Node Type": _write_title(plan),
            "Relation Name": plan.access.table.name,
            "Plans": [_tree(plan.source, counts)],
        }
        if isinstance(plan, Write)
        else _tree(plan, counts)
    )
    return json.dumps([{"Plan": root}], indent=2)


def _write_title(plan: Write) -> str:
    return {Insert: "Insert", Update: "Update", Delete: "Delete"}.get(type(plan), "Write")


def _shown(node: Node) -> Node:
    """Projections are not shown, as in PostgreSQL."""
    while node.title in ("Project", "Strip"):
        node = node.children[0]
    return node


def _node_lines(node: Node, depth: int, lines: list[str], counts: dict[int, int] | None) -> None:
    node = _shown(node)
    indent = "      " * depth
    arrow = "" if depth == 0 else indent[:-4] + "->  "
    lines.append(f"{arrow}{node.title}  ({_rows(node, counts)})")
    lines.extend(f"{indent}  {line}" for line in node.lines)
    for child in node.children:
        _node_lines(child, depth + 1, lines, counts)


def _rows(node: Node, counts: dict[int, int] | None) -> str:
    estimate = f"rows={max(0, round(node.rows))}"
    if counts is None:
        return estimate
    return f"{estimate}) (actual rows={counts.get(id(node), 0)}"


def _tree(node: Node, counts: dict[int, int] | None) -> dict[str, Any]:
    node = _shown(node)
    made: dict[str, Any] = {"Node Type": node.title, "Plan Rows": max(0, round(node.rows))}
    if counts is not None:
        made["Actual Rows"] = counts.get(id(node), 0)
    if node.lines:
        made["Details"] = list(node.lines)
    if node.children:
        made["Plans"] = [_tree(child, counts) for child in node.children]
    return made
