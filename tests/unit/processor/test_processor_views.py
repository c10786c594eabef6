"""Views: what they keep of their query, reading and writing through them, and what hangs on them."""

from __future__ import annotations

import pytest
from processor_client import Client, do, error, errors, notices, rows, tags
from processor_fleet import TestFleet


@pytest.fixture
def session() -> Client:
    client = Client(TestFleet())
    for sql in (
        "CREATE TABLE b (id int PRIMARY KEY, v text, n int DEFAULT 7)",
        "INSERT INTO b VALUES (1, 'one', 1), (20, 'twenty', 2)",
    ):
        assert not errors(client.query(sql))
    return client


def test_a_star_is_what_it_was(session: Client) -> None:
    do(session, "CREATE VIEW w AS SELECT * FROM b WHERE n > 1", "ALTER TABLE b ADD COLUMN late int")
    assert rows(session.query("SELECT * FROM w")) == [("20", "twenty", "2")]
    assert rows(session.query("SELECT w.v || x.v FROM w JOIN b x ON x.id = 1")) == [("twentyone",)]


def test_a_view_means_the_same_under_another_path(session: Client) -> None:
    do(session, "CREATE VIEW w AS SELECT b.v AS name, count(*) AS c FROM b, LATERAL (SELECT 1) l GROUP BY b.v")
    do(session, "CREATE SCHEMA s", "CREATE VIEW s.w2 (x) AS SELECT max(name) FROM w", "SET search_path = s")
    assert rows(session.query("SELECT x FROM w2")) == [("twenty",)]
    assert rows(session.query("SELECT name FROM public.w ORDER BY 1")) == [("one",), ("twenty",)]


def test_with_subqueries_unions_and_recursion(session: Client) -> None:
    do(
        session,
        "CREATE VIEW w AS WITH b AS (SELECT 5 AS id) SELECT id FROM b UNION ALL"
        " SELECT id FROM public.b WHERE id IN (SELECT id FROM public.b WHERE id > 5)",
        "CREATE RECURSIVE VIEW r (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5",
    )
    assert rows(session.query("SELECT * FROM w ORDER BY 1")) == [("5",), ("20",)]
    assert rows(session.query("SELECT sum(n) FROM r")) == [("15",)]


def test_writing_through_a_view(session: Client) -> None:
    do(session, "CREATE VIEW w (num, key) AS SELECT n, id FROM b WHERE id > 10 WITH CHECK OPTION")
    assert rows(session.query("INSERT INTO w (key) VALUES (30) RETURNING *")) == [("7", "30")]
    assert error(session, "INSERT INTO w (key) VALUES (5)") == (
        "44000", 'new row violates check option for view "w"',
    )  # fmt: skip
    assert error(session, "UPDATE w SET key = 2 WHERE key = 30")[0] == "44000"
    assert rows(session.query("UPDATE w SET num = num + 1 WHERE w.key >= 1 RETURNING key, num")) == [
        ("20", "3"),
        ("30", "8"),
    ]
    assert tags(session.query("DELETE FROM w AS z WHERE z.num = 8")) == ["DELETE 1"]
    assert tags(session.query("DELETE FROM w")) == ["DELETE 1"]
    assert rows(session.query("SELECT id FROM b")) == [("1",)]


def test_check_options_of_views_over_views(session: Client) -> None:
    do(
        session,
        "CREATE VIEW low AS SELECT * FROM b WHERE id > 10",
        "CREATE VIEW local AS SELECT * FROM low WHERE n > 0 WITH LOCAL CHECK OPTION",
        "CREATE VIEW cascaded AS SELECT * FROM low WHERE n > 0 WITH CASCADED CHECK OPTION",
        "INSERT INTO local VALUES (3, 'x', 1)",
    )
    assert error(session, "INSERT INTO local VALUES (4, 'x', 0)")[1].endswith('"local"')
    assert error(session, "INSERT INTO cascaded VALUES (4, 'x', 1)")[1].endswith('"low"')
    assert error(session, "INSERT INTO cascaded VALUES (14, 'x', 0)")[1].endswith('"cascaded"')


def test_a_computed_column_is_not_written(session: Client) -> None:
    do(session, "CREATE VIEW w AS SELECT id, upper(v) AS u FROM b")
    assert rows(session.query("UPDATE w SET id = 21 WHERE u = 'TWENTY' RETURNING u")) == [("TWENTY",)]
    assert error(session, "UPDATE w SET u = 'x'") == ("0A000", 'cannot update column "u" of view "w"')
    assert error(session, "INSERT INTO w (id, u) VALUES (1, 'x')") == (
        "0A000", 'cannot insert into column "u" of view "w"',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT count(*) AS c FROM b", "Views that return aggregate functions"),
        ("SELECT DISTINCT id FROM b", "Views containing DISTINCT"),
        ("SELECT 1 AS x", "Views that do not select from a single table or view"),
        ("SELECT id FROM b LIMIT 3", "Views containing LIMIT or OFFSET"),
        ("SELECT id FROM b UNION SELECT 1", "Views containing UNION, INTERSECT, or EXCEPT"),
    ],
)
def test_views_that_cannot_be_written(session: Client, query: str, words: str) -> None:
    do(session, f"CREATE VIEW w AS {query}")
    assert error(session, "DELETE FROM w") == ("55000", 'cannot delete from view "w"')
    assert error(session, f"CREATE VIEW x AS {query} WITH CHECK OPTION") == (
        "0A000", "WITH CHECK OPTION is supported only on automatically updatable views",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE VIEW w AS SELECT 1", ("42P07", 'relation "w" already exists')),
        ("CREATE OR REPLACE VIEW w AS SELECT id FROM b", ("42P16", "cannot drop columns from view")),
        (
            "CREATE OR REPLACE VIEW w AS SELECT id AS x, v FROM b",
            ("42P16", 'cannot change name of view column "id" to "x"'),
        ),
        (
            "CREATE OR REPLACE VIEW w AS SELECT id::text, v FROM b",
            ("42P16", 'cannot change data type of view column "id" from integer to text'),
        ),
        ("CREATE VIEW x (a, b) AS SELECT 1 AS a", ("42601", "CREATE VIEW specifies more column names than columns")),
        ("CREATE VIEW x AS SELECT 1 AS a, 2 AS a", ("42701", 'column "a" specified more than once')),
        ("CREATE VIEW x AS SELECT $1", ("42P02", "there is no parameter $1")),
        ("CREATE VIEW x AS SELECT nothing FROM b", ("42703", 'column "nothing" does not exist')),
        ("DROP VIEW nothing", ("42P01", 'view "nothing" does not exist')),
        ("DROP VIEW b", ("42809", '"b" is not a view')),
        ("DROP TABLE w", ("42809", '"w" is not a table')),
        ("DROP TABLE b", ("2BP01", "cannot drop table b because other objects depend on it")),
        ("ALTER VIEW w SET (nothing = 1)", ("22023", 'unrecognized parameter "nothing"')),
        ("ALTER VIEW b RENAME TO x", ("42809", '"b" is not a view')),
    ],
)
def test_refusals(session: Client, sql: str, expected: tuple[str, str]) -> None:
    do(session, "CREATE VIEW w AS SELECT id, v FROM b")
    assert error(session, sql) == expected


def test_cascade_takes_the_views_that_read_it(session: Client) -> None:
    do(
        session,
        "CREATE VIEW w AS SELECT id FROM b",
        "CREATE VIEW x AS SELECT id FROM w",
        "CREATE VIEW y AS SELECT v FROM b",
    )
    told = session.query("DROP VIEW w CASCADE")
    assert tags(told) == ["DROP VIEW"]
    assert notices(told) == [("NOTICE", "00000")]
    assert error(session, "SELECT * FROM x")[0] == "42P01"
    do(session, "DROP TABLE b CASCADE")
    assert error(session, "SELECT * FROM y")[0] == "42P01"


def test_a_renamed_table_or_view_is_still_read(session: Client) -> None:
    do(
        session,
        "CREATE VIEW w AS SELECT b.id FROM b",
        "CREATE VIEW x AS SELECT w.id FROM w",
        "ALTER VIEW w RENAME TO w9",
        "CREATE SCHEMA s",
        "ALTER VIEW w9 SET SCHEMA s",
        "ALTER SCHEMA s RENAME TO s9",
        "ALTER TABLE b RENAME TO b9",
        "ALTER TABLE b9 RENAME COLUMN id TO key",
        "ALTER VIEW s9.w9 RENAME COLUMN id TO number",
    )
    assert rows(session.query("SELECT id FROM x ORDER BY 1")) == [("1",), ("20",)]
    assert error(session, "SELECT * FROM w")[0] == "42P01"
