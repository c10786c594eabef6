"""An index equals its table after any writes, in every state an index can be in; errors leave nothing behind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from database import Database, table
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_transaction import MemoryStore

from tausql.protocol.errors import SqlError
from tausql.sql.catalogue.descriptors import IndexState, Table
from tausql.sql.catalogue.system import decode_table, encode_table
from tausql.sql.tables import TableAccess


def make(state: IndexState = IndexState.ready, keyed: bool = True, include: bool = False) -> Database:
    """`include`: the indexes on a and on b have the other columns in their entries."""
    made = table(
        100,
        "t",
        ["id int4", "a int4", "b text", "c numeric"],
        ["id"] if keyed else [],
        [("t_a_idx", ["a"], False), ("t_b_key", ["b"], True), ("t_c_a_idx", ["c", "a"], False)],
        states=dict.fromkeys(("t_a_idx", "t_c_a_idx"), state),
    )
    return Database(covering(made, {"t_a_idx": (2, 3), "t_b_key": (1, 3)}) if include else made)


def covering(made: Table, includes: dict[str, tuple[int, ...]]) -> Table:
    indexes = [
        msgspec.structs.replace(index, include=includes[index.name], covering=True) if index.name in includes else index
        for index in made.indexes
    ]
    return msgspec.structs.replace(made, indexes=tuple(indexes))


def contents(store: MemoryStore, one: Table) -> tuple[dict[bytes, list[Any]], dict[bytes, bytes]]:
    """(rows by key, entries) of a table."""
    access = TableAccess(1, one)
    prefixes = tuple(index.prefix for index in access.indexes)
    rows = {key: access.decode(value) for key, value in store.entries.items() if key.startswith(access.prefix)}
    entries = {key: value for key, value in store.entries.items() if key.startswith(prefixes)}
    return rows, entries


def assert_index_equals_table(db: Database) -> None:
    one = db.snapshot.tables["public", "t"]
    access = TableAccess(1, one)
    rows, entries = contents(db.store, one)
    wanted = {}
    for key, row in rows.items():
        for index in one.indexes:
            entry, value = access.index_entry(index, row, key)
            assert entry not in wanted
            wanted[entry] = value
    assert entries == wanted


VALUE = st.one_of(st.none(), st.integers(0, 4))
TEXT = st.one_of(st.none(), st.sampled_from(["x", "y", "z", "w"]))


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, list[Any]]:
    what = draw(st.sampled_from(["insert", "many", "update", "move", "swap", "delete", "upsert", "nothing", "all"]))
    a, b, key = draw(VALUE), draw(TEXT), draw(st.integers(0, 6))
    made: dict[str, tuple[str, list[Any]]] = {
        "insert": ("insert into t values ($1, $2, $3, 1.5)", [key, a, b]),
        "many": ("insert into t (id, a, b) values ($1, 1, $2), ($1 + 1, $3, null)", [key, b, a]),
        "update": ("update t set a = $2, b = $3, c = a where id = $1", [key, a, b]),
        "move": ("update t set id = id + $1, c = 2 where a is not null", [key]),
        "swap": ("update t set b = case b when 'x' then 'y' when 'y' then 'x' else b end", []),
        "delete": ("delete from t where a = $1 or id = $2", [a, key]),
        "upsert": (
            "insert into t values ($1, $2, $3, 0) on conflict (id) do update set b = excluded.b, a = t.a + 1",
            [key, a, b],
        ),
        "nothing": ("insert into t values ($1, $2, $3, 0) on conflict do nothing", [key, a, b]),
        "all": ("update t set a = a + 1 where b is null", []),
    }
    return made[what]


def outcome(db: Database, sql: str, params: list[Any]) -> str | None:
    try:
        db.execute(sql, *params)
    except SqlError as error:
        return error.sqlstate
    return None


@settings(max_examples=120, deadline=None)
@given(st.lists(statements(), max_size=12), st.sampled_from(list(IndexState)), st.booleans(), st.booleans())
def test_index_equals_table_after_any_statements(
    made: list[tuple[str, list[Any]]], state: IndexState, keyed: bool, include: bool
) -> None:
    db = make(state, keyed, include)
    for sql, params in made:
        if not keyed and "on conflict (id)" in sql:
            continue
        assert outcome(db, sql, params) in (None, "23505", "21000")
        assert_index_equals_table(db)


def test_values_may_be_swapped_between_rows_of_a_unique_index() -> None:
    db = make()
    db.execute("insert into t values (1, 1, 'x', 1), (2, 2, 'y', 2)")
    assert db.execute("update t set b = case id when 1 then 'y' else 'x' end")[0] == "UPDATE 2"
    assert db.execute("update t set id = 3 - id")[0] == "UPDATE 2"
    assert db.rows("select id, a, b from t order by id") == [[1, 2, "x"], [2, 1, "y"]]
    assert_index_equals_table(db)


def test_columns_of_include_are_read_from_entries() -> None:
    db = make(include=True)
    db.execute("insert into t values (1, 1, 'x', 1.50), (2, 1, null, null), (3, 2, 'y', 7)")
    found = "select id, a, b, c from t where a = 1 order by id"
    assert "Index Only Scan using t_a_idx" in "\n".join(db.plan(found))
    assert [list(map(str, row)) for row in db.rows(found)] == [["1", "1", "x", "1.50"], ["2", "1", "None", "None"]]
    assert not any(scan.fetch for scan in db.store.scans)
    db.execute("update t set c = 1.0 where id = 1")
    assert [str(row[3]) for row in db.rows(found)] == ["1.0", "None"]
    by_b = "select a, c from t where b = 'x'"
    assert "Index Only Scan using t_b_key" in "\n".join(db.plan(by_b))
    assert [list(map(str, row)) for row in db.rows(by_b)] == [["1", "1.0"]]
    assert db.rows(
        "insert into t values (9, 5, 'x', 3) on conflict (b) do update set c = excluded.c returning id, c"
    ) == [[1, 3]]
    assert db.execute("delete from t where b = 'x'")[0] == "DELETE 1"
    assert_index_equals_table(db)


def test_entries_of_an_index_made_before_they_had_include_columns_are_read_through_the_row() -> None:
    made = table(100, "t", ["id int4", "a int4", "b text"], ["id"], [("t_a_idx", ["a"], False)])
    older = covering(made, {"t_a_idx": (2,)})
    older = msgspec.structs.replace(
        older, indexes=tuple(msgspec.structs.replace(index, covering=False) for index in older.indexes)
    )
    decoded = decode_table(encode_table(older))
    assert decoded == older
    db = Database(decoded)
    db.execute("insert into t values (1, 1, 'x')")
    access = TableAccess(1, decoded)
    assert access.index_entry(decoded.indexes[0], [1, 1, "x"], access.key_of([1])) == (
        access.indexes[0].encode([1]) + access.key_of([1])[8:], access.key_of([1]),
    )  # fmt: skip
    assert "Index Scan using t_a_idx" in "\n".join(db.plan("select b from t where a = 1"))
    assert db.rows("select b from t where a = 1") == [["x"]]


def test_a_column_of_include_is_no_key_column() -> None:
    """FOR KEY SHARE of a row does not collide with an update of what a unique index only includes."""
    db = make(include=True)
    db.execute("insert into t values (1, 1, 'x', 1)")
    entries: list[tuple[bytes, bool]] = []
    updates: list[bool] = []
    statement = db.store.statement
    view = statement()

    class Noted(type(view)):  # type: ignore[misc]
        def put_entry(self, relation: int, key: bytes, value: bytes, unique: bool) -> None:
            entries.append((key, unique))
            super().put_entry(relation, key, value, unique)

        def update_row(self, relation: int, key: bytes, value: bytes, key_columns_changed: bool) -> None:
            updates.append(key_columns_changed)
            super().update_row(relation, key, value, key_columns_changed)

    view.__class__ = Noted
    db.store.statement = lambda: view  # type: ignore[method-assign]
    db.execute("update t set c = 2 where id = 1")
    assert updates == [False]
    assert [unique for _, unique in entries if unique] == []
    assert len(entries) == 3


@pytest.mark.parametrize("state", [IndexState.building, IndexState.failed])
def test_a_row_keeps_off_the_entry_of_another_when_its_include_columns_change(state: IndexState) -> None:
    made = table(
        100, "t", ["id int4", "v text", "w int4"], ["id"], [("t_v_key", ["v"], True)], states={"t_v_key": state}
    )
    db = Database(covering(made, {"t_v_key": (2,)}))
    one = db.snapshot.tables["public", "t"]
    access = TableAccess(1, one)
    for key in (1, 2):
        db.store.entries[access.key_of([key])] = access.encode([key, "same", key])
    entry, value = access.index_entry(one.indexes[0], [1, "same", 1], access.key_of([1])) or (b"", b"")
    db.store.entries[entry] = value
    db.execute("update t set w = 7 where id = 2")
    assert db.store.entries[entry] == value
    db.execute("update t set w = 8 where id = 1")
    assert db.store.entries[entry] == access.indexes[0].entry_value([1, "same", 8], access.key_of([1]))


@pytest.mark.parametrize("state", [IndexState.building, IndexState.failed])
def test_a_unique_entry_of_an_unfinished_index_that_names_another_row_stays(state: IndexState) -> None:
    """Before the build was found out, two rows had the value; the entry names one of them."""
    db = Database(table(100, "t", ["id int4", "v text"], ["id"], [("t_v_key", ["v"], True)], states={"t_v_key": state}))
    one = db.snapshot.tables["public", "t"]
    access = TableAccess(1, one)
    for key in (1, 2):
        db.store.entries[access.key_of([key, "same"])] = access.encode([key, "same"])
    entry, owner = access.index_entry(one.indexes[0], [1, "same"], access.key_of([1, "same"]))
    db.store.entries[entry] = owner
    db.execute("delete from t where id = 2")
    assert db.store.entries[entry] == owner
    with pytest.raises(SqlError, match="duplicate key"):
        db.execute("insert into t values (3, 'same')")
    db.execute("update t set v = 'other' where id = 1")
    assert entry not in db.store.entries
    db.execute("insert into t values (3, 'same')")


def test_an_index_being_built_is_written_but_not_read() -> None:
    db = make(IndexState.building)
    db.execute("insert into t values (1, 5, 'x', 1)")
    assert "t_a_idx" not in "\n".join(db.plan("select * from t where a = 5"))
    assert db.rows("select id from t where a = 5") == [[1]]


def test_all_unique_checks_of_a_statement_are_one_read() -> None:
    db = make()
    db.store.round_trips = 0
    db.execute("insert into t values (1, 1, 'x', 1), (2, 2, 'y', 2), (3, 3, 'z', 3)")
    assert db.store.round_trips == 1


def test_rows_without_a_primary_key_are_found_updated_and_deleted() -> None:
    db = Database(table(100, "t", ["a int4", "b text"]))
    db.execute("insert into t values (1, 'x'), (1, 'x'), (2, 'y')")
    assert db.execute("update t set b = 'z' where a = 1")[0] == "UPDATE 2"
    assert db.execute("delete from t where b = 'y' returning *") == ("DELETE 1", [[2, "y"]])
    assert db.rows("select * from t") == [[1, "z"], [1, "z"]]


def test_constraint_errors_carry_their_fields() -> None:
    db = make()
    db.execute("insert into t values (1, 1, 'x', 1)")
    with pytest.raises(SqlError) as raised:
        db.execute("insert into t values (2, 1, 'x', 1)")
    error = raised.value
    assert (error.detail, error.constraint, error.table, error.schema) == (
        "Key (b)=(x) already exists.", "t_b_key", "t", "public",
    )  # fmt: skip
    with pytest.raises(SqlError) as raised:
        db.execute("insert into t (a, b) values (7, $$it's$$)")
    assert raised.value.detail == "Failing row contains (null, 7, it's, null)."
    assert raised.value.column == "id"


def test_more_rows_than_a_transaction_may_write_are_not_collected() -> None:
    db = Database(table(100, "t", ["a int4"], ["a"]))
    with pytest.raises(SqlError, match="transaction row limit exceeded") as raised:
        db.execute("insert into t select * from generate_series(1, 5000)")
    assert raised.value.sqlstate == "54000"
    assert db.execute("insert into t select * from generate_series(1, 3000)")[0] == "INSERT 0 3000"


def test_old_rows_shorter_than_the_table_are_padded() -> None:
    db = Database(table(100, "t", ["a int4", "b text", "c int4"], ["a"], [("t_c_idx", ["c"], False)]))
    one = db.snapshot.tables["public", "t"]
    access = TableAccess(1, one)
    db.store.entries[access.key_of([1])] = access.encode([1, "x"])
    assert db.rows("select * from t") == [[1, "x", None]]
    assert db.rows("select a from t where c is null") == []  # the entry is the backfill's to write
    db.execute("update t set c = 4 where a = 1")
    assert db.rows("select a from t where c = 4") == [[1]]


def test_sizes_have_limits() -> None:
    db = Database(table(100, "t", ["a text", "b text", "c text", "d text"], ["a"], [("t_b_idx", ["b"], False)]))
    for values, message in (
        (["k" * 1025, "b", None, None], "key size too large"),
        (["k", "b" * 1025, None, None], "key size too large"),
        (["k", "b", "c" * 1_048_577, None], "maximum column size exceeded"),
        (["k", "b", "c" * 1_048_570, "d" * 1_048_576], "maximum row size exceeded"),
    ):
        if message == "maximum row size exceeded":
            values[0] = "k" * 1000
        with pytest.raises(SqlError, match=message) as raised:
            db.execute("insert into t values ($1, $2, $3, $4)", *values)
        assert raised.value.sqlstate == "54000"
    db.execute("insert into t values ($1, $2, $3, null)", "k" * 1024, "b" * 1024, "c" * 1_048_576)
    with pytest.raises(SqlError, match="key size too large"):
        db.execute("update t set b = $1", "x" * 2000)
