"""Waiting for what must come, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STEP_SECONDS = 0.02


def until(condition: Callable[[], T], what: str, told: object = "", seconds: float = 40.0) -> T:
    """The first true answer of `condition`. Raises AssertionError when `what` has not come within `seconds`, showing
    `told` as it is then."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"in {seconds:g} s never came: {what} {told}"
        time.sleep(STEP_SECONDS)
