"""What regclass, regtype and their kin need of a session: its search path, and the schema its transaction sees."""

from __future__ import annotations

from tausql.processor.block import Block
from tausql.processor.catalogue import Catalogue
from tausql.processor.parameters import SessionParameters
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.enum_names import labels_of
from tausql.sql.catalogue.facts import Facts, facts_of
from tausql.sql.catalogue.objects import Label
from tausql.sql.catalogue.references import resolve, shown


class RegNames:
    """Resolves for one session, as its transaction sees the schema."""

    __slots__ = ("_block", "_catalogue", "_parameters")

    def __init__(self, catalogue: Catalogue, block: Block, parameters: SessionParameters) -> None:
        self._catalogue = catalogue
        self._block = block
        self._parameters = parameters

    def resolve(self, kind: str, text: str) -> int:
        """The oid that `text` names; `kind` as in regclass, with or without `reg`. Raises what `references` does."""
        return resolve(kind.removeprefix("reg"), text, self._facts(), self._parameters.search_path)

    def name(self, kind: str, oid: int) -> str | None:
        """What `oid` is called; None for one that names nothing."""
        return shown(kind.removeprefix("reg"), oid, self._facts(), self._parameters.search_path)

    def order(self, oid: int, label: str) -> float | None:
        """The place of an enum type's value."""
        return next((one.order for one in self._labels(oid) if one.text == label), None)

    def label(self, oid: int, order: float) -> str | None:
        return next((one.text for one in self._labels(oid) if one.order == order), None)

    def _labels(self, oid: int) -> tuple[Label, ...]:
        snapshot = self._catalogue.at_hand(self._block.transaction) or self._catalogue.shared
        return () if snapshot is None else labels_of(snapshot.objects, oid)

    def _facts(self) -> Facts:
        """Before the first look at the schema there is only what the system brings."""
        snapshot = self._catalogue.at_hand(self._block.transaction) or self._catalogue.shared
        return facts_of(snapshot if snapshot is not None else Snapshot(self._catalogue.cluster, 0, (), {}, {}, {}))
