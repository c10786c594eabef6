"""Identifiers written so that they read back as themselves."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from tausql.sql.catalogue.shapes import keywords

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


@lru_cache(maxsize=1)
def _special_words() -> frozenset[str]:
    return frozenset(word for word, kind, _ in keywords() if kind != "U")


def quoted(name: str) -> str:
    """In double quotes where it must be."""
    if _PLAIN.fullmatch(name) and name not in _special_words():
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    return f"{quoted(schema)}.{quoted(name)}"
