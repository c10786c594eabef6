"""Names as oids and oids as names: what regclass, regtype and their kin need of a session.

`'orders'::regclass` means whatever the search path makes of it now, so it can be part of no shared plan; the value's
type asks the session, and the session looks into the schema at hand.
"""

from __future__ import annotations

from tausql.processor.block import Block
from tausql.processor.catalogue import Catalogue
from tausql.processor.parameters import SessionParameters
from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.objects import NO_OBJECTS, Objects, Schema
from tausql.sql.system import SystemRelations
from tausql.sql.types import type_by_oid
from tausql.sql.types.registry import type_by_name


class RegNames:
    """Resolves for one session, as its transaction sees the schema."""

    __slots__ = ("_block", "_catalogue", "_parameters", "_system")

    def __init__(
        self,
        catalogue: Catalogue,
        block: Block,
        parameters: SessionParameters,
        system: SystemRelations | None,
    ) -> None:
        self._catalogue = catalogue
        self._block = block
        self._parameters = parameters
        self._system = system

    def resolve(self, kind: str, text: str) -> int:
        """The oid that `text` names. Raises 42P01, 42704, 3F000."""
        kind = kind.removeprefix("reg")
        if kind == "class":
            return self._class(text)
        name = _parts(text)[-1]
        if kind == "type":
            return type_by_name(text).oid
        if kind == "namespace":
            schema = self._objects().schemas.get(name)
            if schema is None:
                raise SqlError(Code.invalid_schema_name, f'schema "{name}" does not exist')
            return schema.oid
        if kind == "role":
            role = self._objects().roles.get(name)
            if role is None:
                raise SqlError(Code.undefined_object, f'role "{name}" does not exist')
            return role.oid
        raise not_supported(f"reg{kind} is not supported")

    def name(self, kind: str, oid: int) -> str | None:
        """What `oid` is called; None for one that names nothing."""
        kind = kind.removeprefix("reg")
        if kind == "class":
            return self._class_name(oid)
        if kind == "type":
            try:
                return type_by_oid(oid).sql_name
            except SqlError:
                return None
        if kind == "namespace":
            schema = self._objects().by_oid.get(oid)
            return schema.name if isinstance(schema, Schema) else None
        if kind == "role":
            role = self._objects().roles_by_oid.get(oid)
            return role.name if role is not None else None
        return None

    def _objects(self) -> Objects:
        """Before the first look at the schema there is only what the system brings."""
        snapshot = self._catalogue.at_hand(self._block.transaction)
        return NO_OBJECTS if snapshot is None else snapshot.objects

    def _class(self, text: str) -> int:
        parts = _parts(text)
        name = parts[-1]
        schema = parts[-2] if len(parts) > 1 else None
        snapshot = self._catalogue.at_hand(self._block.transaction)
        if snapshot is not None:
            for candidate in (schema,) if schema is not None else self._parameters.search_path:
                table = snapshot.tables.get((candidate, name))
                if table is not None:
                    return table.oid
                found = snapshot.indexes.get((candidate, name))
                if found is not None:
                    return found[1].oid
        relation = self._system.find(schema, name, self._parameters.search_path) if self._system is not None else None
        if relation is None:
            raise SqlError(Code.undefined_table, f'relation "{text}" does not exist')
        return relation.oid

    def _class_name(self, oid: int) -> str | None:
        snapshot = self._catalogue.at_hand(self._block.transaction)
        if snapshot is None:
            return None
        found: tuple[str, str] | None = None
        table = snapshot.by_oid.get(oid)
        if table is not None:
            found = (table.schema, table.name)
        else:
            found = next((key for key, (_, index) in snapshot.indexes.items() if index.oid == oid), None)
        if found is None:
            owner = snapshot.by_oid.get(oid - 1)  # the oid of a primary key is its table's and one
            if owner is not None and owner.primary_key:
                found = (owner.schema, owner.primary_key_name)
        if found is None:
            relation = self._system.by_oid(oid) if self._system is not None else None
            if relation is None:
                return None
            found = (relation.schema, relation.name)
        schema, name = found
        return name if schema == "pg_catalog" or schema in self._parameters.search_path else f"{schema}.{name}"


def _parts(text: str) -> list[str]:
    """The identifiers of a dotted name, folded as they would be in a statement. Raises 22023 for no name."""
    parts: list[str] = []
    current = ""
    quoted = False
    for letter in text.strip():
        if letter == '"':
            quoted = not quoted
        elif letter == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter if quoted else letter.lower()
    parts.append(current)
    if quoted or not all(parts):
        raise SqlError(Code.invalid_parameter_value, f'invalid name syntax: "{text}"')
    return parts
