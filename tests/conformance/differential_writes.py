"""Random writes: INSERT, ON CONFLICT, UPDATE, DELETE, with RETURNING, in WITH, through views."""

# ruff: noqa: E501 - templates of SQL read better unbroken

from __future__ import annotations

from differential_expressions import Scope, shown
from differential_forms import Forms
from differential_schema import Table


class Writes(Forms):
    def write(self) -> str:
        table = self.random.choice(self.tables)
        make, target = self.random.choices(
            ((self._written_with, ""), (self._insert, table.name), (self._upsert, "target"), (self._update, "target"), (self._delete, "target")),
            (7, 22, 18, 32, 21),
        )[0]  # fmt: skip
        text = make(table)
        if not target or not self.chance(0.4):
            return text
        if "USING" in text or " FROM (" in text:
            return f"{text} RETURNING target.id"
        scope = [shown(table, target)]
        items = ", ".join(text_ for text_, _ in self.items(scope, 2, False))
        count = f"(SELECT count(*) FROM {self.random.choice(self.tables).name}) AS others"
        return f"{text} RETURNING {self.one('*', '*', items, f'{target}.id AS key, {count}')}"

    def _insert(self, table: Table) -> str:
        if self.chance(0.6):
            rows = ", ".join(f"({', '.join(self.row(table))})" for _ in range(self.random.randint(1, 4)))
            return f"INSERT INTO {table.name} VALUES {rows}"
        if self.chance(0.3):
            self.rows += 1
            return f"INSERT INTO {table.name} (id) VALUES ({self.rows})"
        other = self.random.choice(self.tables)
        alias, scope = self._aliased(other)
        columns = [column for column in table.settable if self.chance(0.7)]
        self.rows += 300
        items = [f"{alias}.id + {self.rows}", *[self.column(scope, column.kind) or "NULL" for column in columns]]
        names = ", ".join(["id", *[column.name for column in columns]])
        query = f"SELECT {', '.join(items)} FROM {other.name} {alias} WHERE {self.predicate(scope, 1)} AND {alias}.id < 40"
        if self.chance(0.2):
            return f"WITH q AS ({query}) INSERT INTO {table.name} ({names}) SELECT * FROM q"
        return f"INSERT INTO {table.name} ({names}) {query}"

    def _aliased(self, table: Table) -> tuple[str, Scope]:
        alias = self.alias()
        return alias, [shown(table, alias)]

    def _upsert(self, table: Table) -> str:
        rows = []
        for _ in range(self.random.randint(1, 3)):
            cells = self.row(table)
            cells[0] = str(self.random.randint(1, 20))
            rows.append(f"({', '.join(cells)})")
        text = f"INSERT INTO {table.name} AS target VALUES {', '.join(rows)}"
        if not table.key or self.chance(0.3):
            return f"{text} ON CONFLICT DO NOTHING"
        named = not table.shows and self.chance(0.2)
        text += f" ON CONFLICT ON CONSTRAINT {table.name}_pkey" if named else f" ON CONFLICT ({', '.join(table.key)})"
        if self.chance(0.3) or not table.settable:
            return f"{text} DO NOTHING"
        scope = [shown(table, "target"), shown(table, "excluded")]
        return f"{text} DO UPDATE SET {self._settings(table, scope)}{self.where(scope, 0.3, 0)}"

    def _settings(self, table: Table, scope: Scope) -> str:
        settings = []
        chosen = self.random.sample(table.settable, min(len(table.settable), self.random.choice((1, 1, 2))))
        if len(chosen) == 2 and self.chance(0.3):
            other = self.random.choice(self.tables)
            alias, inner = self._aliased(other)
            values = [self.column(inner, column.kind) or "NULL" for column in chosen]
            if not any("json" in column.kind for column in chosen) and self.chance(0.5):
                query = f"SELECT DISTINCT {', '.join(values)} FROM {other.name} {alias} WHERE {alias}.id = {self.random.randint(1, 30)} ORDER BY 1, 2 LIMIT 1"
                return f"({chosen[0].name}, {chosen[1].name}) = ({query})"
            return f"({chosen[0].name}, {chosen[1].name}) = ROW({self.literal(chosen[0].kind, False)}, DEFAULT)"
        for column in chosen:
            if column.type in ("smallint", "varchar(12)", "char(6)", "real") or column.kind == "numeric":
                value = self.literal(column.kind, False)
            elif column.refers is not None:
                value = self.one("NULL", str(self.random.choice(column.refers.ids or [0])), column.name)
            elif column.type == "integer":
                value = f"({self.column(scope, 'int')})"
            else:
                value = self.expression(column.kind, scope, 1) if self.chance(0.7) else "DEFAULT"
            settings.append(f"{column.name} = {value}")
        return ", ".join(settings)

    def _update(self, table: Table) -> str:
        target = shown(table, "target")
        if self.chance(0.2) and table.settable:
            other = self.random.choice(self.tables)
            source = f"(SELECT id, count(*) AS n FROM {other.name} GROUP BY id) source"
            return f"UPDATE {table.name} AS target SET {self._settings(table, [target])} FROM {source} WHERE target.id = source.id AND {self.predicate([target], 1)}"
        if self.chance(0.1) or not table.settable:
            return f"UPDATE {table.name} AS target SET id = id + {self.one('0', '1000', '5000')} WHERE {self.predicate([target], 0)}"
        return f"UPDATE {table.name} AS target SET {self._settings(table, [target])} WHERE {self.predicate([target], 1)}"

    def _delete(self, table: Table) -> str:
        target = shown(table, "target")
        if self.chance(0.25):
            other, alias = self.random.choice(self.tables), self.alias()
            where = self.predicate([target, shown(other, alias)], 1)
            return f"DELETE FROM {table.name} AS target USING {other.name} {alias} WHERE target.id = {alias}.id AND {where} AND target.id % 3 = 0"
        return f"DELETE FROM {table.name} AS target WHERE {self.predicate([target], 1)} AND target.id % 4 = {self.random.randint(0, 3)}"

    def _written_with(self, table: Table) -> str:
        """Rows written in WITH, and what the rest of the statement sees of them."""
        alias, scope = self._aliased(table)
        where = self.predicate(scope, 1)
        other = self.random.choice(self.tables)
        gone = f"WITH gone AS (DELETE FROM {table.name} {alias} WHERE {where} RETURNING *)"
        changed = f"WITH changed AS (UPDATE {table.name} {alias} SET id = {alias}.id + 20000 WHERE {where} RETURNING {alias}.id)"
        return self.one(
            f"{gone} SELECT count(*), (SELECT count(*) FROM {table.name}), (SELECT count(*) FROM {other.name}) FROM gone",
            f"{gone} INSERT INTO {table.name} SELECT * FROM gone",
            f"{gone}, kept AS (SELECT * FROM {other.name}) SELECT (SELECT count(*) FROM gone), count(*) FROM kept",
            f"{changed} SELECT changed.id, (SELECT max(id) FROM {table.name}) FROM changed",
            f"{changed} DELETE FROM {other.name} WHERE id IN (SELECT id - 20000 FROM changed) RETURNING id",
        )
