"""The adapters' own tests, from their source distributions: `python -m tests.compatibility.adapters_suite [NAME]`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .emptying import empty
from .endpoint import Endpoint, endpoint
from .environments import environment, sources
from .outcomes import Outcomes, read_junit

FILES = Path(__file__).parent / "adapter_files"
CLUSTER = "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws"
SECONDS_MAX = 1800
DRIVERS = (
    "psycopg[binary,pool]==3.3.9",
    "psycopg2-binary==2.9.13",
    "asyncpg==0.32.0",
    "aurora-dsql-python-connector==0.2.7",
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """`copied`: of the source distribution; `tests`: what pytest is given there."""

    source: str
    requirements: tuple[str, ...]
    copied: tuple[str, ...]
    tests: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


SQLALCHEMY = Adapter(
    "aurora-dsql-sqlalchemy==1.3.0",
    ("SQLAlchemy==2.0.44", "aurora-dsql-sqlalchemy==1.3.0", "python-dotenv", *DRIVERS),
    ("test", "test.cfg"),
    ("test",),
)
DJANGO = Adapter(
    "aurora-dsql-django==0.7.0",
    ("Django==5.2.19", "aurora-dsql-django==0.7.0", *DRIVERS),
    ("aurora_dsql_django/tests",),
    ("tests/unit",),
    (("DJANGO_SETTINGS_MODULE", "aurora_dsql_django.tests.test_settings"),),
)
ADAPTERS = {
    "sqlalchemy-psycopg": SQLALCHEMY,
    "sqlalchemy-psycopg2": Adapter(
        SQLALCHEMY.source, SQLALCHEMY.requirements, SQLALCHEMY.copied, SQLALCHEMY.tests, (("DRIVER", "psycopg2"),)
    ),
    "tortoise": Adapter(
        "aurora-dsql-tortoise-orm==0.2.0",
        (
            "aurora-dsql-tortoise-orm==0.2.0",
            "tortoise-orm[asyncpg,psycopg]==0.25.1",
            "aerich[toml]>=0.9.2",
            "pytest-asyncio",
            "pytest-subtests",
            "python-dotenv",
            *DRIVERS,
        ),
        ("tests", "pyproject.toml"),
        ("tests",),
    ),
    "django": DJANGO,
    "django-live": Adapter(DJANGO.source, DJANGO.requirements, DJANGO.copied, ("tests/integration",), DJANGO.variables),
}


def run(name: str, server: Endpoint) -> Outcomes:
    """Run one adapter's tests."""
    adapter = ADAPTERS[name]
    made = environment(f"adapter-{name.partition('-')[0]}", *adapter.requirements)
    source = sources(adapter.source)
    with server.connect() as connection:
        empty(connection)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for one in adapter.copied:
            target = work / Path(one).name
            if (source / one).is_dir():
                shutil.copytree(source / one, target)
            else:
                shutil.copy(source / one, target)
        report = work / "report.xml"
        variables = {
            "CLUSTER_ENDPOINT": CLUSTER,
            "CLUSTER_USER": server.user,
            "REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": str(FILES),
        }
        subprocess.run(
            [str(made.python), "-m", "pytest", "-q", "-p", "tausql_endpoint", "-W", "ignore", "--timeout", "120",
             "--junit-xml", str(report), "-o", "junit_family=xunit1", *adapter.tests],
            cwd=work, env=server.environment() | variables | dict(adapter.variables), check=False, timeout=SECONDS_MAX,
            stdout=None if os.environ.get("TAUSQL_LOUD") else subprocess.DEVNULL,
        )  # fmt: skip
        return read_junit(f"adapter {name}", report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", help="libpq string of a running server, else a fleet is started")
    parser.add_argument("names", nargs="*", default=list(ADAPTERS))
    given = parser.parse_args()
    failed = 0
    with endpoint(given.server) as server:
        for name in given.names:
            outcomes = run(name, server)
            print(outcomes.report(), flush=True)
            failed += len(outcomes.failed)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
