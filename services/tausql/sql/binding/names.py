"""Which column a name means: the namespace of one query block, and the way out to the query around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.bound import Relation, RelationColumn
from tausql.sql.expressions.nodes import Expr, OuterSlot, Slot
from tausql.sql.types.type import Type


@dataclass(slots=True)
class VisibleColumn:
    """A column as `SELECT *` and unqualified names see it: of one relation, or merged by USING."""

    name: str
    expr: Expr
    column: RelationColumn | None  # None where USING made it from two


@dataclass(slots=True)
class Namespace:
    """What the FROM clause, or a part of it, makes visible."""

    columns: list[VisibleColumn] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def add(self, relation: Relation) -> None:
        self.relations.append(relation)
        self.columns.extend(VisibleColumn(column.name, slot_of(column), column) for column in relation.columns)

    def extend(self, other: Namespace) -> None:
        self.relations.extend(other.relations)
        self.columns.extend(other.columns)

    def check_aliases(self, other: Namespace) -> None:
        names = {relation.alias for relation in self.relations}
        for relation in other.relations:
            if relation.alias and relation.alias in names:
                raise SqlError(Code.duplicate_alias, f'table name "{relation.alias}" specified more than once')

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


class OuterLink:
    """From a subquery to the block it stands in. Collects what it takes from there; see `bound`."""

    __slots__ = ("around", "correlations")

    def __init__(self, around: NameScope) -> None:
        self.around = around
        self.correlations: list[Expr] = []

    def lookup(self, parts: tuple[str, ...]) -> OuterSlot | None:
        outer = self.around.lookup(parts)
        if outer is None:
            return None
        if outer not in self.correlations:
            self.correlations.append(outer)
        at = self.correlations.index(outer)
        return OuterSlot(level=1, slot=at, type=outer.type, typmod=outer.typmod, name=parts[-1])


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
            return visible.expr if visible is not None else None
        relation = self._relation(parts[:-1])
        if relation is None:
            return None
        found = [column for column in relation.columns if column.name == name]
        if len(found) > 1:
            raise SqlError(Code.ambiguous_column, f'column reference "{name}" is ambiguous')
        return slot_of(found[0]) if found else None

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
            if self.namespace.relation(name) is not None:
                return not_supported(f'whole-row reference to "{name}" not supported')
            if name in _SYSTEM_COLUMNS and self.namespace.relations:
                return not_supported(f'system column "{name}" not supported')
            return SqlError(Code.undefined_column, f'column "{name}" does not exist', hint=self._hint(name))
        scope: NameScope | None = self
        while scope is not None:
            if scope._relation(parts[:-1]) is not None:
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
