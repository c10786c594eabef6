"""Random tables, views and rows for the differential test: the same seed makes the same ones.

Tables have what an application gives them: keys, unique and partial indexes, checks, foreign keys with actions,
generated columns, defaults. Values are few, so that they meet one another in joins, groups and constraints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

T = TypeVar("T")

# SQL type -> kind. The kind says which operators and literals fit.
TYPES = {
    "smallint": "int",
    "integer": "int",
    "bigint": "int",
    "numeric(10,2)": "numeric",
    "numeric(20,6)": "numeric",
    "real": "float",
    "double precision": "float",
    "boolean": "bool",
    "text": "text",
    "varchar(12)": "text",
    "char(6)": "text",
    "uuid": "uuid",
    "date": "date",
    "time": "time",
    "timetz": "timetz",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "interval": "interval",
    "bytea": "bytea",
    "json": "json",
    "jsonb": "jsonb",
}
KEY_TYPES = ("smallint", "integer", "bigint", "numeric(10,2)", "text", "varchar(12)", "uuid", "date", "timestamp",
             "timestamptz", "boolean", "char(6)", "double precision", "time")  # fmt: skip
VALUES = {
    "int": ["0", "1", "2", "3", "4", "5", "7", "10", "-1", "-3", "100", "32767"],
    "numeric": ["0", "0.5", "1.00", "1.5", "2.25", "-3.75", "10.10", "99.99", "1000"],
    "float": ["0", "0.5", "1", "1.25", "-2.5", "4", "1024", "-0.75"],
    "bool": ["true", "false"],
    "text": ["", "a", "ab", "abc", "b", "B", "ba", "x y", "a%b", "a_c", "Zoë", "10", "7", "it''s", "\\n"],
    "uuid": [f"00000000-0000-0000-0000-00000000000{digit}" for digit in "12345"]
    + ["fedcba98-7654-3210-fedc-ba9876543210"],
    "date": ["2024-01-01", "2024-02-29", "2024-03-01", "1999-12-31", "2030-07-15", "infinity", "0044-03-15 BC"],
    "time": ["00:00", "01:02:03", "12:30:00.5", "23:59:59.999999", "24:00"],
    "timetz": ["00:00+00", "01:02:03+02", "12:30:00.5-07:30", "10:00+00"],
    "timestamp": ["2024-01-01 00:00", "2024-02-29 12:34:56.789", "1999-12-31 23:59:59", "-infinity", "2030-01-01"],
    "timestamptz": ["2024-01-01 00:00+00", "2024-02-29 12:34:56.789+02", "1999-12-31 23:59:59-08", "infinity"],
    "interval": ["1 day", "2 hours", "1 month", "-3 days", "1 year 2 mons 3 days 04:05:06.7", "0"],
    "bytea": ["", "\\x00", "\\x01ff", "\\xdeadbeef", "abc"],
    "json": ['{"a": 1}', "[1, 2,  3]", "null", '"x"', '{"b":{"c":[true]},"a":1}'],
    "jsonb": ['{"a": 1}', "[1, 2, 3]", "null", '"x"', '{"b": {"c": [true]}, "a": 1.50}', "{}", "12", "false"],
    "ints": ["{}", "{1,2,3}", "{NULL,5}", "{7}", "{3,1,2,1}"],  # arrays: of expressions, not of columns
    "texts": ["{}", "{a,b}", '{"x y",NULL}', "{b,a,b}"],
}  # fmt: skip
CAST = {"int": "bigint", "numeric": "numeric", "float": "double precision", "bool": "boolean", "ints": "integer[]",
        "texts": "text[]"}  # fmt: skip
UNSORTABLE = ("json",)
ACTIONS = ("", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON DELETE RESTRICT ON UPDATE CASCADE",
           " ON UPDATE SET NULL", " DEFERRABLE INITIALLY DEFERRED", " ON DELETE CASCADE ON UPDATE CASCADE")  # fmt: skip
GENERATED = {
    "int": ("bigint", "{}::bigint * 2"),
    "text": ("text", "upper({})"),
    "numeric": ("numeric(20,6)", "{} + 1"),
    "bool": ("boolean", "NOT {}"),
    "date": ("date", "{} + 1"),
}


@dataclass(slots=True)
class Column:
    """`generated`: its expression. `refers`: the table whose id it holds."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    generated: str | None = None
    refers: Table | None = None
    action: str = ""

    @property
    def kind(self) -> str:
        return TYPES[self.type]

    def defined(self) -> str:
        text = f"{self.name} {self.type}"
        if self.not_null:
            text += " NOT NULL"
        if self.default is not None:
            text += f" DEFAULT {self.default}"
        if self.generated is not None:
            text += f" GENERATED ALWAYS AS ({self.generated}) STORED"
        if self.refers is not None:
            text += f" REFERENCES {self.refers.name} (id){self.action}"
        return text


@dataclass(slots=True)
class Index:
    """`items`: columns and expressions. `where`: of a partial one."""

    items: list[str]
    unique: bool = False
    where: str = ""

    def create(self, table: str, how: str = "") -> str:
        where = f" WHERE {self.where}" if self.where else ""
        return f"CREATE {'UNIQUE ' if self.unique else ''}INDEX {how}ON {table} ({', '.join(self.items)}){where}"


@dataclass(slots=True)
class Table:
    """A table, or a view of one that rows can be written through (`shows`: its query)."""

    name: str
    columns: list[Column]
    key: list[str]
    constraints: list[str] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    shows: str = ""

    def create(self) -> str:
        if self.shows:
            return f"CREATE VIEW {self.name} AS {self.shows}"
        parts = [column.defined() for column in self.columns]
        if self.key:
            parts.append(f"PRIMARY KEY ({', '.join(self.key)})")
        return f"CREATE TABLE {self.name} ({', '.join([*parts, *self.constraints])})"

    @property
    def settable(self) -> list[Column]:
        """Columns that a statement may give values."""
        return [column for column in self.columns if column.generated is None and column.name != "id"]


@dataclass(slots=True)
class Step:
    """One statement. `ordered`: its rows come in one order only. `mode`: simple, text or binary (results of the
    extended protocol). `mutilated`: it lost a word; that both refuse it is enough, as they need not meet the same
    error first."""

    sql: str
    params: list[str | None] = field(default_factory=list)
    ordered: bool = False
    mode: str = "simple"
    mutilated: bool = False
    topic: str = "wrong"


class Chooser:
    """What everything random here is chosen by. `params`: values of the statement's parameters, None where it has
    none; `rows`: the last id given out."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tables: list[Table] = []
        self.params: list[str | None] | None = None
        self.aliases = 0
        self.rows = 0

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, *choices: str) -> str:
        return self.random.choice(choices)

    def pick(self, *forms: Callable[[], T]) -> T:
        """One of them is made; the others use up no parameters."""
        return self.random.choice(forms)()

    def alias(self) -> str:
        self.aliases += 1
        return f"a{self.aliases}"

    def quoted(self, kind: str) -> str:
        value = self.random.choice(VALUES[kind])
        return value if kind in ("int", "numeric", "float", "bool") else f"'{value}'"

    def literal(self, kind: str, cast: bool = True) -> str:
        """A literal, or a parameter. cast: where its place does not say its type."""
        type = CAST.get(kind, kind)
        if self.params is not None and self.chance(0.6):
            value = None if self.chance(0.05) else self.random.choice(VALUES[kind]).replace("''", "'")
            self.params.append(value)
            name = f"${len(self.params)}"
            return f"{name}::{type}" if cast else name
        text = self.quoted(kind)
        if kind in ("int", "numeric", "float", "bool"):
            return f"({text})" if text.startswith("-") else text
        if not cast or (kind == "text" and self.chance(0.5)):
            return text
        shown = [f"{text}::{type}", f"CAST({text} AS {type})"]
        return self.random.choice(shown if type.endswith("[]") else [*shown, f"{type} {text}"])


class Schemas(Chooser):
    """Makes tables, views and rows."""

    def schema(self, prefix: str) -> list[Table]:
        for number in range(self.random.randint(2, 4)):
            self.tables.append(self._table(f"{prefix}_t{number}"))
        if self.chance(0.4):
            self.tables.append(self._view(f"{prefix}_v", self.random.choice(self.tables)))
        return self.tables

    def _table(self, name: str) -> Table:
        random = self.random
        columns = [Column("id", self.one("integer", "bigint"))]
        names = ["k", "v", "w", "x", "y", "z", '"Mixed Case"', '"sélect"']
        for at in range(random.randint(3, 7)):
            type = random.choice(list(TYPES)) if at else self.one("integer", "text", "numeric(10,2)")
            column = Column(names[at], type, self.chance(0.15))
            if self.chance(0.2):
                column.default = self.quoted(column.kind)
            columns.append(column)
        keyable = [column.name for column in columns[1:] if column.type in KEY_TYPES]
        shape = random.random()
        key = ["id"] if shape < 0.7 else []
        if shape >= 0.85 and keyable:
            key = ["id", random.choice(keyable)]
        self._add_generated(columns)
        self._add_reference(columns)
        made = Table(name, columns, key, self._constraints(columns, keyable), self._indexes(columns, keyable))
        if key == ["id"] and self.chance(0.15):
            columns.append(Column("upper_id", columns[0].type, refers=made, action=self.one(*ACTIONS)))
        return made

    def _add_generated(self, columns: list[Column]) -> None:
        sources = [one for one in columns[1:] if one.kind in GENERATED and one.type not in ("char(6)", "real")]
        if sources and self.chance(0.2):
            source = self.random.choice(sources)
            type, text = GENERATED[source.kind]
            columns.append(Column("made", type, generated=text.format(source.name)))

    def _add_reference(self, columns: list[Column]) -> None:
        parents = [table for table in self.tables if table.key == ["id"]]
        if parents and self.chance(0.35):
            parent = self.random.choice(parents)
            columns.append(Column("parent", parent.columns[0].type, refers=parent, action=self.one(*ACTIONS)))

    def _constraints(self, columns: list[Column], keyable: list[str]) -> list[str]:
        made = [f"UNIQUE (id, {keyable[0]})"] if keyable and self.chance(0.3) else []
        if keyable and self.chance(0.1):
            made.append(f"UNIQUE NULLS NOT DISTINCT (id, {keyable[-1]})")
        for column in columns[1:]:
            if column.generated is None and column.refers is None and self.chance(0.08):
                name = "" if self.chance(0.5) else f"CONSTRAINT {self.one('ok', 'fine')}_{len(made)} "
                test = {
                    "int": f"{column.name} <> 32767", "text": f"length({column.name}) < 4 OR {column.name} <> 'a%b'",
                    "numeric": f"{column.name} BETWEEN -3 AND 1000", "float": f"{column.name} > -2",
                    "date": f"{column.name} > '1000-01-01'", "interval": f"{column.name} >= '0'",
                }.get(column.kind, f"{column.name} IS NOT NULL OR id > 3")  # fmt: skip
                made.append(f"{name}CHECK ({test})")
        return made

    def _indexes(self, columns: list[Column], keyable: list[str]) -> list[Index]:
        made = []
        for _ in range(self.random.randint(0, 2) if keyable else 0):
            items = self.random.sample(keyable, min(len(keyable), self.random.choice((1, 1, 2))))
            index = Index(items)
            texts = [column.name for column in columns if column.type in ("text", "varchar(12)")]
            if texts and self.chance(0.15):
                index.items = [f"lower({texts[0]})"]
            if self.chance(0.15):
                index.where = self.one("id > 3", f"{items[0]} IS NOT NULL", "id % 2 = 0")
            if self.chance(0.1):
                index.unique, index.items = True, ["id", items[0]]
            made.append(index)
        return made

    def _view(self, name: str, table: Table) -> Table:
        columns = [table.columns[0], *[column for column in table.columns[1:] if column.not_null or self.chance(0.7)]]
        shown = ", ".join(column.name for column in columns)
        where = self.one("", " WHERE id < 30", " WHERE id % 2 = 1", " WHERE id IS NOT NULL")
        option = self.one("", "", " WITH CHECK OPTION", " WITH LOCAL CHECK OPTION") if where else ""
        key = table.key if {*table.key} <= {column.name for column in columns} else []
        return Table(name, columns, key, shows=f"SELECT {shown} FROM {table.name}{where}{option}")

    def filling(self, table: Table) -> list[Step]:
        steps: list[Step] = []
        for _ in range(0 if table.shows else 2):
            rows = [f"({', '.join(self.row(table))})" for _ in range(self.random.randint(3, 12))]
            steps.append(Step(f"INSERT INTO {table.name} VALUES {', '.join(rows)}", topic="filling"))
        return steps

    def row(self, table: Table) -> list[str]:
        cells = []
        for column in table.columns:
            if column.name == "id":
                self.rows += 1
                id = self.rows if self.chance(0.97) else self.random.randint(1, self.rows)
                table.ids.append(id)
                cells.append(str(id))
            elif column.generated is not None:
                cells.append("DEFAULT")
            elif column.refers is not None:
                ids: Sequence[int] = column.refers.ids or [0]
                cells.append("NULL" if self.chance(0.3) else str(self.random.choice(ids)))
            elif not column.not_null and column.name not in table.key and self.chance(0.2):
                cells.append("NULL")
            else:
                cells.append(self.literal(column.kind, cast=False))
        return cells
