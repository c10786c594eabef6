"""One request to the Kubernetes API, and what may become of it.

Through the package `kubernetes` for what it is good at (how a pod finds and authenticates to its API server, the paths
of requests), but not through its models: an object decoded whole costs a hundred times what is wanted of it, so bodies
are taken as they come and decoded here, as far as they matter. All of it blocks: it is called in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 8.0
BODY_BYTES_MAX = 32 << 20


class Trouble(Exception):
    """The API server could not be asked, or said no."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status  # HTTP's; 0: there was no answer

    @property
    def forbidden(self) -> bool:
        """A person must look: the ServiceAccount's rights do not suffice."""
        return self.status in (401, 403)


class Gone(Exception):
    """The server cannot say what happened since then: list again."""


class Complaint(msgspec.Struct):
    """What the API server says in place of an answer (`Status`)."""

    code: int = 0
    message: str = ""


class translated:
    """What the packages below raise, as Trouble or Gone."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ApiException):
            status = int(error.status or 0)
            if status == 410:
                raise Gone(str(error.reason)) from error
            raise Trouble(_said(error), status) from error
        if isinstance(error, HTTPError | OSError | msgspec.DecodeError | ConfigException):
            raise Trouble(f"{type(error).__name__}: {error}") from error


def asked(form: Any, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Do `request` and decode the answer as `form` (None: it does not matter). Raises Trouble and Gone."""
    with translated():
        response = request(
            *arguments, **options, _preload_content=False, _request_timeout=(CONNECT_SECONDS, ANSWER_SECONDS)
        )
        try:
            body = response.read(BODY_BYTES_MAX + 1)
        finally:
            response.release_conn()
        if len(body) > BODY_BYTES_MAX:
            raise Trouble(f"an answer of more than {BODY_BYTES_MAX} bytes")
        return None if form is None else msgspec.json.decode(body, type=form)


def _said(error: ApiException) -> str:
    body = error.body.encode() if isinstance(error.body, str) else error.body or b""
    try:
        message = msgspec.json.decode(body, type=Complaint).message
    except msgspec.DecodeError:
        message = ""
    return f"{error.status} {message or error.reason}"
