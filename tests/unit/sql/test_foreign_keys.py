"""Foreign keys: what is refused in PostgreSQL's words, what actions do, when deferred ones are looked at."""

from __future__ import annotations

import pytest
from ddl_database import DdlDatabase

from tausql.protocol.errors import SqlError
from tausql.sql.engine import prepare
from tausql.sql.statements import parse_statements


@pytest.fixture
def db() -> DdlDatabase:
    db = DdlDatabase()
    db.script(
        "create table p (id int primary key, u text unique, n numeric)",
        "insert into p values (1, 'a', 1), (2, 'b', 2), (3, 'd', 3)",
    )
    return db


def sorted_rows(db: DdlDatabase, table: str) -> list[list[object]]:
    return db.do(f"select * from {table} order by 1")


def test_a_child_needs_its_parent(db: DdlDatabase) -> None:
    db.script("create table c (id int primary key, p int references p)", "insert into c values (1, 1), (2, null)")
    error = db.error("insert into c values (3, 9)")
    assert (error.sqlstate, error.message, error.detail) == (
        "23503",
        'insert or update on table "c" violates foreign key constraint "c_p_fkey"',
        'Key (p)=(9) is not present in table "p".',
    )
    assert (error.table, error.constraint) == ("c", "c_p_fkey")
    assert db.refusal("update c set p = 9 where id = 1")[0] == "23503"
    assert len(sorted_rows(db, "c")) == 2


def test_a_parent_stays_while_it_is_referenced(db: DdlDatabase) -> None:
    db.script("create table c (id int primary key, p int references p)", "insert into c values (1, 1)")
    error = db.error("delete from p where id = 1")
    assert (error.sqlstate, error.message, error.detail) == (
        "23503",
        'update or delete on table "p" violates foreign key constraint "c_p_fkey" on table "c"',
        'Key (id)=(1) is still referenced from table "c".',
    )
    assert db.refusal("update p set id = 10 where id = 1")[0] == "23503"
    db.script("update p set n = 5 where id = 1", "delete from p where id = 2", "delete from c", "delete from p")


def test_the_parent_row_is_shared_so_that_its_removal_is_in_conflict(db: DdlDatabase) -> None:
    db.do("create table c (id int primary key, p int references p, q text references p (u))")
    db.store.locked.clear()
    db.do("insert into c values (1, 2, 'b')")
    key = db.store.locked[0][1]
    assert db.store.locked == [("share", key), ("share", key)]


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ("cascade", []),
        ("set null", [[1, None, "x"]]),
        ("set default", [[1, 3, "x"]]),
        ("set null (p)", [[1, None, "x"]]),
    ],
)
def test_on_delete(db: DdlDatabase, action: str, after: list[list[object]]) -> None:
    db.script(
        "create table c (id int primary key, p int default 3, t text,"
        f" foreign key (p) references p on delete {action})",
        "insert into c values (1, 1, 'x')",
        "delete from p where id = 1",
    )
    assert sorted_rows(db, "c") == after


@pytest.mark.parametrize(("action", "after"), [("cascade", 10), ("set null", None), ("set default", 3)])
def test_on_update(db: DdlDatabase, action: str, after: int | None) -> None:
    db.script(
        f"create table c (id int primary key, p int default 3 references p on update {action},"
        " g int generated always as (p * 2) stored)",
        "insert into c values (1, 1)",
        "update p set id = 10 where id = 1",
    )
    assert sorted_rows(db, "c") == [[1, after, None if after is None else after * 2]]


def test_actions_that_leave_nothing_right_are_refused(db: DdlDatabase) -> None:
    db.script(
        "create table a (p int default 99 references p on delete set default)",
        "create table b (p int not null references p on delete set null)",
        "create table r (p int references p on delete restrict)",
        "insert into a values (1)",
        "insert into b values (2)",
        "insert into r values (3)",
    )
    assert db.error("delete from p where id = 1").detail == 'Key (p)=(99) is not present in table "p".'
    assert db.refusal("delete from p where id = 2")[0] == "23502"
    assert db.refusal("delete from p where id = 3")[0] == "23503"


def test_cascades_go_on_and_round_in_circles(db: DdlDatabase) -> None:
    db.script(
        "create table tree (id int primary key, up int references tree on delete cascade)",
        "create table leaf (id int primary key, t int references tree on delete cascade)",
        "insert into tree values (1, 4), (2, 1), (3, 2), (4, 3), (5, null)",
        "insert into leaf values (1, 3), (2, 5)",
        "delete from tree where id = 1",
    )
    assert sorted_rows(db, "tree") == [[5, None]]
    assert sorted_rows(db, "leaf") == [[2, 5]]


def test_a_row_that_another_action_removes_needs_no_parent(db: DdlDatabase) -> None:
    db.script(
        "create table c (id int primary key, a int default 3 references p on delete set default,"
        " b text references p (u) on delete cascade)",
        "insert into c values (1, 2, 'a')",
        "delete from p",
    )
    assert not sorted_rows(db, "c")


def test_a_default_that_is_the_very_row_removed_is_refused(db: DdlDatabase) -> None:
    db.script("create table c (a int default 1 references p on delete set default)", "insert into c values (1)")
    assert db.refusal("delete from p where id = 1")[0] == "23503"


def test_rows_of_one_statement_may_refer_to_each_other(db: DdlDatabase) -> None:
    db.do("create table s (id int primary key, other int references s)")
    db.do("insert into s values (1, 2), (2, 1)")
    assert db.refusal("delete from s where id = 1")[0] == "23503"
    db.do("delete from s")


def test_match_full(db: DdlDatabase) -> None:
    db.script(
        "create table two (a int, b text, unique (b, a))",
        "create table f (x int, y text, foreign key (x, y) references two (a, b) match full)",
        "create table simple (x int, y text, foreign key (x, y) references two (a, b))",
        "insert into two values (1, 'one')",
        "insert into f values (1, 'one'), (null, null)",
        "insert into simple values (7, null)",
    )
    error = db.error("insert into f values (1, null)")
    assert error.detail == "MATCH FULL does not allow mixing of null and nonnull key values."
    assert db.error("insert into f values (2, 'one')").detail == 'Key (x, y)=(2, one) is not present in table "two".'


def test_types_that_compare_through_a_cast(db: DdlDatabase) -> None:
    db.script(
        "create table big (id bigint primary key)",
        "create table dec (n numeric primary key)",
        "create table c (a smallint references big on update cascade, n int references dec on update cascade)",
        "insert into big values (7)",
        "insert into dec values (8)",
        "insert into c values (7, 8)",
        "update big set id = 70",
        "update dec set n = 80",
    )
    assert db.do("select * from c") == [[70, 80]]
    assert db.refusal("delete from dec")[0] == "23503"
    assert db.refusal("update big set id = 70000")[0] == "22003"
    error = db.error("create table wrong (id text references big)")
    assert (error.sqlstate, error.message, error.detail) == (
        "42804",
        'foreign key constraint "wrong_id_fkey" cannot be implemented',
        'Key columns "id" and "id" are of incompatible types: text and bigint.',
    )


def test_deferred_checks_wait_for_the_commit(db: DdlDatabase) -> None:
    db.script(
        "create table c (id int primary key, p int references p deferrable initially deferred)",
        "insert into c values (1, 77)",
        "insert into p values (77, 'x', 5)",
    )
    db.commit()
    db.do("delete from p where id = 77")
    with pytest.raises(SqlError, match='violates foreign key constraint "c_p_fkey" on table "c"'):
        db.commit()
    db.do("insert into c values (2, 78)")
    db.do("delete from c where id = 2")
    db.commit()


@pytest.mark.parametrize("index", ["", "create index async on c (p)", "create index async on c (p, id)"])
def test_children_are_found_with_and_without_an_index(db: DdlDatabase, index: str) -> None:
    db.script(
        "create table c (id int primary key, p int references p on delete cascade)",
        "insert into c values (1, 1), (2, 1), (3, 2), (4, null)",
    )
    if index:
        assert db.work(db.ddl(index).job_id).status == "completed"
    db.store.scans.clear()
    db.do("delete from p where id = 1")
    assert [row[0] for row in sorted_rows(db, "c")] == [3, 4]
    assert any(scan.fetch for scan in db.store.scans) == bool(index)
    there, wanted = db.entries("c")
    assert there == wanted


def test_a_plan_relies_on_the_tables_it_reaches(db: DdlDatabase) -> None:
    db.script("create table c (p int references p on delete cascade)", "create table other (id int)")
    relied = dict(prepare(parse_statements("delete from p")[0], db.snapshot).reads_relations)
    assert set(relied) == {db.table("p").oid, db.table("c").oid}


def test_not_valid_holds_for_new_rows_and_is_validated_by_a_job(db: DdlDatabase) -> None:
    db.script(
        "create table c (id int primary key, p int)",
        "insert into c values (1, 1), (2, 2), (3, 50)",
        "alter table c add constraint fk foreign key (p) references p not valid",
    )
    assert db.refusal("insert into c values (4, 60)")[0] == "23503"
    assert not db.table("c").foreign_keys[0].validated
    job = db.work(db.ddl("alter table async c validate constraint fk").job_id)
    assert (job.status, job.details) == (
        "failed",
        'insert or update on table "c" violates foreign key constraint "fk"',
    )
    db.do("delete from c where id = 3")
    job = db.work(db.ddl("alter table async c validate constraint fk").job_id)
    (key,) = db.table("c").foreign_keys
    assert (job.status, job.object_name, job.object_oid) == ("completed", "public.fk", key.oid)
    assert key.validated


def test_drop_table_names_what_depends_on_it(db: DdlDatabase) -> None:
    db.script("create table c (p int references p)", "insert into c values (1)")
    error = db.error("drop table p")
    assert (error.sqlstate, error.message, error.detail, error.hint) == (
        "2BP01",
        "cannot drop table p because other objects depend on it",
        "constraint c_p_fkey on table c depends on table p",
        "Use DROP ... CASCADE to drop the dependent objects too.",
    )
    result = db.ddl("drop table p cascade")
    assert [notice.message for notice in result.notices] == ["drop cascades to constraint c_p_fkey on table c"]
    db.do("insert into c values (2)")


@pytest.mark.parametrize(
    ("sql", "sqlstate", "message"),
    [
        ("create table c (a int references nope)", "42P01", 'relation "nope" does not exist'),
        (
            "create table c (a numeric references p (n))",
            "42830",
            'there is no unique constraint matching given keys for referenced table "p"',
        ),
        (
            "create table c (a int, foreign key (a, a) references p)",
            "42830",
            "number of referencing and referenced columns for foreign key disagree",
        ),
        (
            "create table c (a int, foreign key (b) references p)",
            "42703",
            'column "b" referenced in foreign key constraint does not exist',
        ),
        (
            "create table c (a int references p on delete set null (b))",
            "42703",
            'column "b" referenced in foreign key constraint does not exist',
        ),
        (
            "create table c (a int references p on update set null (a))",
            "0A000",
            "a column list with SET NULL is only supported for ON DELETE actions",
        ),
        ("create table c (a int references p match partial)", "0A000", "MATCH PARTIAL not yet implemented"),
        (
            "create table c (a int references p not deferrable initially deferred)",
            "42601",
            "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
        ),
    ],
)
def test_definitions_refused(db: DdlDatabase, sql: str, sqlstate: str, message: str) -> None:
    assert db.refusal(sql) == (sqlstate, message)
