"""The catalogue as clients ask it: by joins, by functions, by names of oids; and never older than the statement."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, names, rows, tags, values
from processor_fleet import TestFleet

from tausql.protocol.processor import SessionStart
from tausql.sql.catalogue.shapes import shapes

SETUP = (
    "CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE, price numeric(8,2) DEFAULT 1.5 CHECK (price > 0))",
    "CREATE TABLE child (id bigint PRIMARY KEY, parent_id int NOT NULL REFERENCES parent (id) ON DELETE SET NULL,"
    " note varchar(30) DEFAULT 'none', made timestamptz DEFAULT now())",
    "CREATE VIEW shown AS SELECT id, code FROM parent",
    "CREATE SEQUENCE numbers START 5 CACHE 1",
    "CREATE ROLE reader WITH LOGIN",
    "GRANT SELECT ON parent TO reader",
)


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2)


@pytest.fixture
def client(fleet: TestFleet) -> Client:
    client = Client(fleet)
    for statement in SETUP:
        assert not errors(client.query(statement)), statement
    return client


def test_relations_of_every_kind(client: Client) -> None:
    found = values(
        client,
        "SELECT relname, relkind, relnatts, pg_get_userbyid(relowner) FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace ORDER BY relname",
    )
    assert found == [
        ("child", "r", "4", "admin"), ("child_pkey", "i", "4", "admin"), ("numbers", "S", "3", "admin"),
        ("parent", "r", "3", "admin"), ("parent_code_key", "i", "1", "admin"), ("parent_pkey", "i", "3", "admin"),
        ("shown", "v", "2", "admin"),
    ]  # fmt: skip


def test_columns_with_types_and_defaults(client: Client) -> None:
    found = values(
        client,
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d"
        "  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef)"
        " FROM pg_attribute a WHERE a.attrelid = 'child'::regclass AND a.attnum > 0 ORDER BY a.attnum",
    )
    assert found == [
        ("id", "bigint", "t", None),
        ("parent_id", "integer", "t", None),
        ("note", "character varying(30)", "f", "'none'::character varying"),
        ("made", "timestamp with time zone", "f", "now()"),
    ]


def test_constraints_and_their_definitions(client: Client) -> None:
    found = values(
        client,
        "SELECT conname, contype, conkey, confkey, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY conname",
    )
    assert found == [
        ("child_parent_id_fkey", "f", "{2}", "{1}", "FOREIGN KEY (parent_id) REFERENCES parent(id) ON DELETE SET NULL"),
        ("child_pkey", "p", "{1}", None, "PRIMARY KEY (id) INCLUDE (parent_id, note, made)"),
        ("parent_code_key", "u", "{2}", None, "UNIQUE (code)"),
        ("parent_pkey", "p", "{1}", None, "PRIMARY KEY (id) INCLUDE (code, price)"),
        ("parent_price_check", "c", "{3}", None, "CHECK ((price > (0)::numeric))"),
    ]


def test_an_int2vector_is_an_array_that_counts_from_nothing(client: Client) -> None:
    found = values(
        client,
        "SELECT indkey, indkey[0], array_upper(indkey, 1), 1 = ANY (indkey), indnkeyatts,"
        " array_to_string(indkey, '-'), (information_schema._pg_expandarray(indkey)).n"
        " FROM pg_index WHERE indexrelid = 'parent_pkey'::regclass",
    )
    assert found == [("1 2 3", "1", "2", "t", "1", "1-2-3", str(n)) for n in (1, 2, 3)]


def test_index_definitions(client: Client) -> None:
    assert tags(client.query("CREATE INDEX ASYNC ON child (lower(note), made) WHERE note <> ''")) == ["CREATE INDEX"]
    found = values(client, "SELECT indexdef FROM pg_indexes WHERE tablename = 'child' ORDER BY indexname")
    assert found == [
        (
            "CREATE INDEX child_lower_made_idx ON public.child USING btree_index (lower((note)::text), made)"
            " WHERE ((note)::text <> ''::text)",
        ),
        ("CREATE UNIQUE INDEX child_pkey ON public.child USING btree_index (id) INCLUDE (parent_id, note, made)",),
    ]
    keys = "SELECT pg_get_indexdef('child_lower_made_idx'::regclass, n, true) FROM generate_series(0, 3) n"
    assert values(client, keys)[1:] == [("lower(note::text)",), ("made",), ("",)]


def test_names_of_oids(client: Client) -> None:
    found = values(
        client,
        "SELECT 'parent'::regclass, 'int4'::regtype, 'pg_catalog.lower(text)'::regprocedure, 'public'::regnamespace,"
        " 'admin'::regrole, '||(text,text)'::regoperator, 'pg_class'::regclass::oid, 'array_in'::regproc::oid",
    )
    assert found == [("parent", "integer", "lower(text)", "public", "admin", "||(text,text)", "1259", "750")]
    assert values(client, "SELECT to_regclass('nothing'), to_regtype('no_type'), to_regclass('public.parent')") == [
        (None, None, "parent")
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("to_regoper('0'), to_regoperator('12'), '0'::regoper, to_regoperator('0')::oid", ("0", "12", "0", "0")),
        (
            "to_regoper('91'), '91'::regoper, to_regoperator('551')",
            ("pg_catalog.=", "pg_catalog.=", "+(integer,integer)"),
        ),
        ("to_regoper('+'), to_regoper('-'), to_regoper('~~~~~'), to_regoper('')", (None, None, None, None)),
        ("to_regoperator('-'), to_regoperator('||/'), to_regoper('||/')", (None, None, "||/")),
        ("to_regclass('1259'), to_regtype('23'), to_regproc('33')", ("pg_class", "integer", "charout")),
        ("to_regclass('-'), to_regclass('99999999999'), to_regrole('nobody')", ("-", None, None)),
        ("acldefault('r', 1), acldefault('l', 1)", ("{1=arwdDxt/1}", "{=U/1,1=U/1}")),
        ("acldefault('p', 1), acldefault('L', 1), acldefault('c', 1)", ("{1=sA/1}", "{1=rw/1}", "{}")),
    ],
)
def test_operators_by_number_and_access_lists_by_kind(
    client: Client, sql: str, expected: tuple[str | None, ...]
) -> None:
    assert values(client, f"SELECT {sql}") == [expected]


@pytest.mark.parametrize(
    ("sql", "code", "message"),
    [
        ("SELECT 'nothing'::regclass", "42P01", 'relation "nothing" does not exist'),
        ("SELECT 'nowhere.parent'::regclass", "3F000", 'schema "nowhere" does not exist'),
        ("SELECT 'no_type'::regtype", "42704", 'type "no_type" does not exist'),
        ("SELECT 'nobody'::regrole", "42704", 'role "nobody" does not exist'),
        ("SELECT '+'::regoperator", "22P02", "expected a left parenthesis"),
        ("SELECT acldefault('B', 1)", "XX000", "unrecognized object type abbreviation: B"),
        ("SELECT 'lower'::regproc", "42725", 'more than one function named "lower"'),
        ("SELECT 'no_function()'::regprocedure", "42883", 'function "no_function()" does not exist'),
        ("SELECT has_table_privilege('parent', 'fly')", "22023", 'unrecognized privilege type: "fly"'),
    ],
)
def test_names_that_mean_nothing(client: Client, sql: str, code: str, message: str) -> None:
    assert errors(client.query(sql)) == [(code, message)]


def test_visibility_follows_the_search_path(client: Client) -> None:
    assert values(client, "SELECT pg_table_is_visible('parent'::regclass)") == [("t",)]
    client.query("CREATE SCHEMA aside")
    client.query("SET search_path = aside")
    assert values(client, "SELECT pg_table_is_visible('public.parent'::regclass), 'public.parent'::regclass") == [
        ("f", "public.parent")
    ]


def test_comments(client: Client) -> None:
    client.query("COMMENT ON TABLE parent IS 'of children'")
    client.query("COMMENT ON COLUMN parent.code IS 'a code'")
    found = values(
        client,
        "SELECT obj_description('parent'::regclass, 'pg_class'), col_description('parent'::regclass, 2),"
        " obj_description('public'::regnamespace, 'pg_namespace')",
    )
    assert found == [("of children", "a code", "standard public schema")]


def test_privileges(client: Client) -> None:
    assert values(
        client,
        "SELECT has_table_privilege('reader', 'parent', 'SELECT'), has_table_privilege('reader', 'parent', 'INSERT'),"
        " has_table_privilege('parent', 'DELETE'), has_column_privilege('reader', 'parent', 'code', 'SELECT'),"
        " has_schema_privilege('reader', 'public', 'CREATE')",
    ) == [("t", "f", "t", "t", "f")]
    assert values(client, "SELECT relacl FROM pg_class WHERE relname = 'parent'") == [
        ("{admin=arwdDxt/admin,reader=r/admin}",)
    ]
    exploded = "SELECT privilege_type FROM aclexplode((SELECT relacl FROM pg_class WHERE relname = 'parent')) acl"
    assert values(client, exploded + " WHERE grantee = 'reader'::regrole") == [("SELECT",)]


def test_information_schema(client: Client) -> None:
    assert values(
        client,
        "SELECT column_name, data_type, is_nullable, column_default, numeric_precision, character_maximum_length"
        " FROM information_schema.columns WHERE table_name IN ('parent', 'child') ORDER BY table_name DESC, 1",
    ) == [
        ("code", "text", "YES", None, None, None),
        ("id", "integer", "NO", None, "32", None),
        ("price", "numeric", "YES", "1.5", "8", None),
        ("id", "bigint", "NO", None, "64", None),
        ("made", "timestamp with time zone", "YES", "now()", None, None),
        ("note", "character varying", "YES", "'none'::character varying", None, "30"),
        ("parent_id", "integer", "NO", None, "32", None),
    ]
    assert values(
        client,
        "SELECT tc.constraint_type, kcu.column_name, ccu.table_name FROM information_schema.table_constraints tc"
        " JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name)"
        " JOIN information_schema.constraint_column_usage ccu USING (constraint_schema, constraint_name)"
        " WHERE tc.table_name = 'child' ORDER BY 1",
    ) == [("FOREIGN KEY", "parent_id", "parent"), ("PRIMARY KEY", "id", "child")]


def test_information_schema_shows_what_one_has_a_right_to(fleet: TestFleet, client: Client) -> None:
    other = Client(fleet, 0, start=SessionStart("reader", "postgres", {}))
    shown = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    assert values(other, shown) == [("parent",)]
    assert len(values(client, shown)) == 3


def test_a_sequence_can_be_read(client: Client) -> None:
    assert values(client, "SELECT last_value, is_called FROM numbers") == [("5", "f")]
    client.query("SELECT nextval('numbers')")
    assert values(client, "SELECT last_value, is_called FROM numbers") == [("5", "t")]
    assert values(client, "SELECT sequencename, start_value, last_value FROM pg_sequences") == [("numbers", "5", "5")]


def test_what_another_processor_has_changed_is_seen_at_once(fleet: TestFleet, client: Client) -> None:
    other = Client(fleet, 1)
    definition = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'late_check'"
    assert values(other, definition) == []
    direct = "SELECT col_description('parent'::regclass, 1)"
    assert values(other, direct) == [(None,)]
    client.query("CREATE TABLE late (n int, CONSTRAINT late_check CHECK (n <> 1))")
    client.query("COMMENT ON COLUMN parent.id IS 'the key'")
    assert values(other, definition) == [("CHECK ((n <> 1))",)]
    assert values(other, direct) == [("the key",)]


def test_tableoid_is_the_relation(client: Client) -> None:
    assert values(client, "SELECT n.tableoid, tableoid = 'pg_namespace'::regclass FROM pg_namespace n LIMIT 1") == [
        ("2615", "t")
    ]


def test_names_of_columns_of_what_a_select_star_gives(client: Client) -> None:
    answer = client.query("SELECT * FROM pg_catalog.pg_am")
    assert names(answer) == ["oid", "amname", "amhandler", "amtype"]
    assert rows(answer) == [("2", "heap", "heap_tableam_handler", "t"), ("403", "btree_index", "bthandler", "i")]


def test_functions_and_types_have_the_oids_clients_know(client: Client) -> None:
    assert values(client, "SELECT oid FROM pg_type WHERE typname IN ('int4', '_text', 'jsonb') ORDER BY 1") == [
        ("23",), ("1009",), ("3802",),
    ]  # fmt: skip
    assert values(client, "SELECT oid, prorettype::regtype FROM pg_proc WHERE proname = 'now'") == [
        ("1299", "timestamp with time zone")
    ]
    assert values(client, "SELECT count(*) > 1000 FROM pg_proc") == [("t",)]
    assert values(client, "SELECT castcontext FROM pg_cast WHERE castsource = 23 AND casttarget = 20") == [("i",)]


def test_relations_that_have_nothing_to_show_are_there(client: Client) -> None:
    for name in ("pg_trigger", "pg_policy", "pg_publication", "pg_locks", "pg_matviews", "pg_enum"):
        assert values(client, f"SELECT * FROM {name}") == []


def test_what_is_found_by_a_value_is_what_a_scan_finds(client: Client) -> None:
    by_value = "SELECT attname FROM pg_attribute WHERE attrelid = 'child'::regclass ORDER BY attnum"
    by_scan = "SELECT attname FROM pg_attribute WHERE attrelid + 0 = 'child'::regclass::oid::int8 ORDER BY attnum"
    found = values(client, by_value)
    assert len(found) == 4
    assert found == values(client, by_scan.replace("attrelid + 0", "attrelid::int8"))
    assert values(client, "SELECT 1 FROM pg_class WHERE relname = NULL") == []


def test_every_relation_can_be_read_in_text_and_in_binary(client: Client) -> None:
    client.query("CREATE FUNCTION twice(n int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT n * 2 $$")
    client.query("CREATE DOMAIN small AS int CHECK (VALUE < 10)")
    client.query("INSERT INTO parent SELECT n, 'c' || n, n FROM generate_series(1, 20) n")
    client.query("ANALYZE parent")
    for schema, name in shapes():
        sql = f"SELECT * FROM {schema}.{name}"
        assert not errors(client.query(sql)), sql
        assert not errors(client.execute(sql, formats=(1,))), sql


def test_every_row_fits_its_columns(client: Client) -> None:
    for (schema, name), shape in shapes().items():
        listed = values(client, f"SELECT attname FROM pg_attribute WHERE attrelid = {shape.oid} ORDER BY attnum")
        assert [column for (column,) in listed] == [column for column, _ in shape.columns], (schema, name)
        for row in values(client, f"SELECT * FROM {schema}.{name} LIMIT 50"):
            assert len(row) == len(shape.columns), (schema, name)
            for value, not_null, (column, _) in zip(row, shape.not_null, shape.columns, strict=True):
                assert value is not None or not not_null, (schema, name, column)


def test_what_was_worked_out_of_an_old_schema_does_not_stay(fleet: TestFleet, client: Client) -> None:
    values(client, "SELECT count(*) FROM pg_class")
    old = fleet.processor.tenants.first.catalogue.shared
    assert old is not None
    assert old.derived
    client.query("CREATE TABLE more (id int)")
    assert values(client, "SELECT relkind FROM pg_class WHERE relname = 'more'") == [("r",)]
    assert fleet.processor.tenants.first.catalogue.shared is not old
    assert not old.derived


def test_a_relation_has_a_type_of_its_rows(client: Client) -> None:
    found = values(
        client,
        "SELECT t.typname, t.typtype, t.typrelid::regclass, t.oid::regtype, format_type(t.oid, -1), c.reltype = t.oid"
        " FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE t.typtype = 'c' ORDER BY 1",
    )
    assert found == [(name, "c", name, name, name, "t") for name in ("child", "parent", "shown")]


def test_the_current_schema_is_one_that_is_there(client: Client) -> None:
    asked = "SELECT current_schema(), current_schema, current_schemas(true)"
    assert values(client, asked) == [("public", "public", "{pg_catalog,public}")]
    client.query("SET search_path = nowhere")
    assert values(client, asked) == [(None, None, "{pg_catalog}")]
    client.query("SET search_path = nowhere, public")
    assert values(client, asked) == [("public", "public", "{pg_catalog,public}")]


def test_the_relations_of_sys_have_their_rows() -> None:
    session = Client(TestFleet())
    listed = "SELECT c.oid::regclass, relkind, relnatts FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    assert rows(session.query(f"{listed} WHERE nspname = 'sys' ORDER BY c.oid")) == [
        ("sys.jobs", "v", "9"),
        ("sys.iam_pg_role_mappings", "v", "6"),
    ]
    columns = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'sys.jobs'::regclass"
    assert rows(session.query(f"{columns} AND attnum < 3 ORDER BY attnum")) == [("job_id", "text"), ("status", "text")]
