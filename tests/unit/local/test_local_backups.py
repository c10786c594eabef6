"""`tausql backup`, against a control that checks signatures and notes what it is asked."""

from __future__ import annotations

import json

import pytest
from control_double import IDENTIFIER, ControlDouble, control
from test_local_clusters import run

from tausql.local import backup_commands

__all__ = ["control"]  # a fixture

JOB = "b" * 26
RUNNING = {"jobIdentifier": JOB, "clusterIdentifier": IDENTIFIER, "status": "RUNNING"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_commands, "POLL_SECONDS", 0.0)


def test_create_waits_until_the_backup_is_done(control: ControlDouble) -> None:
    control.answer(f"POST /backup/{IDENTIFIER}", RUNNING)
    control.answer(f"GET /backup/{IDENTIFIER}/{JOB}", RUNNING, RUNNING | {"status": "COMPLETED", "rows": 5})
    words = ["--cluster", IDENTIFIER, "--to", "s3://copies/monday", "--follow", "60"]
    code, out, err = run(control, "backup", "create", *words)
    assert (code, err) == (0, "")
    assert (json.loads(out)["status"], json.loads(out)["rows"]) == ("COMPLETED", 5)
    sent = json.loads(control.asked[0].body)
    assert len(sent.pop("clientToken")) == 36
    assert sent == {"location": "s3://copies/monday", "followSeconds": 60}
    assert [one.method for one in control.asked] == ["POST", "GET", "GET"]
    control.asked.clear()
    assert run(control, "backup", "create", *words, "--no-wait")[0] == 0
    assert [one.method for one in control.asked] == ["POST"]


def test_restore_says_which_moment_and_why_it_failed(control: ControlDouble) -> None:
    control.answer("POST /restore", RUNNING)
    control.answer(f"GET /restore/{JOB}", RUNNING | {"status": "FAILED", "statusMessage": "the backup is damaged"})
    words = ["--from", "monday", "--time", "2026-01-31T12:00:00.25Z", "--tag", "a=b=c", "--no-deletion-protection"]
    code, _, err = run(control, "backup", "restore", *words)
    assert (code, err) == (1, "tausql: the backup is damaged\n")
    sent = json.loads(control.asked[0].body)
    del sent["clientToken"]
    assert sent == {
        "location": "monday",
        "deletionProtectionEnabled": False,
        "restoreTime": 1769860800.25,
        "tags": {"a": "b=c"},
    }
    code, _, err = run(control, "backup", "restore", "--from", "monday", "--time", "yesterday")
    assert (code, "is no moment" in err) == (2, True)


def test_list_has_every_page(control: ControlDouble) -> None:
    control.answer(f"GET /backup/{IDENTIFIER}", {"jobs": [RUNNING], "nextToken": "x=="}, {"jobs": [RUNNING]})
    code, out, _ = run(control, "backup", "list", "--cluster", IDENTIFIER)
    assert (code, len(json.loads(out)["jobs"])) == (0, 2)
    assert control.asked[1].path.endswith("?next-token=x%3D%3D")
