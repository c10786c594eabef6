"""What reflection needs of the executor: the joins, arrays and subqueries that clients read a schema with.

Each query is shaped like some client's (its relations, its functions, its way of unfolding arrays), and asks for an
answer that is known.
"""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows, values
from processor_fleet import TestFleet

SETUP = (
    "CREATE TABLE author (id int PRIMARY KEY, name varchar(40) NOT NULL, born date)",
    "CREATE TABLE book (isbn text PRIMARY KEY, author_id int CONSTRAINT written_by REFERENCES author (id),"
    " pages int DEFAULT 100 CHECK (pages > 0), title text, UNIQUE (author_id, title))",
    "COMMENT ON COLUMN book.title IS 'on the cover'",
    "CREATE ROLE team",
    "CREATE ROLE member WITH LOGIN",
    "GRANT team TO member",
)


@pytest.fixture(scope="module")
def client() -> Client:
    client = Client(TestFleet(processors=1))
    for statement in SETUP:
        assert not errors(client.query(statement)), statement
    return client


def test_columns_through_eight_relations(client: Client) -> None:
    """As GUIs list the columns of a table."""
    found = values(
        client,
        """
        SELECT att.attname, format_type(ty.oid, att.atttypmod), pg_get_expr(def.adbin, def.adrelid), des.description,
               coalesce(quote_ident(nspc.nspname) || '.' || quote_ident(coll.collname), ''), seq.seqstart,
               EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = att.attrelid AND contype = 'f'
                       AND att.attnum = ANY (conkey)) AS is_reference
        FROM pg_attribute att
        JOIN pg_type ty ON ty.oid = att.atttypid
        LEFT JOIN pg_attrdef def ON def.adrelid = att.attrelid AND def.adnum = att.attnum
        LEFT JOIN pg_description des ON (des.classoid, des.objoid, des.objsubid)
                                      = ('pg_class'::regclass::oid, att.attrelid, att.attnum::int)
        LEFT JOIN (pg_depend dep JOIN pg_class cs ON dep.objid = cs.oid AND cs.relkind = 'S')
               ON dep.refobjid = att.attrelid AND dep.refobjsubid = att.attnum
        LEFT JOIN pg_sequence seq ON cs.oid = seq.seqrelid
        LEFT JOIN pg_collation coll ON att.attcollation = coll.oid
        LEFT JOIN pg_namespace nspc ON coll.collnamespace = nspc.oid
        WHERE att.attrelid = 'book'::regclass AND att.attnum > 0 AND att.attisdropped IS FALSE
        ORDER BY att.attnum
        """,
    )
    assert found == [
        ("isbn", "text", None, None, 'pg_catalog."default"', None, "f"),
        ("author_id", "integer", None, None, "", None, "t"),
        ("pages", "integer", "100", None, "", None, "f"),
        ("title", "text", None, "on the cover", 'pg_catalog."default"', None, "f"),
    ]


def test_index_columns_by_unfolding_two_vectors_side_by_side(client: Client) -> None:
    found = values(
        client,
        """
        SELECT name, array_agg(attname ORDER BY place), bool_or(descending)
        FROM (SELECT c.relname AS name, a.attname, k.place, (k.option & 1) = 1 AS descending
              FROM pg_index i
              CROSS JOIN LATERAL unnest(i.indkey, i.indoption) WITH ORDINALITY k (number, option, place)
              JOIN pg_class c ON c.oid = i.indexrelid
              LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
              WHERE i.indrelid = 'book'::regclass AND NOT i.indisprimary) one
        GROUP BY name
        """,
    )
    assert found == [("book_author_id_title_key", "{author_id,title}", "f")]


def test_index_columns_by_unfolding_in_the_select_list(client: Client) -> None:
    found = values(
        client,
        """
        WITH raw AS (SELECT indrelid, indexrelid, unnest(indkey) AS number, generate_subscripts(indkey, 1) AS place,
                            unnest(indclass) AS class FROM pg_index WHERE NOT indisprimary)
        SELECT a.attname, raw.place, o.opcname, am.amname
        FROM raw JOIN pg_class i ON i.oid = raw.indexrelid JOIN pg_am am ON am.oid = i.relam
        JOIN pg_attribute a ON a.attrelid = raw.indrelid AND a.attnum = raw.number
        LEFT JOIN pg_opclass o ON o.oid = raw.class
        WHERE i.relname = 'book_author_id_title_key' ORDER BY raw.place
        """,
    )
    assert found == [("author_id", "0", "int4_ops", "btree_index"), ("title", "1", "text_ops", "btree_index")]


def test_constraints_with_arrays_made_of_subqueries(client: Client) -> None:
    found = values(
        client,
        """
        SELECT c.conname, c.contype,
               ARRAY (SELECT attname FROM unnest(c.conkey) WITH ORDINALITY k (number, place)
                      JOIN pg_attribute a ON a.attnum = k.number WHERE a.attrelid = c.conrelid ORDER BY k.place),
               (SELECT t.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class t ON a.attrelid = t.oid
                WHERE a.attrelid = c.confrelid AND a.attnum = c.confkey[1])
        FROM pg_constraint c WHERE c.conrelid = 'book'::regclass ORDER BY c.conname
        """,
    )
    assert found == [
        ("book_author_id_title_key", "u", "{author_id,title}", None),
        ("book_pages_check", "c", "{pages}", None),
        ("book_pkey", "p", "{isbn}", None),
        ("written_by", "f", "{author_id}", "author.id"),
    ]


def test_primary_keys_through_a_record_of_a_subquery(client: Client) -> None:
    found = values(
        client,
        """
        SELECT result.column_name, (result.keys).n
        FROM (SELECT a.attname AS column_name, a.attnum AS number,
                     information_schema._pg_expandarray(i.indkey) AS keys
              FROM pg_class t JOIN pg_attribute a ON t.oid = a.attrelid JOIN pg_index i ON a.attrelid = i.indrelid
              WHERE t.relname = 'author' AND i.indisprimary) result
        WHERE result.number = (result.keys).x AND (result.keys).n = 1
        """,
    )
    assert found == [("id", "1")]


def test_memberships_by_recursion_within_an_array(client: Client) -> None:
    found = values(
        client,
        """
        SELECT r.rolname, 'team' = ANY (ARRAY (
            WITH RECURSIVE above AS (
                SELECT m.roleid FROM pg_auth_members m WHERE m.member = r.oid
                UNION ALL SELECT m.roleid FROM above JOIN pg_auth_members m ON m.member = above.roleid)
            SELECT b.rolname FROM above JOIN pg_roles b ON b.oid = above.roleid)) AS in_team
        FROM pg_roles r WHERE r.rolname IN ('member', 'team') ORDER BY 1
        """,
    )
    assert found == [("member", "t"), ("team", "f")]


def test_types_and_what_they_are_made_of(client: Client) -> None:
    found = values(
        client,
        """
        SELECT t.typname, CASE WHEN p.proname = 'array_recv' THEN 'a' ELSE t.typtype END AS kind, e.typname
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_proc p ON p.oid = t.typreceive
        LEFT JOIN pg_range r ON r.rngtypid = t.oid
        LEFT JOIN pg_type e ON e.oid = CASE WHEN p.proname = 'array_recv' THEN t.typelem ELSE r.rngsubtype END
        WHERE t.typname IN ('_numeric', 'uuid', 'int4range') AND n.nspname = 'pg_catalog' ORDER BY t.oid
        """,
    )
    assert found == [("_numeric", "a", "numeric"), ("uuid", "b", None), ("int4range", "r", "int4")]


def test_types_by_a_list_of_oids(client: Client) -> None:
    answer = client.execute("SELECT typname FROM pg_type WHERE oid = ANY ($1::oid[]) ORDER BY oid", b"{23,25,2950}")
    assert rows(answer) == [("int4",), ("text",), ("uuid",)]


def test_a_schema_as_one_json_document(client: Client) -> None:
    found = values(
        client,
        """
        SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
                        ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = to_regclass('author') AND a.attnum > 0
        """,
    )
    ((document,),) = found
    assert document is not None
    assert document.replace(" : ", ": ") == (
        '[{"name": "id", "type": "integer"}, {"name": "name", "type": "character varying(40)"},'
        ' {"name": "born", "type": "date"}]'
    )


def test_objects_of_all_kinds_beside_each_other(client: Client) -> None:
    """As completion asks: one UNION over relations, schemas and roles."""
    found = values(
        client,
        """
        SELECT c.relname::text FROM pg_class c WHERE c.relkind = ANY (ARRAY['r', 'v', 'S']::"char"[])
          AND c.relname LIKE 'b%' AND pg_table_is_visible(c.oid)
          AND c.relnamespace <> (SELECT oid FROM pg_namespace WHERE nspname = 'pg_catalog')
        UNION ALL SELECT n.nspname FROM pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.~) '^(pub.*)$'
          COLLATE pg_catalog.default
        UNION ALL SELECT rolname FROM pg_roles WHERE substring(rolname, 1, 4) = 'memb' LIMIT 10
        """,
    )
    assert found == [("book",), ("public",), ("member",)]
