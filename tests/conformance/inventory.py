"""What of PostgreSQL's catalogue TauSQL lacks: `inventory.py [dsn]` prints functions, operators and casts, a line each.

Counted by signature, not by name: a missing overload is a call that resolves to something else, or to an error. Left
out are what no client calls: support functions of types, indexes and triggers (arguments of type internal or cstring),
server administration, and the types DSQL has neither as columns nor at run time. Without a dsn the PostgreSQL of the
development wheel is started for the purpose.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import psycopg
from record import local_server

from tausql.sql.functions.catalogue import all_functions, named_operators
from tausql.sql.types.casts import EXPLICIT, find_cast
from tausql.sql.types.registry import find_type

# Types whose functions are of no use without columns, indexes or replication of them.
FOREIGN = """
    internal cstring trigger event_trigger language_handler fdw_handler index_am_handler tsm_handler table_am_handler
    pg_ddl_command pg_ndistinct pg_dependencies pg_mcv_list pg_brin_bloom_summary pg_brin_minmax_multi_summary
    pg_node_tree gtsvector xml pg_lsn pg_snapshot txid_snapshot xid8 cid tid macaddr macaddr8 money path polygon line
    lseg box circle point aclitem refcursor regcollation regconfig regdictionary regoper regoperator regprocedure
""".split()  # fmt: skip
SUPPORT = """
    (_send|_recv|_in|_out|in|out|send|recv|typmodin|typmodout|_cmp|cmp|_eq|_ne|_lt|_le|_gt|_ge|eq|ne|lt|le|gt|ge
    |_accum|_combine|_transfn|_finalfn|_larger|_smaller|larger|smaller|sel|joinsel|_support|_sortsupport|hash
    |hashextended|_hash|_hash_extended|_trans|_inv|_final|_deserialize|_serialize|_accum_inv|_avg_accum)$
"""

NO_CALLS = (
    "^(pg_|has_|binary_upgrade|lo_|lo|be_lo|currtid|txid_|ts_stat|query_to_|table_to_|schema_to_|database_to_|cursor_to_"
    "|xml|xpath|inet_(client|server)|brin|gin|gist|spg|bt|hash_|RI_|fmgr|int8inc|in_range|suppress|anytext"
    "|tsvector_update|tsquery_(not|and|or)|array_(typ|subscript)|raw_array)"
)
PROCEDURES = """
    SELECT p.proname, p.proargtypes::regtype[]::text[], p.prokind
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'pg_catalog' AND p.prokind <> 'p' AND p.oid < 16384
       AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid AND obj_description(p.oid) ~ 'implementation')
       AND NOT EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = p.oid)
       AND p.proname !~ %s
     ORDER BY 1, 2
"""
OPERATORS = """
    SELECT oprname, coalesce(nullif(oprleft, 0)::regtype::text, ''), oprright::regtype::text
      FROM pg_operator ORDER BY 1, 2, 3
"""
CASTS = "SELECT castsource::regtype::text, casttarget::regtype::text FROM pg_cast ORDER BY 1, 2"


def known(names: list[str]) -> bool:
    return not any(name.removesuffix("[]") in FOREIGN for name in names)


def missing_functions(connection: psycopg.Connection) -> Iterator[str]:
    mine = {(f.name, tuple(t.sql_name for t in f.arg_types)) for f in all_functions()}
    support = re.compile("".join(SUPPORT.split()))
    for name, types, kind in connection.execute(PROCEDURES, (NO_CALLS,)):
        if not known(types) or support.search(name) or (name, tuple(types)) in mine:
            continue
        what = {"a": "aggregate", "w": "window function"}.get(kind, "function")
        yield f"{what} {name}({', '.join(types)})"


def missing_operators(connection: psycopg.Connection) -> Iterator[str]:
    for name, left, right in connection.execute(OPERATORS):
        types = [word for word in (left, right) if word]
        have = {tuple(t.sql_name for t in f.arg_types) for f in named_operators(name)}
        if known(types) and tuple(types) not in have:
            yield f"operator {left} {name} {right}"


def missing_casts(connection: psycopg.Connection) -> Iterator[str]:
    for source, target in connection.execute(CASTS):
        if not known([source, target]):
            continue
        mine = find_type(source), find_type(target)
        if mine[0] is None or mine[1] is None or find_cast(mine[0], mine[1], EXPLICIT) is None:
            yield f"cast {source} to {target}"


def main() -> None:
    if len(sys.argv) > 1:
        report(sys.argv[1])
        return
    with local_server() as dsn:
        report(dsn)


def report(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for find in (missing_functions, missing_operators, missing_casts):
            lines = list(find(connection))
            print("\n".join(lines))
            print(f"-- {find.__name__}: {len(lines)}")


if __name__ == "__main__":
    main()
