"""Requests that may come twice: the same token and the same request is the same answer, once done.

SDKs put a token of their own into every request that changes something and repeat it with every retry, so a client
whose answer was lost never makes a second cluster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tausql.control.clusters.records import Token
from tausql.control.faults import conflict
from tausql.control.system.state import Decision, Image

KEPT_SECONDS = 24 * 3600
KEPT_MAX = 20_000

Answer = dict[str, Any]


def once(
    image: Image, operation: str, token: str | None, asked: Any, now: float, decide: Callable[[], Decision[Answer]]
) -> Decision[Answer]:
    """What `decide` says, unless this was decided before. asked: the request, as JSON would have it. Raises
    ConflictException where the token came with another request."""
    if token is None:
        return decide()
    name = _hash([operation, token])
    request = _hash(asked)
    known = image.of(Token).get(name)
    if known is not None and known.at > now - KEPT_SECONDS:
        if known.request != request:
            raise conflict("The client token was used before, with other parameters.")
        return Decision(known.answer)
    decision = decide()
    kept = Token(name, request, decision.answer, now)
    return Decision(decision.answer, (*decision.puts, kept), decision.removed)


def outlived(image: Image, now: float) -> list[Token]:
    """Tokens to forget: old ones, and the oldest of too many."""
    tokens = sorted(image.of(Token).values(), key=lambda token: token.at)
    surplus = max(0, len(tokens) - KEPT_MAX)
    return [token for number, token in enumerate(tokens) if number < surplus or token.at <= now - KEPT_SECONDS]


def _hash(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:40]
