"""A request in AWS's query protocol: one flat form, lists by numbered names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tausql.control.identities.faults import wrong_input

FIELDS_MAX = 500
TOLD_MAX = 2_048


class Form:
    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def text(self, name: str, default: str | None = None) -> str:
        """Raises ValidationError where it is missing and there is no default."""
        value = self._fields.get(name, default)
        if value is None:
            raise wrong_input(
                f"1 validation error detected: Value null at '{name}' failed to satisfy constraint: "
                "Member must not be null"
            )
        return value

    def number(self, name: str, default: int) -> int:
        value = self._fields.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise wrong_input(f"{name} must be a number")
        return int(value)

    def told(self) -> dict[str, Any]:
        """For the log."""
        return {name: value[:TOLD_MAX] for name, value in self._fields.items() if name not in ("Action", "Version")}

    def tags(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for number in range(1, 51):
            key = self._fields.get(f"Tags.member.{number}.Key")
            if key is None:
                return found
            found[key] = self._fields.get(f"Tags.member.{number}.Value", "")
        raise wrong_input("A user or role can have 50 tags")


def read(body: bytes) -> Form:
    """Raises ValidationError."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise wrong_input("The request is not a form of UTF-8 text") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise wrong_input("A parameter was given more than once")
    return Form(fields)
