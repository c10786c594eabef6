"""The columns of every relation of pg_catalog and information_schema, and the rows PostgreSQL itself brings.

Clients name columns, join on them and know oids by heart; writing 200 relations down in code would be a copy full of
slips. They are data instead (`builtin/`, made by `tests/tools/catalogue_data.py` from a real server), read when first
asked for.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.types import builtin as b
from tausql.sql.types.registry import find_type
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

_PACKAGE: Final = "tausql.sql.catalogue"
_ZERO: Final = frozenset(("int2", "int4", "int8", "oid", "xid", "regproc", "float4", "float8"))

Row = list[Any]


class Shape:
    """One relation's columns. `row` makes a row from what is not the type's nothing: 0, false, an empty name, NULL."""

    __slots__ = ("_at", "_nothing", "columns", "is_view", "name", "not_null", "oid", "schema")

    def __init__(
        self, schema: str, name: str, oid: int, columns: Sequence[tuple[str, Type, bool]], is_view: bool
    ) -> None:
        self.schema = schema
        self.name = name
        self.oid = oid
        self.is_view = is_view
        self.columns = tuple((column, type) for column, type, _ in columns)
        self.not_null = tuple(not_null for _, _, not_null in columns)
        self._at = {column: at for at, (column, _) in enumerate(self.columns)}
        self._nothing: Row = [_nothing(type) if not_null else None for _, type, not_null in columns]

    def row(self, **values: Any) -> Row:
        made = self._nothing.copy()
        at = self._at
        for name, value in values.items():
            made[at[name]] = value
        return made

    def place(self, column: str) -> int:
        return self._at[column]


def _nothing(type: Type) -> Any:
    if type.name in _ZERO:
        return 0
    if type is b.BOOL:
        return False
    return "" if type in (b.NAME, b.TEXT, b.CHAR) else None


def column_type(name: str) -> Type:
    """The type of a catalogue's column; what has no type here is shown as text."""
    if name in ("char", "_char"):
        return b.CHAR if name == "char" else find_type('"char"[]') or b.TEXT
    return find_type(name) or b.TEXT


def parsed_columns(words: Sequence[str]) -> list[tuple[str, Type, bool]]:
    """`name:type` or `name:type!` (never NULL) each."""
    found: list[tuple[str, Type, bool]] = []
    for word in words:
        name, _, kind = word.partition(":")
        found.append((name, column_type(kind.rstrip("!")), kind.endswith("!")))
    return found


def _text(name: str) -> str:
    data = pkgutil.get_data(_PACKAGE, f"builtin/{name}")
    assert data is not None, name
    return data.decode()


_SYS: Final = (
    (
        "jobs",
        14100,
        "job_id:text status:text details:text job_type:text class_id:oid object_id:oid object_name:text"
        " start_time:timestamptz update_time:timestamptz",
    ),
    (
        "iam_pg_role_mappings",
        14101,
        "iam_oid:oid arn:text pg_role_oid:oid pg_role_name:name grantor_pg_role_oid:oid grantor_pg_role_name:name",
    ),
)


@lru_cache(maxsize=1)
def shapes() -> Mapping[tuple[str, str], Shape]:
    """All of PostgreSQL's, and those of the schema `sys`, by (schema, name)."""
    found: dict[tuple[str, str], Shape] = {}
    for line in _text("shapes.txt").splitlines():
        schema, name, oid, kind, *columns = line.split(" ")
        found[schema, name] = Shape(schema, name, int(oid), parsed_columns(columns), kind == "v")
    for own, number, words in _SYS:
        found["sys", own] = Shape("sys", own, number, parsed_columns(words.split()), True)
    return MappingProxyType(found)


def shape(name: str, schema: str = "pg_catalog") -> Shape:
    return shapes()[schema, name]


@lru_cache(maxsize=64)
def builtin_rows(name: str) -> Sequence[Row]:
    """The rows that PostgreSQL's own pg_type, pg_proc, pg_operator ... bring. Not to be changed."""
    relation = shape(name)
    lines = _text(f"{name}.tsv").split("\n")
    header = lines[0].split("\t")
    columns: list[tuple[int, Any, Any]] = []
    for field in header:
        column, equals, usual = field.partition("=")
        place = relation.place(column)
        read = _reader(relation.columns[place][1])
        columns.append((place, read, read(usual) if equals else None))
    width = len(relation.columns)
    found: list[Row] = []
    for line in lines[1:-1]:
        fields = line.split("\t")
        row: Row = [None] * width
        for at, (place, read, usual) in enumerate(columns):
            row[place] = read(fields[at]) if at < len(fields) and fields[at] else usual
        found.append(row)
    return tuple(found)


def _reader(type: Type) -> Any:
    """Field to datum."""
    text_in = type.text_in
    format = SessionFormat()

    def read(field: str) -> Any:
        if field == "\\N":
            return None
        if field == "\\E":
            field = ""
        elif "\\" in field:
            field = field.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")
        return text_in(field, format, -1)

    return read


@lru_cache(maxsize=64)
def builtin_by_oid(name: str) -> Mapping[int, Row]:
    """`builtin_rows` by their first column."""
    return MappingProxyType({row[0]: row for row in builtin_rows(name)})


@lru_cache(maxsize=1)
def keywords() -> Sequence[tuple[str, str, bool]]:
    """(word, PostgreSQL's category of it: U C T R, whether it may be a label without AS)."""
    lines = (line.split(" ") for line in _text("keywords.txt").splitlines())
    return tuple((word, kind, bare == "t") for word, kind, bare in lines)
