"""Guards of the protocol, taken out on purpose, to see that the simulation notices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

GUARDS: dict[str, Callable[[], Callable[[], None]]] = {}


@contextlib.contextmanager
def without(name: str) -> Iterator[None]:
    """While inside, guard `name` is gone; `""` leaves all in place."""
    if not name:
        yield
        return
    restore = GUARDS[name]()
    try:
        yield
    finally:
        restore()
