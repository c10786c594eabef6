"""The plan cache of a cluster: statements parsed once, plans made once per schema version, shared by its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tausql.protocol.errors import SqlError
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.dialect import DSQL, Dialect
from tausql.sql.engine import NOTHING_DISABLED, Prepared, prepare
from tausql.sql.plan_room import PlanRooms
from tausql.sql.statements import Statement, parse_statements
from tausql.sql.system import SystemRelations
from tausql.sql.tables import AccessCache
from tausql.sql.template import Lifted, lift, literal_params
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

CACHED_TEXT_MAX: Final = 8 << 10  # longer texts are rarely met twice


class PlanCache:
    """Least recently used goes first. `capacity`: plans, and as many parsed texts; or else `rooms`, which it shares
    with others."""

    __slots__ = ("_rooms", "accesses", "dialect", "hits", "misses", "plans", "refused", "texts")

    def __init__(self, capacity: int = 2000, dialect: Dialect = DSQL, rooms: PlanRooms | None = None) -> None:
        self._rooms = rooms = rooms if rooms is not None else PlanRooms(capacity)
        self.dialect = dialect
        self.hits = 0
        self.misses = 0
        self.accesses = AccessCache()
        self.plans = rooms.plans.store()
        self.texts = rooms.texts.store()
        self.refused = rooms.refused.store()  # templates that a plan cannot be made of

    def let_go(self) -> None:
        """It is used no more: others may have its room."""
        rooms = self._rooms
        rooms.plans.leave(self.plans)
        rooms.texts.leave(self.texts)
        rooms.refused.leave(self.refused)

    def statements(self, text: str, lifted: Lifted | None = None) -> list[Statement]:
        """`parse_statements`, remembered. Not to be changed. `lifted`: if the text is its template."""
        known: list[Statement] | None = self.texts.get(text)
        if known is not None:
            self.texts.move_to_end(text)
            return known
        parsed = parse_statements(text, self.dialect, None if lifted is None else lifted.tokens())
        if len(text) <= CACHED_TEXT_MAX:
            self._rooms.texts.put(self.texts, text, parsed)
        return parsed

    def prepare(
        self,
        statement: Statement,
        snapshot: Snapshot,
        search_path: tuple[str, ...] = ("public",),
        declared: Sequence[Type | None] = (),
        system: SystemRelations | None = None,
        disabled: frozenset[str] = NOTHING_DISABLED,
    ) -> Prepared:
        """`engine.prepare`, remembered for this schema version, search path, declared types and settings."""
        declared = tuple(declared)
        oids = tuple([0 if type is None else type.oid for type in declared])
        key: tuple[Any, ...] = (statement.text, snapshot.cluster, snapshot.version, search_path, oids)
        if disabled:
            key = (*key, disabled)
        known: Prepared | None = self.plans.get(key)
        if known is not None and known.snapshot is snapshot:
            self.plans.move_to_end(key)
            self.hits += 1
            return known
        self.misses += 1
        prepared = prepare(statement, snapshot, search_path, declared, system, self.accesses, disabled)
        if len(statement.text) <= CACHED_TEXT_MAX * 8:
            self._rooms.plans.put(self.plans, key, prepared)
        return prepared

    def simple(
        self,
        text: str,
        snapshot: Snapshot,
        search_path: tuple[str, ...],
        system: SystemRelations | None,
        format: SessionFormat,
        disabled: frozenset[str] = NOTHING_DISABLED,
    ) -> tuple[Statement, Prepared, list[Any]] | None:
        """A simple-protocol query of one statement as a shared plan and the values of its literals.

        None: go the ordinary way, `statements(text)`. That is so too where the template cannot be planned: the
        statement itself then says what is wrong with it, in its own words and positions."""
        lifted = lift(text)
        if lifted is None or (lifted.template, snapshot.version) in self.refused:
            return None
        try:
            statement, prepared = self._template(lifted, snapshot, search_path, system, disabled)
        except SqlError:
            self._refuse(lifted, snapshot)
            return None
        if prepared.wants_literals:
            self._refuse(lifted, snapshot)
            return None
        try:
            return statement, prepared, literal_params(lifted, prepared.parameter_types, format)
        except SqlError:
            return None

    def _refuse(self, lifted: Lifted, snapshot: Snapshot) -> None:
        self._rooms.refused.put(self.refused, (lifted.template, snapshot.version), None)

    def _template(
        self,
        lifted: Lifted,
        snapshot: Snapshot,
        search_path: tuple[str, ...],
        system: SystemRelations | None,
        disabled: frozenset[str],
    ) -> tuple[Statement, Prepared]:
        (statement,) = self.statements(lifted.template, lifted)
        return statement, self.prepare(statement, snapshot, search_path, lifted.types, system, disabled)
