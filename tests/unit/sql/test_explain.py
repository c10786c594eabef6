"""EXPLAIN in Aurora DSQL's shape."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from database import Database, table

from tausql.protocol.errors import Code, SqlError
from tausql.sql.explaining import markup

READ = "select * from things where grp = 3 and state = 'done' and lower(name) = 'name 3'"


@pytest.fixture(scope="module")
def db() -> Database:
    made = Database(
        table(500, "things", ["id integer", "grp integer", "state text", "name text"], ["id"],
              [("things_grp_idx", ["grp"], False)]),
        table(600, "heap", ["a integer", "b text"]),
    )  # fmt: skip
    for at in range(100):
        made.execute("insert into things values ($1, $1 % 10, case when $1 < 50 then 'open' else 'done' end,"
                     " 'Name ' || $1 % 20)", at)  # fmt: skip
    made.execute("insert into heap values (1, 'x')")
    return made


def text(db: Database, sql: str) -> list[str]:
    """Without costs and times, which are others' business."""
    lines = [row[0] for row in db.rows(f"explain {sql}")]
    return [re.sub(r"\(cost=[^)]*\) ?|actual time=[^ ]* ", lambda found: "" if "cost" in found[0] else "actual ", line)
            .rstrip() for line in lines]  # fmt: skip


def test_a_table_without_a_primary_key(db: Database) -> None:
    assert text(db, "select b from heap where a > 0 and b like 'x%'") == [
        "Full Scan (btree-table) on heap",
        "  Filter: (b ~~ 'x%'::text)",
        "  -> Storage Scan on heap",
        "      Projections: a, b",
        "      Filters: (a > 0)",
        "      -> B-Tree Scan on heap",
    ]


def test_an_index_scan_looks_rows_up(db: Database) -> None:
    assert text(db, f"(analyze, verbose, summary off) {READ}")[:14] == [
        "Index Scan using things_grp_idx on public.things  (actual rows=2 loops=1)",
        "  Output: id, grp, state, name",
        "  Index Cond: (grp = 3)",
        "  Filter: (lower(name) = 'name 3'::text)",
        "  Rows Removed by Filter: 3",
        "  -> Storage Scan on things_grp_idx (actual rows=5 loops=1)",
        "      -> B-Tree Scan on things_grp_idx (actual rows=10 loops=1)",
        "          Index Cond: (grp = 3)",
        "  -> Storage Lookup on things (actual rows=5 loops=1)",
        "      Projections: id, grp, state, name",
        "      Filters: (state = 'done'::text)",
        "      Rows Filtered: 5",
        "      -> B-Tree Lookup on things (actual rows=10 loops=1)",
        f"Query Identifier: {text(db, f'(analyze, verbose) {READ}')[13].split()[-1]}",
    ]


def test_the_footer(db: Database) -> None:
    prepared = db.prepare(f"explain (analyze, verbose) {READ}")
    prepared.planning_ms = 1.25
    lines = [row[0] for row in db.run(prepared)[1]][13:]
    assert re.fullmatch("Query Identifier: [a-z2-7]{13}", lines[0])
    assert lines[1:5] == ["Planning Time: 1.250 ms", "Execution Time: 0.000 ms", "Statement DPU Estimate:",
                          "  Compute: 0.00125 DPU"]  # fmt: skip
    assert re.fullmatch(r"  Read: 0\.000\d\d DPU \(Transaction minimum: 0\.00375\)", lines[5])
    assert re.fullmatch(r"  Total: 0\.00\d+ DPU", lines[6])
    assert len(lines) == 7
    assert not any("DPU" in line for line in db.plan(f"analyze {READ}"))
    written = [row[0] for row in db.rows("explain (analyze, verbose) insert into heap values (2, 'y'), (3, 'z')")]
    assert written[-3:-1] == ["  Compute: 0.00000 DPU", "  Write: 0.01250 DPU (Transaction minimum: 0.05000)"]


def test_the_identifier_is_of_the_statement(db: Database) -> None:
    def identifier(sql: str) -> str:
        return next(line for line in db.plan(f"(analyze, verbose) {sql}") if line.startswith("Query Identifier"))

    assert identifier("select  *  from things") == identifier("select * from things")
    assert identifier("select * from things") != identifier("select id from things")


def test_joins_and_aggregates(db: Database) -> None:
    sql = "select h.b, t.id + 1 from heap h join things t on t.grp = h.a where t.state = 'open'"
    shown = text(db, f"verbose {sql}")
    assert shown[:4] == [
        "Nested Loop (Batched Join)",
        "  Output: h.b, (t.id + 1)",
        "  Join Type: Inner",
        "  Recheck Cond: (t.grp = h.a)",
    ] or shown[:3] == ["Hash Join", "  Output: h.b, (t.id + 1)", "  Hash Cond: (h.a = t.grp)"]
    assert text(db, "select state, count(*), max(id) from things group by state") == [
        "HashAggregate",
        "  Group Key: state",
        "  ->  Index Only Scan using things_pkey on things",
        "        -> Storage Scan on things_pkey",
        "            Aggregates: count(*), max(id)",
        "            -> B-Tree Scan on things_pkey",
    ]


def test_subplans_are_shown(db: Database) -> None:
    shown = text(db, "select id from things where id < 3 or grp = (select max(a) from heap)")
    assert "  SubPlan 1" in shown
    assert "    ->  Aggregate" in shown


def test_options(db: Database) -> None:
    lines = [row[0] for row in db.rows("explain (costs off) select * from heap")]
    assert lines[0] == "Full Scan (btree-table) on heap"
    lines = [row[0] for row in db.rows("explain (analyze, timing off, summary off, costs off) select * from heap")]
    assert lines[0].startswith("Full Scan (btree-table) on heap  (actual rows=")
    assert not any("Time" in line for line in lines)
    with pytest.raises(SqlError, match='unrecognized value for EXPLAIN option "format": "foo"') as refused:
        db.rows("explain (format foo) select 1")
    assert refused.value.code is Code.invalid_parameter_value


def test_json(db: Database) -> None:
    prepared = db.prepare(f"explain (analyze, format json) {READ}")
    assert prepared.columns is not None
    assert prepared.columns[0].type.name == "json"
    ((text,),) = db.run(prepared)[1]
    (document,) = json.loads(text)
    plan = document["Plan"]
    assert plan["Node Type"] == "Index Scan"
    assert plan["Index Name"] == "things_grp_idx"
    assert plan["Relation Name"] == "things"
    assert plan["Rows Removed by Filter"] == 3
    assert [child["Node Type"] for child in plan["Plans"]] == ["Storage Scan", "Storage Lookup"]
    assert plan["Plans"][1]["Rows Filtered"] == 5
    assert document["Execution Time"] == 0.0


def _as_json(db: Database, sql: str) -> Any:
    ((text,),) = db.rows(f"explain (analyze, verbose, timing off, summary off, format json) {sql}")
    return json.loads(text)


@pytest.mark.parametrize(
    "sql", [READ, "select grp, count(*) from things where name <> E'<&>\"\\n' group by grp order by 1"]
)
def test_yaml_is_the_json_document_as_postgresql_writes_it(db: Database, sql: str) -> None:
    ((text,),) = db.rows(f"explain (analyze, verbose, timing off, summary off, format yaml) {sql}")
    assert yaml.safe_load(text) == _as_json(db, sql)
    lines = text.splitlines()
    assert lines[0] == "- Plan: "
    assert lines[1].startswith('    Node Type: "')
    assert "    Plans: " in lines
    assert any(line.startswith('      - Node Type: "') for line in lines)


def test_the_layout_is_postgresql_s_to_the_letter() -> None:
    inner = {"Node Type": "Seq Scan", "Parallel Aware": False, "Startup Cost": 0.0, "Output": ["a", 'b"']}
    document = {"Plan": {"Node Type": "Sort", "Sort Key": ["t.b"], "Plans": [inner]}, "Planning Time": 0.22}
    assert markup.yaml(document) == (
        '- Plan: \n    Node Type: "Sort"\n    Sort Key: \n      - "t.b"\n    Plans: \n      - Node Type: "Seq Scan"\n'
        '        Parallel Aware: false\n        Startup Cost: 0.00\n        Output: \n          - "a"\n'
        '          - "b\\""\n  Planning Time: 0.220'
    )
    assert markup.xml(document) == (
        '<explain xmlns="http://www.postgresql.org/2009/explain">\n  <Query>\n    <Plan>\n'
        "      <Node-Type>Sort</Node-Type>\n      <Sort-Key>\n        <Item>t.b</Item>\n      </Sort-Key>\n"
        "      <Plans>\n        <Plan>\n          <Node-Type>Seq Scan</Node-Type>\n"
        "          <Parallel-Aware>false</Parallel-Aware>\n          <Startup-Cost>0.00</Startup-Cost>\n"
        '          <Output>\n            <Item>a</Item>\n            <Item>b"</Item>\n          </Output>\n'
        "        </Plan>\n      </Plans>\n    </Plan>\n    <Planning-Time>0.220</Planning-Time>\n  </Query>\n</explain>"
    )


def _read_back(element: ElementTree.Element) -> Any:
    """An element of the XML form as the JSON form has it, all values as text."""
    parts = list(element)
    if not parts:
        return element.text
    names = [part.tag.partition("}")[2] for part in parts]
    if set(names) <= {"Item"} or element.tag.endswith("}Plans"):
        return [_read_back(part) for part in parts]
    return {name.replace("-", " "): _read_back(part) for name, part in zip(names, parts, strict=True)}


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {label.replace("-", " "): _as_text(part) for label, part in value.items()}
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    return value if isinstance(value, str) else str(value)


def _without_costs(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            label: _without_costs(part) for label, part in value.items() if "Cost" not in label and "DPU" not in label
        }
    return [_without_costs(part) for part in value] if isinstance(value, list) else value


def test_xml_is_the_json_document_as_postgresql_writes_it(db: Database) -> None:
    sql = "select grp, count(*) from things where name <> '<&>' and lower(state) = 'done' group by grp order by grp"
    ((text,),) = db.rows(f"explain (analyze, verbose, timing off, summary off, format xml) {sql}")
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.postgresql.org/2009/explain}explain"
    (query,) = root
    (expected,) = _as_json(db, sql)
    assert _without_costs(_read_back(query)) == _without_costs(_as_text(expected))
    assert text.splitlines()[1:4] == ["  <Query>", "    <Plan>", "      <Node-Type>Sort</Node-Type>"]
    assert "        <Item>grp</Item>" in text.splitlines()
    assert re.search(r"<Startup-Cost>\d+\.\d\d</Startup-Cost>", text)


def test_costs_begin_at_a_hundred_and_grow_with_the_rows(db: Database) -> None:
    found = re.search(r"cost=([\d.]+)\.\.([\d.]+) rows=(\d+) width=(\d+)", db.plan("select * from things")[0])
    assert found is not None
    startup, total, rows, width = map(float, found.groups())
    assert (startup, rows, width) == (1350.05, 10000, 72)
    assert total == pytest.approx(startup + rows * (0.01 + width / 1000))
    point = db.plan("select * from things where id = 1")[0]
    assert "cost=100.17..100.26 rows=1 " in point
