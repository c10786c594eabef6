"""Records what PostgreSQL says to the statement corpus: `record_statements.py [dsn]` writes *.jsonl beside each *.sql.

Every script of tests/conformance/sql runs on a fresh schema (schema.sql, data.sql), one statement a line. A line of
*.jsonl answers one: {"sql", "columns": [[name, type]], "rows": [[text]], "tag"} or {"sql", "error": [SQLSTATE, message,
detail]}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg
from record import local_server

CORPUS = Path(__file__).parent / "sql"
SETUP = ("schema.sql", "data.sql")


def statements(path: Path) -> list[str]:
    return [line.strip().removesuffix(";") for line in path.read_text().splitlines() if line.strip()]


def answer(connection: psycopg.Connection, sql: str) -> dict[str, Any]:
    result = connection.pgconn.exec_(sql.encode())
    field = psycopg.pq.DiagnosticField
    if result.status not in (psycopg.pq.ExecStatus.TUPLES_OK, psycopg.pq.ExecStatus.COMMAND_OK):
        parts = [result.error_field(one) for one in (field.SQLSTATE, field.MESSAGE_PRIMARY, field.MESSAGE_DETAIL)]
        return {"sql": sql, "error": [None if part is None else part.decode() for part in parts]}
    tag = (result.command_status or b"").decode()
    if result.status == psycopg.pq.ExecStatus.COMMAND_OK:
        return {"sql": sql, "tag": tag}
    columns = []
    for at in range(result.nfields):
        named = connection.execute("SELECT format_type(%s, %s)", (result.ftype(at), result.fmod(at))).fetchone()
        columns.append([(result.fname(at) or b"").decode(), named[0]])
    rows = [
        [
            None if value is None else value.decode()
            for value in (result.get_value(row, at) for at in range(result.nfields))
        ]
        for row in range(result.ntuples)
    ]
    return {"sql": sql, "columns": columns, "rows": rows, "tag": tag}


def record(dsn: str) -> None:
    for path in sorted(CORPUS.glob("*.sql")):
        if path.name in SETUP:
            continue
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            connection.execute("SET TimeZone = 'UTC'")
            for name in SETUP:
                for sql in statements(CORPUS / name):
                    connection.execute(sql)
            lines = [json.dumps(answer(connection, sql), ensure_ascii=False) for sql in statements(path)]
        path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
        print(f"{path.name}: {len(lines)} statements")


def main() -> None:
    if len(sys.argv) > 1:
        record(sys.argv[1])
        return
    with local_server() as dsn:
        record(dsn)


if __name__ == "__main__":
    main()
