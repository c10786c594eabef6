"""Tokens of somebody else's identity provider, exchanged for a role: on Kubernetes, a pod needs no key.

The pod's ServiceAccount token is shown to the API server that issued it, which says whose it is and whether it still
counts: checking its signature here would be quicker, and would go on believing tokens of pods that are gone. Tokens of
an issuer whose keys are given in a file are checked with those.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from tausql.access.web_identity import WebIdentityRefused, verified
from tausql.control.asking import Gone, Trouble
from tausql.control.faults import Fault
from tausql.control.identities.faults import invalid_web_token
from tausql.control.system.store import Unavailable

TOKEN_CHARACTERS_MAX = 20_000
KEYS_BYTES_MAX = 256 * 1024
AUDIENCE = "sts.amazonaws.com"


class Identity(NamedTuple):
    issuer: str  # without its scheme, as policies name providers
    subject: str  # system:serviceaccount:<namespace>:<name>
    audiences: tuple[str, ...]


class Reviewed(NamedTuple):
    """What the API server says of a token."""

    authenticated: bool
    user: str
    audiences: tuple[str, ...]


class Reviews(Protocol):
    """What is needed of Kubernetes. Blocks; raises Trouble and Gone."""

    def review_token(self, token: str, audience: str) -> Reviewed: ...


class Published(NamedTuple):
    """An issuer whose keys are in a file (JWKS)."""

    issuer: str  # as its tokens have it
    file: Path


class _Claims(msgspec.Struct):
    iss: str = ""


class WebIdentities:
    """reviews: None where there is no Kubernetes. now: seconds since 1970."""

    def __init__(self, reviews: Reviews | None, published: Published | None, now: Callable[[], float]) -> None:
        self._reviews = reviews
        self._published = published
        self._now = now

    async def identify(self, token: str) -> Identity:
        """Raises Fault (InvalidIdentityToken, ExpiredToken), Unavailable."""
        issuer = issuer_of(token)
        if self._published is not None and issuer == self._published.issuer:
            return self._verified(token, self._published)
        if self._reviews is None:
            raise invalid_web_token("No OpenIDConnect provider found in your account for this token")
        try:
            reviewed = await asyncio.to_thread(self._reviews.review_token, token, AUDIENCE)
        except (Trouble, Gone) as trouble:
            raise Unavailable(str(trouble)) from trouble
        if not reviewed.authenticated or AUDIENCE not in reviewed.audiences:
            raise invalid_web_token("The web identity token is not valid, has expired, or is for another audience")
        return Identity(_bare(issuer), reviewed.user, reviewed.audiences)

    def _verified(self, token: str, published: Published) -> Identity:
        """The file is read anew each time: issuers change their keys."""
        try:
            with published.file.open("rb") as file:
                keys: Any = json.loads(file.read(KEYS_BYTES_MAX))
            found = verified(token, keys, published.issuer, (AUDIENCE,), self._now())
        except (OSError, ValueError) as error:
            raise Unavailable(f"the issuer's keys cannot be read: {error}") from error
        except WebIdentityRefused as refused:
            raise Fault(refused.code, 400, refused.message) from refused
        return Identity(_bare(found.issuer), found.subject, (found.audience,))


def issuer_of(token: str) -> str:
    """What the token says of itself: nothing that is believed. Raises InvalidIdentityToken."""
    parts = token.split(".")
    if len(token) > TOKEN_CHARACTERS_MAX or len(parts) != 3:
        raise invalid_web_token("The ID Token provided is not a valid JWT")
    try:
        raw: Any = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(raw, type=_Claims).iss
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise invalid_web_token("The ID Token provided is not a valid JWT") from error


def _bare(issuer: str) -> str:
    return issuer.removeprefix("https://")
