"""Which column a name means: the namespace of one query block, and the way out to the query around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.bound import Relation, RelationColumn, TableSource
from tausql.sql.expressions.nodes import Const, Expr, IsNull, Or, OuterSlot, RowExpr, Slot
from tausql.sql.types.builtin import OID, XID
from tausql.sql.types.type import Type


@dataclass(slots=True)
class VisibleColumn:
    """A column as `SELECT *` and unqualified names see it: of one relation, or merged by USING."""

    name: str
    expr: Expr
    column: RelationColumn | None  # None where USING made it from two


@dataclass(slots=True)
class Namespace:
    """What the FROM clause, or a part of it, makes visible. `joins`: the columns of joins that have a name of their
    own; `hidden`: the relations below a named join, which only its columns lead to."""

    columns: list[VisibleColumn] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    joins: dict[str, list[VisibleColumn]] = field(default_factory=dict)
    hidden: list[Relation] = field(default_factory=list)

    def add(self, relation: Relation) -> None:
        self.relations.append(relation)
        self.columns += [VisibleColumn(column.name, slot_of(column), column) for column in relation.columns]

    def extend(self, other: Namespace) -> None:
        self.columns.extend(other.columns)
        self.take_names(other)

    def beside(self, other: Namespace) -> Namespace:
        """What both make visible."""
        made = Namespace([*self.columns, *other.columns])
        made.take_names(self)
        made.take_names(other)
        return made

    def take_names(self, other: Namespace) -> None:
        """Everything but the columns."""
        self.relations.extend(other.relations)
        self.joins.update(other.joins)
        self.hidden.extend(other.hidden)

    def check_aliases(self, other: Namespace) -> None:
        names = {*(relation.alias for relation in self.relations), *self.joins}
        for alias in (*(relation.alias for relation in other.relations), *other.joins):
            if alias and alias in names:
                raise SqlError(Code.duplicate_alias, f'table name "{alias}" specified more than once')

    def all_relations(self) -> list[Relation]:
        return [*self.relations, *self.hidden]

    def relation(self, name: str) -> Relation | None:
        return next((relation for relation in self.relations if relation.alias == name), None)

    def find(self, name: str) -> VisibleColumn | None:
        """The one visible column of this name. Raises 42702 where there are several."""
        found = [visible for visible in self.columns if visible.name == name]
        if len(found) > 1:
            raise SqlError(Code.ambiguous_column, f'column reference "{name}" is ambiguous')
        return found[0] if found else None


def slot_of(column: RelationColumn) -> Slot:
    return Slot(slot=column.slot, type=column.type, typmod=column.typmod, name=column.name)


def whole_row(relation: Relation) -> RowExpr:
    """A relation's name as a value: all its columns."""
    return RowExpr(
        items=tuple(slot_of(column) for column in relation.columns),
        names=tuple(column.name for column in relation.columns),
        present=_present(relation) if relation.nullable else None,
        relation=relation.row_type,
    )


def _present(relation: Relation) -> Expr:
    """Whether an outer join found a row: told by a column that is never NULL, else by any that is not."""
    source = relation.source
    never: list[RelationColumn] = []
    if isinstance(source, TableSource):
        table = source.table
        sure = {column.position for column in table.columns if column.not_null} | set(table.primary_key)
        never = [column for column in relation.columns if column.slot - relation.base in sure]
    tests = tuple(IsNull(arg=slot_of(column), negated=True) for column in (never[:1] or relation.columns))
    return tests[0] if len(tests) == 1 else Or(args=tests)


FROZEN: Final = 2  # the transaction id of what is older than every transaction


def system_column(relation: Relation, name: str) -> Const | None:
    """tableoid is known before any row is read, as nothing here inherits. xmin is there in the catalogue's relations,
    for tools that ask which of their rows are new: none ever is."""
    system = getattr(relation.source, "relation", None)
    if name == "xmin":
        return None if system is None else Const(value=FROZEN, type=XID)
    table = getattr(relation.source, "table", None) or system
    return None if table is None else Const(value=table.oid, type=OID)


class OuterLink:
    """From a subquery to the block it stands in. Collects what it takes from there; see `bound`."""

    __slots__ = ("around", "check_aggregate", "correlations")

    def __init__(self, around: NameScope, check_aggregate: Callable[[str], None] | None = None) -> None:
        self.around = around
        self.correlations: list[Expr] = []
        self.check_aggregate = check_aggregate  # whether the place outside may have aggregates; None: it may not

    def lookup(self, parts: tuple[str, ...]) -> OuterSlot | RowExpr | Const | None:
        outer = self.around.lookup(parts)
        if outer is None or isinstance(outer, Const):
            return outer
        if isinstance(outer, RowExpr):
            items = tuple(self.take(item, name) for item, name in zip(outer.items, outer.names, strict=True))
            present = None if outer.present is None else self.take(outer.present, parts[-1])
            return RowExpr(items=items, names=outer.names, present=present, relation=outer.relation)
        return self.take(outer, parts[-1])

    def take(self, outer: Expr, name: str) -> OuterSlot:
        if outer not in self.correlations:
            self.correlations.append(outer)
        at = self.correlations.index(outer)
        return OuterSlot(level=1, slot=at, type=outer.type, typmod=outer.typmod, name=name)


_SYSTEM_COLUMNS = frozenset(("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"))


class NameScope:
    """Column lookup of a block: its own namespace first, then the link outwards."""

    __slots__ = ("link", "namespace")

    def __init__(self, namespace: Namespace, link: OuterLink | None) -> None:
        self.namespace = namespace
        self.link = link

    def lookup(self, parts: tuple[str, ...]) -> Expr | None:
        """The expression a column name stands for, None where neither this block nor one around it has it."""
        found = self._own(parts)
        if found is not None:
            return found
        return self.link.lookup(parts) if self.link is not None else None

    def resolve(self, parts: tuple[str, ...]) -> Expr:
        found = self.lookup(parts)
        if found is not None:
            return found
        raise self._unknown(parts)

    def _own(self, parts: tuple[str, ...]) -> Expr | None:
        name = parts[-1]
        if len(parts) == 1:
            visible = self.namespace.find(name)
            if visible is not None:
                return visible.expr
            joined = self.namespace.joins.get(name)
            if joined is not None:
                return RowExpr(
                    items=tuple(column.expr for column in joined), names=tuple(column.name for column in joined)
                )
            whole = self.namespace.relation(name)
            if whole is None and name in ("tableoid", "xmin") and len(self.namespace.relations) == 1:
                return system_column(self.namespace.relations[0], name)
            return None if whole is None else whole_row(whole)
        relation = self._relation(parts[:-1])
        if relation is None:
            return self._of_join(parts) if len(parts) == 2 else None
        found = [column for column in relation.columns if column.name == name]
        if len(found) > 1:
            raise SqlError(Code.ambiguous_column, f'column reference "{name}" is ambiguous')
        if not found and name in ("tableoid", "xmin"):
            return system_column(relation, name)
        return slot_of(found[0]) if found else None

    def _of_join(self, parts: tuple[str, ...]) -> Expr | None:
        """A column of a join that has a name."""
        alias, name = parts
        found = [column for column in self.namespace.joins.get(alias, ()) if column.name == name]
        if len(found) > 1:
            raise SqlError(Code.ambiguous_column, f'column reference "{name}" is ambiguous')
        return found[0].expr if found else None

    def _relation(self, parts: tuple[str, ...]) -> Relation | None:
        relation = self.namespace.relation(parts[-1])
        if relation is None or len(parts) == 1:
            return relation
        table = getattr(relation.source, "table", None) or getattr(relation.source, "relation", None)
        if table is None or table.schema != parts[-2] or table.name != parts[-1]:
            return None
        return relation

    def _unknown(self, parts: tuple[str, ...]) -> SqlError:
        name = parts[-1]
        if len(parts) == 1:
            if name in _SYSTEM_COLUMNS and self.namespace.relations:
                return not_supported(f'system column "{name}" not supported')
            return SqlError(Code.undefined_column, f'column "{name}" does not exist', hint=self._hint(name))
        scope: NameScope | None = self
        while scope is not None:
            if scope._relation(parts[:-1]) is not None or parts[-2] in scope.namespace.joins:
                full = ".".join(parts[-2:])
                return SqlError(Code.undefined_column, f"column {full} does not exist", hint=scope._hint(name))
            scope = scope.link.around if scope.link is not None else None
        table = parts[-2]
        hidden = next((relation for relation in self.namespace.relations if _table_name(relation) == table), None)
        if hidden is not None:
            return SqlError(
                Code.undefined_table,
                f'invalid reference to FROM-clause entry for table "{table}"',
                hint=f'Perhaps you meant to reference the table alias "{hidden.alias}".',
            )
        if any(relation.alias == table for relation in self.namespace.hidden):
            there = f'There is an entry for table "{table}", but it cannot be referenced from this part of the query.'
            return SqlError(
                Code.undefined_table, f'invalid reference to FROM-clause entry for table "{table}"', detail=there
            )
        return SqlError(Code.undefined_table, f'missing FROM-clause entry for table "{table}"')

    def _hint(self, name: str) -> str | None:
        """PostgreSQL's suggestion, where exactly one column is a few letters away."""
        best: list[tuple[Relation, str]] = []
        closest = max(1, min(3, len(name) // 2)) + 1
        for relation in self.namespace.relations:
            for column in relation.columns:
                away = _distance(name, column.name, closest)
                if away < closest:
                    best, closest = [(relation, column.name)], away
                elif away == closest and best:
                    best.append((relation, column.name))
        if len(best) != 1:
            return None
        relation, column_name = best[0]
        return f'Perhaps you meant to reference the column "{relation.alias}.{column_name}".'


def _table_name(relation: Relation) -> str:
    table = getattr(relation.source, "table", None)
    return table.name if table is not None else ""


def _distance(left: str, right: str, bound: int) -> int:
    """Levenshtein distance, `bound` where it is at least that."""
    if abs(len(left) - len(right)) >= bound:
        return bound
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (a != b)))
        previous = current
    return min(previous[-1], bound)


def output_type_columns(columns: Sequence[tuple[str, Type, int]], base: int) -> list[RelationColumn]:
    return [RelationColumn(name, type, typmod, base + at) for at, (name, type, typmod) in enumerate(columns)]
