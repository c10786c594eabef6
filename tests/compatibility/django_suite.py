"""Django's own test applications through aurora-dsql-django: `python -m tests.compatibility.django_suite [name ...]`.

Every application runs in a process of its own on a database emptied before, so that one whose tables cannot be made
takes no other with it.

The adapter calls its database "dsql", and forms that Django has for "postgresql" are then not used: some tests
cannot pass with it anywhere. `--record` runs everything on PostgreSQL, with ASYNC left out, and writes down which
(adapter.tsv); a test listed there that fails here counts as not applicable.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from loadtest.postgres import single_postgres

from .emptying import empty
from .endpoint import Endpoint, endpoint
from .environments import environment, sources
from .outcomes import Outcomes, essence, rules, take

FILES = Path(__file__).parent / "django_files"
ADAPTER = FILES / "adapter.tsv"
DJANGO = "Django==5.2.19"
REQUIREMENTS = (
    DJANGO,
    "aurora-dsql-django==0.7.0",
    "psycopg[binary]==3.3.9",
    "jinja2",
    "docutils",
    "Pillow",
    "PyYAML",
    "tblib",
    "tzdata",
)
APPLICATIONS = """
basic ordering lookup aggregation aggregation_regress annotations expressions expressions_case expressions_window
queries many_to_one many_to_many get_or_create bulk_create delete update transactions model_fields db_functions
introspection inspectdb schema dates datetimes defer distinct_on_fields null_queries or_lookups select_for_update
select_related update_only_fields m2m_through one_to_one raw_query constraints indexes timezones
""".split()
SECONDS_MAX = 900


def run(application: str, server: Endpoint, plain: bool = False) -> Outcomes:
    """Run one application's tests. `plain`: the server is PostgreSQL."""
    made = environment("django", *REQUIREMENTS)
    tests = sources(DJANGO) / "tests"
    outcomes = Outcomes(f"django {application}")
    with server.connect() as connection:
        empty(connection)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.jsonl"
        variables = server.environment() | {"PYTHONPATH": str(FILES)} | ({"TAUSQL_PLAIN": "1"} if plain else {})
        try:
            done = subprocess.run(
                [str(made.python), "-W", "ignore", "runtests.py", "--settings=tausql_settings", "--noinput",
                 "--parallel=1", "-v0", application],
                cwd=tests, env=variables | {"TAUSQL_REPORT": str(report)}, check=False, timeout=SECONDS_MAX,
                capture_output=True, text=True,
            )  # fmt: skip
            said = done.stderr
        except subprocess.TimeoutExpired:
            said = f"not done within {SECONDS_MAX} s"
        if not report.exists():
            take(outcomes, application, f"no test ran: {essence(said)}", rules())
            return outcomes
        _read(outcomes, report, {} if plain else beyond_the_adapter())
    return outcomes


def beyond_the_adapter() -> dict[str, str]:
    """Tests that fail on PostgreSQL too, and with what."""
    lines = ADAPTER.read_text().splitlines() if ADAPTER.exists() else []
    return dict(line.split("\t", 1) for line in lines)


def record(applications: list[str]) -> None:
    """Write down what fails on PostgreSQL."""
    found = {test: why for test, why in beyond_the_adapter().items() if test.partition(".")[0] not in applications}
    with single_postgres() as port:
        server = Endpoint("127.0.0.1", port, "", "postgres", "disable")
        for application in applications:
            outcomes = run(application, server, plain=True)
            print(outcomes.summary(), flush=True)
            found |= dict(outcomes.failed)
    ADAPTER.write_text("".join(f"{test}\t{found[test]}\n" for test in sorted(found)))


def _read(outcomes: Outcomes, report: Path, beyond: dict[str, str]) -> None:
    """A test that failed in several parts, or after it, counts once, by what it said first."""
    known = rules()
    lines: dict[str, list[dict[str, str]]] = {}
    for line in report.read_text().splitlines():
        entry = json.loads(line)
        lines.setdefault(entry["test"], []).append(entry)
    for test, entries in lines.items():
        told = [entry["told"] for entry in entries if entry["outcome"] == "failed"]
        if told and test in beyond:
            outcomes.not_applicable.append((test, f"the adapter: {beyond[test]}"))
        elif told:
            take(outcomes, test, "\n".join(told), known)
        elif entries[-1]["outcome"] == "skipped":
            outcomes.not_applicable.append((test, f"left out by Django: {entries[-1]['told']}"))
        else:
            outcomes.passed += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", help="libpq string of a running server, else a fleet is started")
    parser.add_argument("applications", nargs="*", default=APPLICATIONS)
    parser.add_argument("--record", action="store_true", help="write adapter.tsv instead")
    given = parser.parse_args()
    if given.record:
        record(given.applications)
        return
    total = Outcomes("django")
    with endpoint(given.server) as server:
        for application in given.applications:
            outcomes = run(application, server)
            print("\n".join([outcomes.summary(), *outcomes.failures()]), flush=True)
            total.passed += outcomes.passed
            total.failed += outcomes.failed
            total.not_applicable += outcomes.not_applicable
    print(total.report())
    sys.exit(bool(total.failed))


if __name__ == "__main__":
    main()
