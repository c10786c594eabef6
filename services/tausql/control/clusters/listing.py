"""Pages of lists. A token says after what the next page begins, so pages stay right while things come and go."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tausql.control.faults import invalid_field

PAGE_MAX = 100
_SUM_BYTES = 6  # so that what nobody was given is told from a place after which nothing comes
Thing = TypeVar("Thing")


def page(
    things: Iterable[Thing],
    place_of: Callable[[Thing], tuple[Any, ...]],
    token: str | None,
    count: int,
) -> tuple[list[Thing], str | None]:
    """place_of: numbers and texts that order the things. (the page, the token of the next one). Raises
    ValidationException for a token that is none."""
    ordered = sorted(things, key=place_of)
    if token:
        last = _read(token)
        ordered = [thing for thing in ordered if _written(place_of(thing)) > last]
    found = ordered[:count]
    more = len(ordered) > count
    return found, _token(_written(place_of(found[-1]))) if more and found else None


def _written(place: tuple[Any, ...]) -> bytes:
    """As bytes that sort alike."""
    return b"\0".join(b"%020d" % part if isinstance(part, int) else str(part).encode() for part in place)


def _token(place: bytes) -> str:
    return base64.urlsafe_b64encode(_sum(place) + place).decode()


def _read(token: str) -> bytes:
    try:
        read = base64.b64decode(token.encode("ascii", "strict"), b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise invalid_field("nextToken", "The token is not valid") from error
    place = read[_SUM_BYTES:]
    if read[:_SUM_BYTES] != _sum(place):
        raise invalid_field("nextToken", "The token is not valid")
    return place


def _sum(place: bytes) -> bytes:
    return hashlib.sha256(place).digest()[:_SUM_BYTES]
