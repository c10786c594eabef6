"""One line an event, to stderr, for machines to read first.

`log.info("segment sealed", stream=0, bytes=123)`: the event is a constant text, everything that varies is a named
fact, so that events can be counted and filtered without parsing prose. ERROR means a person must look.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from typing import Any, Literal

import msgspec

Format = Literal["json", "logfmt"]
_PREFIX = "tausql."
_QUIET = ("picows", "uvicorn", "asyncio", "httpx", "httpcore")  # libraries: warnings and worse only


class Log:
    """Events of one part of the system."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **facts: Any) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            self._emit(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        self._emit(logging.INFO, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._emit(logging.WARNING, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """A person must look. `error=exception` adds its traceback."""
        self._emit(logging.ERROR, event, facts)

    def critical(self, event: str, **facts: Any) -> None:
        self._emit(logging.CRITICAL, event, facts)

    def _emit(self, level: int, event: str, facts: dict[str, Any]) -> None:
        error = facts.get("error")
        self._logger.log(
            level, "%s", event, exc_info=error if isinstance(error, BaseException) else None, extra={"facts": facts}
        )


def get(part: str) -> Log:
    """The log of a part, e.g. `journal`."""
    return Log(logging.getLogger(_PREFIX + part))


class LineFormatter(logging.Formatter):
    """Records of ours and of libraries alike, as one JSON or logfmt line."""

    def __init__(self, style: Format, process: str) -> None:
        super().__init__()
        self._json = style == "json"
        self._process = process
        self._encoder = msgspec.json.Encoder(enc_hook=repr)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "part": record.name.removeprefix(_PREFIX),
            "event": record.getMessage(),
        }
        for key, value in getattr(record, "facts", {}).items():
            line[key if key not in line else f"{key}_"] = _plain(value)
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        if self._json:
            return self._encoder.encode(line).decode()
        return " ".join(f"{key}={_quoted(value)}" for key, value in line.items())


def configure(level: str, style: Format, process: str) -> None:
    """Send everything to stderr. Called once, by the process's start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(style, process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.unraisablehook = tell_unraisable


def tell_unraisable(failure: sys.UnraisableHookArgs) -> None:
    """What had nobody to go to, as a line like every other. Strangers can bring it about: a TLS client that names a
    server in no ASCII."""
    facts = {"where": str(failure.err_msg or failure.object)[:200], "reason": repr(failure.exc_value)[:200]}
    get("runtime").warning("an exception that nobody could be told of", **facts)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[:64]).hex()
    return value


def _quoted(value: Any) -> str:
    text = str(value)
    if text and not any(character in text for character in ' "=\n'):
        return text
    return msgspec.json.encode(text).decode()
