"""INCLUDE columns in a cluster: built, read from the entries alone, own writes laid over them, and no key columns."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows, tags
from processor_fleet import TestFleet


def done(session: Client, *statements: str) -> None:
    for sql in statements:
        answer = session.query(sql)
        assert not errors(answer), (sql, errors(answer))


@pytest.fixture
def session() -> Client:
    session = Client(TestFleet(processors=1))
    done(
        session,
        "CREATE TABLE things (id int PRIMARY KEY, grp int, price numeric(10, 2), info jsonb, note text)",
        "INSERT INTO things SELECT g, g % 5, (g || '.50')::numeric, '[1]', 'n' || g FROM generate_series(1, 20) g",
    )
    ((job,),) = rows(session.query("CREATE INDEX ASYNC things_grp ON things (grp) INCLUDE (price, info)"))
    done(session, f"CALL sys.wait_for_job('{job}')")
    return session


COVERED = "SELECT id, price, info FROM things WHERE grp = 3 ORDER BY id"
FETCHED = "SELECT id, price, note FROM things WHERE grp = 3 ORDER BY id"


def plan(session: Client, sql: str) -> str:
    return "\n".join(line or "" for (line,) in rows(session.query(f"EXPLAIN {sql}")))


def test_a_built_index_covers_its_include_columns(session: Client) -> None:
    assert "Index Only Scan using things_grp" in plan(session, COVERED)
    assert "Index Scan using things_grp" in plan(session, FETCHED)
    expected = [(str(n), f"{n}.50") for n in (3, 8, 13, 18)]
    assert rows(session.query(COVERED)) == [(*one, "[1]") for one in expected]
    assert rows(session.query(FETCHED)) == [(*one, f"n{one[0]}") for one in expected]


def test_own_writes_are_seen_in_entries_and_through_them(session: Client) -> None:
    done(
        session,
        "BEGIN",
        "UPDATE things SET price = 7.10, info = NULL WHERE id = 8",
        "DELETE FROM things WHERE id = 13",
        "INSERT INTO things VALUES (33, 3, 1, '{\"a\": 1}', 'new')",
        "UPDATE things SET note = 'other' WHERE id = 3",
    )
    covered = [("3", "3.50", "[1]"), ("8", "7.10", None), ("18", "18.50", "[1]"), ("33", "1.00", '{"a": 1}')]
    fetched = [("3", "3.50", "other"), ("8", "7.10", "n8"), ("18", "18.50", "n18"), ("33", "1.00", "new")]
    assert rows(session.query(COVERED)) == covered
    assert rows(session.query(FETCHED)) == fetched
    done(session, "COMMIT")
    assert rows(session.query(COVERED)) == covered
    assert rows(session.query(FETCHED)) == fetched


def test_a_reference_to_a_unique_constraint_does_not_collide_with_its_include_columns() -> None:
    fleet = TestFleet(processors=1)
    first, second = Client(fleet), Client(fleet)
    done(
        first,
        "CREATE TABLE parent (id int PRIMARY KEY, code text, label text, UNIQUE (code) INCLUDE (label))",
        "CREATE TABLE child (id int PRIMARY KEY, code text REFERENCES parent (code))",
        "INSERT INTO parent VALUES (1, 'a', 'one'), (2, 'b', 'two')",
        "BEGIN",
        "INSERT INTO child VALUES (1, 'a')",
    )
    done(second, "UPDATE parent SET label = 'uno' WHERE code = 'a'")
    assert tags(first.query("COMMIT")) == ["COMMIT"]
    assert rows(first.query("SELECT code, label FROM parent WHERE code = 'a'")) == [("a", "uno")]
    assert [code for code, _ in errors(first.query("DELETE FROM parent WHERE id = 1"))] == ["23503"]
    assert [code for code, _ in errors(first.query("INSERT INTO parent VALUES (3, 'a', 'x')"))] == ["23505"]
    assert [code for code, _ in errors(first.query("INSERT INTO child VALUES (2, 'c')"))] == ["23503"]
    done(first, "INSERT INTO parent VALUES (9, 'b', 'dos') ON CONFLICT (code) DO UPDATE SET label = excluded.label")
    assert rows(first.query("SELECT label FROM parent WHERE code = 'b'")) == [("dos",)]
