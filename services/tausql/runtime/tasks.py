"""The only way to start an asyncio task.

`asyncio.create_task` forgets its task (it may be collected while running) and keeps an exception to itself until
someone asks. Here a task is held until it ends, and an exception that escapes it ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

TASKS_MAX = 50_000


class TooManyTasks(Exception):
    """More tasks are running than a process may have."""


def spawn(name: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run `coroutine` beside everything else on the running loop.

    Raises `TooManyTasks` above `TASKS_MAX`; the coroutine is then closed. Cancelling the task is no error.
    """
    loop = asyncio.get_running_loop()
    held = _held(loop)
    if len(held) >= TASKS_MAX:
        coroutine.close()
        raise TooManyTasks(f"{TASKS_MAX} tasks are running")
    task: asyncio.Task[None] = loop.create_task(coroutine, name=name)
    held.add(task)
    task.add_done_callback(_ended)
    return task


def running(loop: asyncio.AbstractEventLoop) -> int:
    """How many tasks run on `loop`."""
    return len(_held(loop))


def _held(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[None]]:
    # The set is reached through the task factory slot, which every loop has and a uvloop loop, having no __dict__,
    # offers as its only place to keep something.
    factory: Any = loop.get_task_factory()
    if not isinstance(factory, _Holder):
        factory = _Holder()
        loop.set_task_factory(factory)
    held: set[asyncio.Task[None]] = factory.held
    return held


class _Holder:
    """Makes tasks as the loop would, and holds the spawned ones."""

    def __init__(self) -> None:
        self.held: set[asyncio.Task[None]] = set()

    def __call__(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=loop, **options)


def _ended(task: asyncio.Task[None]) -> None:
    loop = task.get_loop()
    _held(loop).discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        loop.call_exception_handler(
            {"message": f"task {task.get_name()!r} failed", "exception": error, "handle": None, "task": task}
        )
