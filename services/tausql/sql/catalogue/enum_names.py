"""Names in the place of marks with the oids of enum types (see `types.enums`): in errors, in definitions shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from tausql.sql.catalogue.objects import Domain, Label, Objects
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.types.enums import AT, MARK, pinned_enum
from tausql.sql.types.session_format import SessionFormat

_LITERAL: Final = "'(?:[^']|'')*'"
_PIN: Final = f'"?({MARK}\\d+{AT}[0-9a-f]{{16}})"?'
_PINNED: Final = re.compile(f"{_LITERAL}::{_PIN}|CAST\\({_LITERAL} AS {_PIN}\\)")
_MARKED: Final = re.compile(f'"?{MARK}(\\d+)"?')


def knows_labels(format: SessionFormat, objects: Objects) -> None:
    """Lets a format that is no session's read and write values of enum types."""

    def label(oid: int, order: float) -> str | None:
        return next((one.text for one in labels_of(objects, oid) if one.order == order), None)

    format.enum_order, format.enum_label = partial(label_order, objects), label


def label_order(objects: Objects, oid: int, text: str) -> float | None:
    """The value of a label of an enum type."""
    return next((one.order for one in labels_of(objects, oid) if one.text == text), None)


def labels_of(objects: Objects, oid: int) -> tuple[Label, ...]:
    item = objects.by_oid.get(oid)
    return item.labels if isinstance(item, Domain) else ()


def with_enum_names(text: str, objects: Objects, path: Sequence[str]) -> str:
    """`path`: schemas that need not be written."""
    if MARK not in text:
        return text

    def name(found: re.Match[str]) -> str:
        item = objects.by_oid.get(int(found[1]))
        if not isinstance(item, Domain):
            return found[0]
        return quoted(item.name) if item.schema in path else f"{quoted(item.schema)}.{quoted(item.name)}"

    def label(found: re.Match[str]) -> str:
        pin = pinned_enum(found[1] or found[2])
        text = next((one.text for one in labels_of(objects, pin.base.oid) if one.order == pin.order), "") if pin else ""
        doubled = text.replace("'", "''")
        return f"'{doubled}'::{pin.base.name if pin else ''}"

    return _MARKED.sub(name, _PINNED.sub(label, text))
