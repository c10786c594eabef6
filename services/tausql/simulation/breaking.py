"""Takes a guard out of the services while a run lasts, by giving a function other source text."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from tausql.simulation.guards import ALL, Edit, Guard

GUARDS: dict[str, Guard] = {guard.name: guard for guard in ALL}


class GuardNotFound(Exception):
    """The words of a guard are not in the source (once): the table has fallen behind the code."""


def edited(function: Callable[..., Any], edits: list[Edit]) -> Callable[..., Any]:
    """`function` with other words in it. Raises GuardNotFound."""
    source = textwrap.dedent(inspect.getsource(function))
    for edit in edits:
        old = textwrap.dedent(edit.old) if source.count(edit.old) == 0 else edit.old
        if source.count(old) != 1:
            raise GuardNotFound(f"{edit.place}: {source.count(old)} times {edit.old!r}")
        source = source.replace(old, edit.new)
    made: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source, f"<{function.__qualname__} edited>", "exec")
    exec(code, function.__globals__, made)
    changed: Callable[..., Any] = made[function.__name__]
    return changed


def _owner(place: str) -> tuple[Any, str]:
    """What holds the function, and its name there."""
    module_name, path = place.split(":")
    owner: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, name


def take_out(guard: Guard) -> Callable[[], None]:
    """Take `guard` out; what is returned puts it back. Raises GuardNotFound."""
    places: dict[str, list[Edit]] = {}
    for edit in guard.edits:
        places.setdefault(edit.place, []).append(edit)
    old: list[tuple[Any, str, Any]] = []
    new: list[tuple[Any, str, Any]] = []
    for place, edits in places.items():
        owner, name = _owner(place)
        function = inspect.getattr_static(owner, name)
        changed = edited(function, edits)
        old.append((owner, name, function))
        new.append((owner, name, changed))
        if inspect.isfunction(function) and inspect.ismodule(owner):
            for other in _importers(function, name):
                old.append((other, name, function))
                new.append((other, name, changed))
    for owner, name, changed in new:
        setattr(owner, name, changed)

    def restore() -> None:
        for owner, name, function in old:
            setattr(owner, name, function)

    return restore


def _importers(function: Any, name: str) -> list[Any]:
    """Modules of ours that have imported the very function."""
    return [
        module
        for key, module in sorted(sys.modules.items())
        if key.startswith("tausql.") and key != function.__module__ and getattr(module, name, None) is function
    ]


@contextlib.contextmanager
def without(name: str) -> Iterator[None]:
    """While inside, guard `name` is gone; `""` leaves all in place. Raises KeyError for a name that is none."""
    if not name:
        yield
        return
    restore = take_out(GUARDS[name])
    try:
        yield
    finally:
        restore()
