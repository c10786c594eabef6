"""Who has no right gets in nowhere, and nothing falls over."""

from __future__ import annotations

import urllib.request

from tests.compatibility.environments import environment

from .conftest import PROGRAMS, Runner
from .test_python_clients import AWS

FUZZ = ("schemathesis==4.32.5", "botocore==1.44.5", "requests>=2.32")


def test_strangers_at_the_wire(run: Runner) -> None:
    made = environment("clients-aws", *AWS)
    told = run(made.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", PROGRAMS / "attacks.py")
    assert "100%" in told
    # What was tried is in the log, and what it was tried with is not.
    logged = "".join(file.read_text() for file in (run.fleet.folder / "logs").iterdir())
    assert "client refused" in logged
    for secret in (run.fleet.variables["AWS_SECRET_ACCESS_KEY"], "X-Amz-Signature=", "abracadabra"):
        assert secret not in logged


def test_secrets_are_for_their_owner(run: Runner) -> None:
    folder = run.fleet.folder
    secret = [folder / "credentials.json", folder / "fleet.key", *folder.rglob("*.key")]
    assert len(secret) >= 3
    for file in secret:
        assert not file.stat().st_mode & 0o077, file
    for path in ("/status", "/metrics", "/openapi.json"):
        answer = urllib.request.urlopen(run.fleet.variables["TAUSQL_HTTP"] + path, timeout=20).read().decode()
        assert run.fleet.variables["AWS_SECRET_ACCESS_KEY"] not in answer
        assert run.fleet.variables["AWS_ACCESS_KEY_ID"] not in answer


def test_the_api_under_made_up_calls(run: Runner) -> None:
    made = environment("clients-fuzz", *FUZZ)
    told = run(made.python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", PROGRAMS / "fuzz_api.py")
    assert "100%" in told
