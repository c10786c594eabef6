"""Statements as bare coroutines, resumed straight from the callback that brings what they wait for.

asyncio would wrap each statement in a Task and each answer in a Future: two objects and two turns of the loop for every
read, more than a read costs here. A coroutine needs neither. It yields the `Wait` it stands still at; whoever has the
value calls `resolve`, and the coroutine runs on from within that very call. Awaiting what is already there does not
suspend at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tausql.runtime.host import Host

if TYPE_CHECKING:
    from tausql.processor.fairness import Share

T = TypeVar("T")
Bare = Coroutine[Any, Any, T]
OnEnd = Callable[[Any, Exception | None], None]  # (value, error): one of them


class Wait(Generic[T]):
    """One value that will be there. Resolved once; awaited by at most one coroutine."""

    __slots__ = ("_driver", "_error", "_value", "done")

    def __init__(self) -> None:
        self._driver: Driver | None = None
        self._error: Exception | None = None
        self._value: T | None = None
        self.done = False

    def __await__(self) -> Generator[Wait[T], None, T]:
        if not self.done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def resolve(self, value: T) -> None:
        """Here is the value; whoever awaits runs now. Resolving again, or after `fail`, does nothing."""
        if self.done:
            return
        self.done = True
        self._value = value
        driver = self._driver
        if driver is not None:
            self._driver = None
            driver.resume()

    def fail(self, error: Exception) -> None:
        """There will be no value: `error` is raised where it is awaited."""
        if self.done:
            return
        self.done = True
        self._error = error
        driver = self._driver
        if driver is not None:
            self._driver = None
            driver.resume()


class Driver:
    """Runs one coroutine at a time from its start to its end.

    on_suspend: called each time the coroutine has come to stand still and control goes back to the loop. share: whom
    its time is charged to, where several clusters are at work.
    """

    __slots__ = ("_coroutine", "_on_end", "_on_suspend", "_share", "_waiting")

    def __init__(self, on_suspend: Callable[[], None] | None = None, share: Share | None = None) -> None:
        self._share = share
        self._coroutine: Bare[Any] | None = None
        self._on_end: OnEnd | None = None
        self._on_suspend = on_suspend
        self._waiting: Wait[Any] | None = None

    @property
    def running(self) -> bool:
        return self._coroutine is not None

    @property
    def suspended(self) -> bool:
        """True while the coroutine waits (and is not itself on the stack)."""
        return self._waiting is not None

    def run(self, coroutine: Bare[Any], on_end: OnEnd) -> None:
        """Start `coroutine`; `on_end` is called when it ends, possibly before this returns."""
        self._coroutine = coroutine
        self._on_end = on_end
        self._step(None)

    def resume(self) -> None:
        self._waiting = None
        self._step(None)

    def interrupt(self, error: Exception) -> bool:
        """Raise `error` where the coroutine waits now; what it waited for is forgotten. False: it does not wait."""
        waiting = self._waiting
        if waiting is None:
            return False
        waiting._driver = None
        self._waiting = None
        self._step(error)
        return True

    def _step(self, error: Exception | None) -> None:
        coroutine = self._coroutine
        assert coroutine is not None
        share = self._share
        began = share.turns.clock() if share is not None and share.turns.shared else 0.0
        try:
            waiting: Wait[Any] = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as end:
            self._end(end.value, None)
        except Exception as failure:
            self._end(None, failure)
        else:
            self._waiting = waiting
            waiting._driver = self
            if self._on_suspend is not None:
                self._on_suspend()
        if began and share is not None:
            share.credit -= share.turns.clock() - began

    def _end(self, value: Any, error: Exception | None) -> None:
        on_end = self._on_end
        self._coroutine = None
        self._on_end = None
        assert on_end is not None
        on_end(value, error)


def start(coroutine: Bare[Any], on_end: OnEnd, share: Share | None = None) -> Driver:
    """Drive a coroutine that belongs to no session."""
    driver = Driver(None, share)
    driver.run(coroutine, on_end)
    return driver


def sleep(host: Host, seconds: float) -> Awaitable[None]:
    """Resolved after `seconds`."""
    wait: Wait[None] = Wait()
    host.later(seconds, wait.resolve, None)
    return wait


def turn(host: Host) -> Awaitable[None]:
    """Resolved in the loop's next turn: lets others run in between."""
    wait: Wait[None] = Wait()
    host.soon(wait.resolve, None)
    return wait


class Resolved(Generic[T]):
    """A value that is there already, where something to await is asked for."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, T]:
        return self._value
        yield  # makes this a generator
