"""The forms of EXPLAIN: lines of text, and a document in JSON, YAML or XML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from tausql.sql.execution.run import Counted
from tausql.sql.explaining import markup
from tausql.sql.explaining.shown import Shown

READ_DPU_A_BYTE: Final = 0.00000183105
WRITE_DPU_A_BYTE: Final = 0.00004883
READ_MINIMUM: Final = 2_048 * READ_DPU_A_BYTE  # of a transaction
WRITE_MINIMUM: Final = 1_024 * WRITE_DPU_A_BYTE
PARTITION_BYTES: Final = 128
_IDENTIFIER_LETTERS: Final = 13
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(slots=True)
class Options:
    """What the statement asked for."""

    analyze: bool
    verbose: bool
    costs: bool
    timing: bool
    summary: bool


@dataclass(slots=True)
class Summary:
    """What comes below the tree. Times in milliseconds, None = not measured; bytes of this statement alone."""

    text: str
    planning: float | None = None
    execution: float | None = None
    read_bytes: int = 0
    written_bytes: int = 0
    regions: int = 1

    def units(self) -> list[tuple[str, float, float]]:
        """(what, DPU, the least that a transaction is charged for it), the total last."""
        compute = ((self.planning or 0.0) + (self.execution or 0.0)) / 1000
        found = [("Compute", compute, 0.0)]
        if self.read_bytes:
            found.append(("Read", max(self.read_bytes, PARTITION_BYTES) * READ_DPU_A_BYTE, READ_MINIMUM))
        if self.written_bytes:
            found.append(("Write", self.written_bytes * WRITE_DPU_A_BYTE, WRITE_MINIMUM))
            if self.regions > 1:
                found.append(("Multi-Region Write", self.written_bytes * WRITE_DPU_A_BYTE, WRITE_MINIMUM))
        found.append(("Total", sum(amount for _, amount, _ in found), 0.0))
        return found


@dataclass(slots=True)
class TextForm:
    options: Options
    lines: list[str] = field(default_factory=list)

    def of(self, root: Shown, summary: Summary) -> list[str]:
        self._node(root, 0)
        self.lines.extend(self._summary(summary))
        return self.lines

    def _node(self, node: Shown, indent: int) -> None:
        """`indent`: blanks before the arrow; the first node has none."""
        if node.relationship:
            self.lines.append(f"{' ' * indent}{node.relationship}")
            indent += 2
        first = not self.lines
        # Storage's nodes hang closer together than the processor's, as in Aurora DSQL.
        arrow, step = ("-> ", 4) if node.storage else ("->  ", 6)
        blanks = " " * indent
        figures = self._figures(node)
        self.lines.append(f"{blanks}{'' if first else arrow}{node.title}{figures}")
        inner = indent + 2 if first else indent + step
        below = " " * inner
        if self.options.verbose and node.output and not node.storage:
            self.lines.append(f"{below}Output: {', '.join(node.output)}")
        self.lines.extend(f"{below}{label}: {text}" if text else f"{below}{label}" for label, text in node.lines)
        for child in node.children:
            self._node(child, inner)

    def _figures(self, node: Shown) -> str:
        parts: list[str] = []
        if self.options.costs:
            cost = node.cost
            rows = round(cost.rows)
            parts.append(f"(cost={cost.startup:.2f}..{cost.total:.2f} rows={rows} width={cost.width})")
        if node.counted is not None:
            parts.append(self._actual(node.counted, node.storage))
        gap = " " if node.storage else "  "
        return gap + " ".join(parts) if parts else ""

    def _actual(self, counted: Counted, storage: bool) -> str:
        if not counted.loops:
            return "(never executed)"
        rows = round(counted.rows / counted.loops)
        if storage or not self.options.timing:
            return f"(actual rows={rows} loops={counted.loops})"
        first, total = counted.first / 1000 / counted.loops, counted.total / 1000 / counted.loops
        return f"(actual time={first:.3f}..{total:.3f} rows={rows} loops={counted.loops})"

    def _summary(self, summary: Summary) -> Iterator[str]:
        options = self.options
        if options.verbose and options.analyze:
            yield f"Query Identifier: {query_identifier(summary.text)}"
        if options.summary:
            if summary.planning is not None:
                yield f"Planning Time: {summary.planning:.3f} ms"
            if summary.execution is not None:
                yield f"Execution Time: {summary.execution:.3f} ms"
        if options.verbose and options.analyze:
            yield "Statement DPU Estimate:"
            for what, amount, least in summary.units():
                note = f" (Transaction minimum: {least:.5f})" if amount < least else ""
                yield f"  {what}: {amount:.5f} DPU{note}"


def document(root: Shown, summary: Summary, options: Options, form: str) -> str:
    """FORMAT JSON, YAML and XML."""
    described = _described(root, summary, options)
    if form == "yaml":
        return markup.yaml(described)
    return markup.xml(described) if form == "xml" else json.dumps([described], indent=2)


def _described(root: Shown, summary: Summary, options: Options) -> dict[str, Any]:
    made: dict[str, Any] = {"Plan": _tree(root, options, "")}
    if options.analyze and options.verbose:
        made["Query Identifier"] = query_identifier(summary.text)
    if options.summary:
        if summary.planning is not None:
            made["Planning Time"] = round(summary.planning, 3)
        if summary.execution is not None:
            made["Execution Time"] = round(summary.execution, 3)
    if options.analyze and options.verbose:
        made["Statement DPU Estimate"] = {what: round(amount, 5) for what, amount, _ in summary.units()}
    return made


def _tree(node: Shown, options: Options, relationship: str) -> dict[str, Any]:
    made: dict[str, Any] = {"Node Type": node.type}
    if relationship:
        made["Parent Relationship"] = relationship
    if node.relationship:
        made["Subplan Name"] = node.relationship
    if node.title.startswith(("Index Scan", "Index Only Scan")):
        made["Scan Direction"] = "Backward" if " Backward " in node.title else "Forward"
    made |= node.about
    if node.type == "Aggregate":
        made["Strategy"] = "Hashed" if node.title == "HashAggregate" else "Plain"
    if options.costs:
        cost = node.cost
        made |= {
            "Startup Cost": round(cost.startup, 2),
            "Total Cost": round(cost.total, 2),
            "Plan Rows": round(cost.rows),
            "Plan Width": cost.width,
        }
    if node.counted is not None:
        loops = max(node.counted.loops, 1)
        if options.timing and not node.storage:
            made["Actual Startup Time"] = round(node.counted.first / 1000 / loops, 3)
            made["Actual Total Time"] = round(node.counted.total / 1000 / loops, 3)
        made["Actual Rows"] = round(node.counted.rows / loops)
        made["Actual Loops"] = node.counted.loops
    if options.verbose and node.output and not node.storage:
        made["Output"] = list(node.output)
    for label, text in node.lines:
        made[label] = int(text) if label in ("Rows Removed by Filter", "Rows Filtered") else _listed(label, text)
    if node.children:
        made["Plans"] = [
            _tree(child, options, "SubPlan" if child.relationship else "Inner" if at else "Outer")
            for at, child in enumerate(node.children)
        ]
    return made


def _listed(label: str, text: str) -> str | list[str]:
    if label not in ("Sort Key", "Group Key", "Projections"):
        return text
    return text.split(", ") if text else []


def query_identifier(text: str) -> str:
    """Thirteen letters and digits that say which statement it is, whatever its spacing."""
    number = int.from_bytes(blake2b(" ".join(text.split()).encode(), digest_size=9).digest(), "big")
    return "".join(_ALPHABET[number >> 5 * at & 31] for at in range(_IDENTIFIER_LETTERS))
