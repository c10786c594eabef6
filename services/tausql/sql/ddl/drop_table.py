"""DROP TABLE: out of the catalogue at once, its rows and index entries by jobs."""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.dependencies import Item, drop
from tausql.sql.ddl.jobs_entry import enter_removal
from tausql.sql.ddl.names import check_owner, find_relation, wrong_kind


async def drop_tables(change: SchemaChange) -> DdlResult:
    """Raises 42P01 for a table that is not there, unless IF EXISTS was said; 42809 for another kind of relation; 2BP01
    where something relies on it and CASCADE was not said."""
    words = change.words()
    words.expect("DROP", "TABLE")
    missing_ok = words.take("IF", "EXISTS")
    places = [words.qualified_name()]
    while words.take(","):
        places.append(words.qualified_name())
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    items: list[Item] = []
    for place in places:
        relation = find_relation(change, place.schema, place.name)
        if relation is None:
            missing = f'table "{place}" does not exist'
            if place.schema is not None and place.schema not in change.snapshot.objects.schemas:
                missing = f'schema "{place.schema}" does not exist'
            if not missing_ok:
                code = Code.invalid_schema_name if missing.startswith("schema") else Code.undefined_table
                raise SqlError(code, missing)
            change.notice(f"{missing}, skipping")
            continue
        if not isinstance(relation, Table):
            raise wrong_kind(place.name, "table", relation)
        check_owner(change, relation.owner, "table", relation.name)
        item = Item("table", relation.oid)
        if item not in items:
            items.append(item)
    jobs = await drop(change, items, cascade)
    return change.result("DROP TABLE", jobs_entered=jobs)


def remove_table(change: SchemaChange, table: Table) -> None:
    """Out of the catalogue; the caller has looked at what relies on it, and drops its sequences itself."""
    change.writer.remove_table(table)
    for key in change.snapshot.objects.comments:
        if key[1] == table.oid:
            change.writer.set_comment(key, None)
    name = f"{table.schema}.{table.name}"
    for oid, storage in ((table.oid, table.storage), *((index.oid, index.storage) for index in table.indexes)):
        enter_removal(change, table.oid, oid, name, storage)


HANDLERS = {"drop_table": drop_tables}
