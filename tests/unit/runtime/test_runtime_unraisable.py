"""Exceptions that nobody can be told of are lines of the log, and no tracebacks between them."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tausql.runtime import logs


@pytest.fixture
def configured() -> Any:
    root, hook = logging.getLogger(), sys.unraisablehook
    handlers, level = root.handlers[:], root.level
    logs.configure("info", "json", "test")
    yield
    root.handlers[:], sys.unraisablehook = handlers, hook
    root.setLevel(level)


def test_they_are_one_line_each(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]
    failure: Any = SimpleNamespace(err_msg=None, object="x" * 1000, exc_value=ValueError("no ASCII"))
    assert sys.unraisablehook is logs.tell_unraisable
    sys.unraisablehook(failure)
    (line,) = capsys.readouterr().err.splitlines()
    told = msgspec.json.decode(line)
    assert (told["level"], told["part"], told["reason"]) == ("warning", "runtime", "ValueError('no ASCII')")
    assert told["where"] == "x" * 200
