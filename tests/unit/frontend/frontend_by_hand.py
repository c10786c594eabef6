"""A host whose time passes when a test says so."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NoReturn


class _Timer:
    def __init__(self, at: float, function: Callable[[], None]) -> None:
        self.at = at
        self.function = function
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualHost:
    name, zone = "frontend-a", "a"
    clock: Any = None
    random = random.Random(1)

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[_Timer] = []
        self.waiting: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        return self.now

    def soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self.waiting.append(lambda: function(*arguments))

    def later(self, delay_seconds: float, function: Callable[..., None], *arguments: Any) -> _Timer:
        timer = _Timer(self.now + delay_seconds, lambda: function(*arguments))
        self.timers.append(timer)
        return timer

    def die(self, reason: str) -> NoReturn:
        raise AssertionError(reason)

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self.run()
            self.timers = sorted((one for one in self.timers if not one.cancelled), key=lambda one: one.at)
            if not self.timers or self.timers[0].at > end:
                break
            timer = self.timers.pop(0)
            self.now = max(self.now, timer.at)
            timer.function()
        self.now = end
