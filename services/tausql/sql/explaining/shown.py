"""A plan as EXPLAIN shows it: fewer nodes than are run, and more.

A filter is a line of the node below it, projections are columns of the node below, but what happens in storage, one
operator to the executor, is shown as the scans and lookups that it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.execution.joins import HashJoin, IndexJoin, JoinNode
from tausql.sql.execution.rows import Filter, Project
from tausql.sql.execution.run import Counted, Node
from tausql.sql.execution.scans import CteRead, PointRead, RangeRead, SystemRead, TableNode
from tausql.sql.execution.sorting import Sort
from tausql.sql.execution.totals import StorageAggregate
from tausql.sql.execution.writes import Delete, Insert, Update, Write
from tausql.sql.explaining.costs import Cost, Coster

_JOIN_TYPES = {"inner": "Inner", "left": "Left", "full": "Full", "semi": "Semi", "anti": "Anti"}


@dataclass(slots=True)
class Shown:
    """One node. `title` of the text form; `type` and `about` (Relation Name, Index Name, ...) of JSON. `lines` are
    (label, text) pairs. `counted` is None without ANALYZE. `storage`: it runs there. `relationship`: SubPlan 1."""

    title: str
    type: str
    cost: Cost
    about: dict[str, Any] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    children: list[Shown] = field(default_factory=list)
    counted: Counted | None = None
    storage: bool = False
    relationship: str = ""


class Shower:
    """Makes the shown tree of one plan. `counts`: of EXPLAIN ANALYZE, by node."""

    def __init__(self, snapshot: Snapshot, counts: Mapping[int, Counted] | None, verbose: bool) -> None:
        self.counts = counts
        self.verbose = verbose
        self.coster = Coster(snapshot)

    def plan(self, plan: Node | Write) -> Shown:
        if not isinstance(plan, Write):
            return self.node(plan)
        name = {Insert: "Insert", Update: "Update", Delete: "Delete"}.get(type(plan), "Write")
        child = self.node(plan.source)
        table = plan.access.table
        made = Shown(f"{name} on {self._named(table.schema, table.name)}", "ModifyTable", Cost(*child.cost.times, 0, 0))
        made.about = {"Operation": name, "Relation Name": table.name, "Alias": table.name}
        if self.verbose:
            made.about["Schema"] = table.schema
        made.children = [child]
        if self.counts is not None:
            found = child.counted or Counted()
            made.counted = Counted(0, 1, found.total, found.total)
        return made

    def node(self, node: Node) -> Shown:
        if isinstance(node, Filter):
            return self._filtered(node)
        if node.title in ("Project", "Strip"):
            made = self.node(node.children[0])
            if isinstance(node, Project) and node.texts:
                made.output = list(node.texts)
            made.children += self._subplans(node)
            made.counted = self._counted(node) if made.counted is not None else None
            return made
        if isinstance(node, (PointRead, RangeRead)):
            return self._scan(node)
        made = Shown(node.title, _type_of(node), self.coster.of(node), counted=self._counted(node))
        made.lines = [(label, text) for label, _, text in (line.partition(": ") for line in node.lines)]
        made.children = [self.node(child) for child in node.children]
        self._particular(node, made)
        made.output = made.output or [text for child in made.children for text in child.output]
        made.children += self._subplans(node)
        return made

    def _particular(self, node: Node, made: Shown) -> None:
        if isinstance(node, JoinNode):
            made.about["Join Type"] = _JOIN_TYPES.get(node.kind, node.kind.title())
        if isinstance(node, IndexJoin):
            made.lines.insert(0, ("Join Type", made.about["Join Type"]))
            if node.inner.conditions:
                made.lines.insert(1, ("Recheck Cond", joined(node.inner.conditions)))
        elif isinstance(node, HashJoin):
            inner = made.children[1]
            hashed = Shown("Hash", "Hash", Cost(inner.cost.total, inner.cost.total, inner.cost.rows, inner.cost.width))
            hashed.output, hashed.children, hashed.counted = list(inner.output), [inner], inner.counted
            made.children[1] = hashed
        elif isinstance(node, StorageAggregate):
            read = made.children[0]
            storage = read.children[0]
            storage.lines = [line for line in storage.lines if line[0] != "Projections"]
            storage.lines.append(("Aggregates", node.text or "none"))
            read.output = []
            made.output = [text for text in (node.key_text, node.text) if text]
        elif isinstance(node, Sort) and node.limit is not None and made.counted is not None:
            made.lines.append(("Sort Method", "top-N heapsort"))
        elif isinstance(node, (CteRead, SystemRead)):
            made.about["Alias"] = node.name if isinstance(node, CteRead) else node.relation.name

    def _filtered(self, node: Filter) -> Shown:
        made = self.node(node.child)
        counted = self._counted(node)
        made.lines.append(("Filter", node.text))
        if counted is not None and made.counted is not None:
            made.lines.append(("Rows Removed by Filter", str(made.counted.rows - counted.rows)))
            made.counted = counted
        made.cost = self.coster.of(node)
        made.children += self._subplans(node)
        return made

    def _scan(self, node: PointRead | RangeRead) -> Shown:
        """The read, and below it what storage does for it."""
        access = node.access
        index = node.index if isinstance(node, RangeRead) else None
        source = index or (access.table.primary_key_name if access.has_primary_key else access.table.name)
        cost = self.coster.of(node)
        counted = self._counted(node)
        made = Shown(self._scan_title(node), _type_of(node), cost, counted=counted)
        made.about = {"Relation Name": access.table.name, "Alias": node.alias}
        if self.verbose:
            made.about["Schema"] = access.table.schema
        if source != access.table.name:
            made.about["Index Name"] = source
        made.output = node.projections
        condition = [("Index Cond", joined(node.conditions))] if node.conditions else []
        made.lines += condition
        fetched = isinstance(node, RangeRead) and node.fetch
        storage = Shown(f"Storage Scan on {source}", "Storage Scan", cost, counted=_apart(counted), storage=True)
        btree = Shown(
            f"B-Tree Scan on {source}", "B-Tree Scan", Cost(cost.startup, cost.total, node.examined, cost.width),
            lines=condition, counted=_examined(counted), storage=True,
        )  # fmt: skip
        projections = ("Projections", ", ".join(node.projections))
        filters = [("Filters", joined([test.text for test in node.tests]))] if node.tests else []
        if filters and counted is not None and counted.examined is not None:
            filters.append(("Rows Filtered", str(max(0, counted.examined - counted.rows))))
        storage.children = [btree]
        made.children = [storage]
        if fetched:
            lookup = Shown(
                f"Storage Lookup on {access.table.name}", "Storage Lookup", cost, lines=[projections, *filters],
                counted=_apart(counted), storage=True,
            )  # fmt: skip
            lookup.children = [
                Shown(f"B-Tree Lookup on {access.table.name}", "B-Tree Lookup", cost, counted=_examined(counted),
                      storage=True)
            ]  # fmt: skip
            made.children.append(lookup)
        else:
            storage.lines = [projections, *filters]
        made.children += self._subplans(node)
        return made

    def _scan_title(self, node: TableNode) -> str:
        head, found, _ = node.title.partition(" on ")
        if not found:
            return node.title
        table = node.access.table
        name = self._named(table.schema, table.name)
        return f"{head} on {name}" + ("" if node.alias == table.name else f" {node.alias}")

    def _named(self, schema: str, name: str) -> str:
        return f"{schema}.{name}" if self.verbose else name

    def _subplans(self, node: Node) -> list[Shown]:
        subplans = getattr(node, "subplans", None)
        found: list[Shown] = []
        for part in subplans.parts if subplans is not None else ():
            child = self.node(part.node)
            child.relationship = f"SubPlan {part.index + 1}"
            found.append(child)
        return found

    def _counted(self, node: Node) -> Counted | None:
        if self.counts is None:
            return None
        return self.counts.get(id(node), Counted())


def joined(texts: Sequence[str]) -> str:
    """Conditions that all hold, in parentheses once."""
    return texts[0] if len(texts) == 1 else f"({' AND '.join(texts)})"


def _type_of(node: Node) -> str:
    title = node.title
    for end in (" using ", " on "):
        title = title.partition(end)[0]
    return "Aggregate" if title in ("HashAggregate", "Aggregate") else title.removesuffix(" Backward")


def _apart(counted: Counted | None) -> Counted | None:
    """What storage did: rows, but no times of its own."""
    return None if counted is None else Counted(counted.rows, counted.loops)


def _examined(counted: Counted | None) -> Counted | None:
    if counted is None:
        return None
    return Counted(counted.rows if counted.examined is None else counted.examined, counted.loops)
