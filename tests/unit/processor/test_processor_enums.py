"""Enum types (an extension): declared order, labels that come and change, drivers' formats, the catalogue's rows."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, notices, rows, tags
from processor_fleet import TestFleet

MOODS = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')"
PEOPLE = "CREATE TABLE people (id int PRIMARY KEY, m mood NOT NULL DEFAULT 'ok')"


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2, extensions=True)


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    made = Client(fleet)
    run(made, MOODS, PEOPLE, "INSERT INTO people VALUES (1, 'happy'), (2, 'sad'), (3, DEFAULT)")
    return made


def run(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(messages := session.query(sql)), (sql, errors(messages))


def test_values_compare_in_the_declared_order(session: Client) -> None:
    assert rows(session.query("SELECT id, m FROM people ORDER BY m")) == [("2", "sad"), ("3", "ok"), ("1", "happy")]
    assert rows(session.query("SELECT id FROM people WHERE m > 'sad' ORDER BY m DESC")) == [("1",), ("3",)]
    assert rows(session.query("SELECT min(m), max(m), count(DISTINCT m) FROM people")) == [("sad", "happy", "3")]
    assert rows(session.query("SELECT m, count(*) FROM people WHERE m IN ('sad', 'ok') GROUP BY m ORDER BY 1")) == [
        ("sad", "1"),
        ("ok", "1"),
    ]
    assert rows(session.query("SELECT 'sad'::mood < 'ok', m = 'happy'::mood FROM people WHERE id = 1")) == [("t", "t")]
    assert rows(session.query("SELECT greatest(m, 'ok'), m::text || '!' FROM people WHERE id = 2")) == [("ok", "sad!")]
    assert errors(session.query("SELECT m = 'ok'::text FROM people"))[0] == (
        "42883",
        "operator does not exist: mood = text",
    )


def test_what_is_no_label_is_refused(session: Client) -> None:
    wrong = [("22P02", 'invalid input value for enum mood: "glad"')]
    assert errors(session.query("INSERT INTO people VALUES (4, 'glad')")) == wrong
    assert errors(session.query("SELECT 'glad'::mood")) == wrong
    assert errors(session.query("INSERT INTO people VALUES (4, 'Sad')"))[0][0] == "22P02"
    assert errors(session.query("INSERT INTO people SELECT 4, v FROM (VALUES ('sad')) x (v)")) == [
        ("42804", 'column "m" is of type mood but expression is of type text')
    ]
    run(session, "INSERT INTO people SELECT 4, v::mood FROM (VALUES ('sad')) x (v)")


def test_a_label_in_between_moves_nothing(fleet: TestFleet, session: Client) -> None:
    run(session, "CREATE TABLE keyed (m mood PRIMARY KEY)", "INSERT INTO keyed VALUES ('happy'), ('sad'), ('ok')")
    other = Client(fleet, 1)
    assert rows(other.query("SELECT m FROM keyed")) == [("sad",), ("ok",), ("happy",)]
    run(session, "ALTER TYPE mood ADD VALUE 'fine' AFTER 'ok'", "ALTER TYPE mood ADD VALUE 'gloomy' BEFORE 'ok'")
    run(session, "ALTER TYPE mood ADD VALUE 'dead' BEFORE 'sad'", "ALTER TYPE mood ADD VALUE 'ecstatic'")
    run(session, "INSERT INTO keyed VALUES ('fine'), ('gloomy'), ('dead'), ('ecstatic')")
    everything = ["dead", "sad", "gloomy", "ok", "fine", "happy", "ecstatic"]
    assert [row[0] for row in rows(other.query("SELECT m FROM keyed"))] == everything
    assert rows(other.query("SELECT enum_range(NULL::mood)")) == [("{" + ",".join(everything) + "}",)]
    assert rows(other.query("SELECT m FROM keyed WHERE m = 'fine'")) == [("fine",)]
    assert rows(other.query("SELECT m FROM keyed WHERE m BETWEEN 'gloomy' AND 'fine'")) == [
        ("gloomy",),
        ("ok",),
        ("fine",),
    ]
    run(session, "ALTER TYPE mood RENAME VALUE 'fine' TO 'good'")
    assert rows(other.query("SELECT m FROM keyed WHERE m > 'ok'")) == [("good",), ("happy",), ("ecstatic",)]
    answer = session.query("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok'")
    assert notices(answer) == [("NOTICE", "42710")]


def test_another_processor_learns_of_a_label_from_a_parameter(fleet: TestFleet, session: Client) -> None:
    other = Client(fleet, 1)
    insert = "INSERT INTO people VALUES ($1, $2)"
    assert not errors(other.execute(insert, b"10", b"ok"))
    run(session, "ALTER TYPE mood ADD VALUE 'new'")
    assert not errors(other.execute(insert, b"11", b"new"))
    assert errors(other.execute(insert, b"12", b"newer")) == [("22P02", 'invalid input value for enum mood: "newer"')]
    assert rows(other.query("SELECT m FROM people WHERE id = 11")) == [("new",)]


def test_indexes_constraints_and_functions(session: Client) -> None:
    run(session, "CREATE TABLE t (id int PRIMARY KEY, m mood UNIQUE, CHECK (m <> 'sad'::mood))")
    run(session, "INSERT INTO t VALUES (1, 'ok'), (2, 'happy'), (3, NULL)")
    assert errors(session.query("INSERT INTO t VALUES (4, 'ok')"))[0] == (
        "23505",
        'duplicate key value violates unique constraint "t_m_key"',
    )
    assert errors(session.query("INSERT INTO t VALUES (4, 'sad')"))[0][0] == "23514"
    assert rows(session.query("SELECT id FROM t WHERE m = 'happy'")) == [("2",)]
    assert rows(session.query("SELECT t.id, p.id FROM t JOIN people p USING (m) ORDER BY 1")) == [
        ("1", "3"),
        ("2", "1"),
    ]
    assert rows(session.query("SELECT enum_first(m), enum_last(m), enum_range('ok', m) FROM t WHERE id = 2")) == [
        ("sad", "happy", "{ok,happy}")
    ]
    run(session, "CREATE FUNCTION better(a mood) RETURNS mood LANGUAGE sql AS $$ SELECT greatest(a, 'ok'::mood) $$")
    assert rows(session.query("SELECT better(m) FROM people ORDER BY id")) == [("happy",), ("ok",), ("ok",)]
    run(session, "CREATE VIEW sunny AS SELECT id, m FROM people WHERE m >= 'ok'::mood")
    assert rows(session.query("SELECT m FROM sunny ORDER BY m")) == [("ok",), ("happy",)]
    assert rows(session.query("SELECT array_agg(m ORDER BY m), json_agg(m) FROM sunny WHERE id = 1")) == [
        ("{happy}", '["happy"]')
    ]
    assert rows(session.query("SELECT id FROM people WHERE m = ANY ('{sad,ok}'::mood[]) ORDER BY 1")) == [
        ("2",),
        ("3",),
    ]


def test_what_is_kept_means_the_value_whatever_it_is_called(session: Client) -> None:
    run(session, "ALTER TABLE people ADD COLUMN n mood DEFAULT 'sad'::mood")
    run(session, "ALTER TABLE people ADD CHECK (n <> 'happy')")
    run(session, "CREATE INDEX good ON people (id) WHERE m = 'happy'", "CREATE INDEX ON people ((m > 'sad'::mood))")
    run(session, "CREATE VIEW merry AS SELECT id FROM people WHERE m = 'happy' OR m IN ('sad', 'happy')")
    plan = [line for (line,) in rows(session.query("EXPLAIN SELECT id FROM people WHERE m = 'happy' AND id > 0"))]
    assert any("good" in str(line) for line in plan), plan
    plan = [line for (line,) in rows(session.query("EXPLAIN SELECT id FROM people WHERE m <> 'sad'"))]
    assert any("(m <> 'sad'::mood)" in str(line) for line in plan), plan
    run(session, "ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'", "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
    assert rows(session.query("INSERT INTO people (id, m) VALUES (7, 'glad') RETURNING n")) == [("blue",)]
    assert errors(session.query("INSERT INTO people (id, n) VALUES (8, 'glad')"))[0][0] == "23514"
    assert rows(session.query("SELECT id FROM people WHERE m = 'glad' ORDER BY id")) == [("1",), ("7",)]
    assert rows(session.query("SELECT id FROM merry ORDER BY id")) == [("1",), ("2",), ("7",)]
    shown = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid::regclass::text ~ 'good|expr'"
    assert rows(session.query(f"{shown} ORDER BY 1")) == [
        ("CREATE INDEX good ON public.people USING btree_index (id) WHERE (m = 'glad'::mood)",),
        ("CREATE INDEX people_expr_idx ON public.people USING btree_index ((m > 'blue'::mood))",),
    ]
    checks = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
    assert rows(session.query(checks)) == [("CHECK ((n <> 'glad'::mood))",)]
    assert "'glad'::mood" in str(rows(session.query("SELECT pg_get_viewdef('merry'::regclass)")))
    assert errors(session.query("CREATE INDEX ON people ((m::text))"))[0][0] == "42P17"


def test_generated_columns(session: Client) -> None:
    good = "good boolean GENERATED ALWAYS AS (m = 'happy' OR m = 'ok'::mood) STORED"
    run(session, f"CREATE TABLE g (m mood, {good})")
    run(session, "INSERT INTO g VALUES ('ok'), ('sad')", "ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'")
    run(session, "INSERT INTO g VALUES ('glad')")
    assert rows(session.query("SELECT m, good FROM g ORDER BY m")) == [("sad", "f"), ("ok", "t"), ("glad", "t")]
    shown = "SELECT generation_expression FROM information_schema.columns WHERE column_name = 'good'"
    assert rows(session.query(shown)) == [("((m = 'glad'::mood) OR (m = 'ok'::mood))",)]
    texts = "CREATE TABLE h (m mood, t text GENERATED ALWAYS AS (m::text) STORED)"
    assert errors(session.query(texts))[0][0] == "42P17"


def test_tables_made_from_others_have_columns_of_the_type(session: Client) -> None:
    run(session, "CREATE TABLE copy AS SELECT id, m FROM people", "CREATE TABLE alike (LIKE people INCLUDING ALL)")
    assert rows(session.query("SELECT m FROM copy ORDER BY m")) == [("sad",), ("ok",), ("happy",)]
    assert errors(session.query("INSERT INTO alike VALUES (1, 'none')"))[0][0] == "22P02"
    run(session, "INSERT INTO alike (id) SELECT id FROM copy")
    assert rows(session.query("SELECT DISTINCT m FROM alike")) == [("ok",)]


def test_drivers_get_oid_and_labels(session: Client) -> None:
    told = session.execute("SELECT m FROM people WHERE m = $1", b"happy", formats=(1,))
    assert rows(told) == [("happy",)]
    (described,) = [message for message in told if type(message).__name__ == "RowDescription"]
    oid = described.columns[0].type_oid
    wanted = """SELECT t.typname, t.typtype, t.typcategory, array_agg(e.enumlabel ORDER BY e.enumsortorder), a.typname
        FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid JOIN pg_type a ON a.oid = t.typarray
        WHERE t.oid = to_regtype('mood')::oid AND t.oid = {} GROUP BY 1, 2, 3, 5"""
    assert rows(session.query(wanted.format(oid))) == [("mood", "e", "E", "{sad,ok,happy}", "_mood")]
    shown = "SELECT format_type(atttypid, atttypmod), atttypid::regtype FROM pg_attribute WHERE attname = 'm'"
    assert rows(session.query(shown + " AND attrelid = 'people'::regclass")) == [("mood", "mood")]
    spread = "SELECT data_type, udt_name, domain_name FROM information_schema.columns WHERE column_name = 'm'"
    assert rows(session.query(spread)) == [("USER-DEFINED", "mood", None)]
    assert rows(session.query("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef")) == [("'ok'::mood",)]
    assert rows(session.query("SELECT pg_typeof(m), 'mood'::regtype, 'mood[]'::regtype FROM people LIMIT 1")) == [
        ("mood", "mood", "mood[]")
    ]


def test_changes_and_removal_of_types(session: Client) -> None:
    assert errors(session.query(MOODS)) == [("42710", 'type "mood" already exists')]
    assert errors(session.query("ALTER TYPE mood ADD VALUE 'ok'")) == [("42710", 'enum label "ok" already exists')]
    assert errors(session.query("ALTER TYPE mood ADD VALUE 'x' AFTER 'y'")) == [
        ("22023", '"y" is not an existing enum label')
    ]
    assert errors(session.query("CREATE TYPE e AS ENUM ('a', 'a')"))[0][0] == "23505"
    assert errors(session.query(f"CREATE TYPE e AS ENUM ('{'a' * 64}')"))[0][0] == "42602"
    assert errors(session.query("DROP DOMAIN mood"))[0] == ("42809", '"mood" is not a domain')
    assert errors(session.query("DROP TYPE mood"))[0] == (
        "2BP01",
        "cannot drop type mood because other objects depend on it",
    )
    run(session, "COMMENT ON TYPE mood IS 'how it goes'")
    run(session, "ALTER TYPE mood RENAME TO feeling", "CREATE TYPE empty AS ENUM ()", "DROP TYPE empty")
    assert rows(session.query("SELECT 'sad'::feeling, pg_get_expr(adbin, adrelid) FROM pg_attrdef")) == [
        ("sad", "'ok'::feeling")
    ]
    run(session, "ALTER TABLE people ALTER COLUMN m SET DEFAULT 'sad'::feeling", "ALTER TYPE feeling RENAME TO mood")
    assert rows(session.query("INSERT INTO people (id) VALUES (9) RETURNING m")) == [("sad",)]
    answer = session.query("DROP TYPE mood CASCADE")
    assert notices(answer) == [("NOTICE", "00000")]
    assert rows(session.query("SELECT * FROM people WHERE id = 1")) == [("1",)]
    assert errors(session.query("COMMENT ON TYPE mood IS NULL")) == [("42704", 'type "mood" does not exist')]
    assert tags(session.query("DROP TYPE IF EXISTS mood")) == ["DROP TYPE"]


def test_many_labels_between_two_until_there_is_no_room(session: Client) -> None:
    for number in range(60):
        found = errors(session.query(f"ALTER TYPE mood ADD VALUE 'v{number}' AFTER 'sad'"))
        if found:
            break
    assert found[0][0] == "54000"
    assert number > 40
    assert rows(session.query("SELECT enum_first(NULL::mood), (enum_range(NULL::mood))[2]"))[0] == (
        "sad",
        f"v{number - 1}",
    )


def test_without_the_switch_they_are_refused() -> None:
    plain = Client(TestFleet())
    assert errors(plain.query(MOODS)) == [("0A000", "CREATE TYPE not supported")]
    assert errors(plain.query("ALTER TYPE mood ADD VALUE 'x'")) == [("0A000", "ALTER TYPE not supported")]
    assert errors(plain.query("DROP TYPE mood")) == [("0A000", "unsupported object in DROP statement")]
    beyond = Client(TestFleet(extensions=True))
    assert errors(beyond.query("CREATE TYPE pair AS (a int, b int)"))[0][0] == "0A000"
