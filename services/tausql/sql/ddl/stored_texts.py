"""SQL texts the catalogue keeps (a view's query, a default): with all names written out, so that they mean the same
under any search path, and what they mention."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlglot import exp

from tausql.protocol.errors import not_supported
from tausql.sql.binding.labels import fold
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.objects import Function
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.names import qualified, quoted
from tausql.sql.expressions.parsing import INTERVAL_LITERAL, POSTGRES, SUBSCRIPT, parse, parse_expression
from tausql.sql.expressions.token_edits import MARK
from tausql.sql.functions.catalogue import is_function
from tausql.sql.types.enums import MARK as ENUM_MARK

_SEQUENCE_FUNCTIONS = frozenset(("nextval", "currval", "setval"))


def identifier(name: str) -> exp.Identifier:
    """A name as it stands in SQL, in quotes where it must be."""
    found: exp.Identifier = exp.to_identifier(name, quoted=quoted(name) != name)
    return found


def text_of(node: exp.Expr) -> str:
    """A query or an expression as SQL that parses to the same again. Raises 0A000 for what does not survive that."""
    copy = node.copy()
    for call in list(copy.find_all(exp.Anonymous)):
        name = str(call.this)
        if name == SUBSCRIPT:
            call.replace(call.expressions[0].copy())
        elif name == INTERVAL_LITERAL:
            literal = exp.Cast(this=call.expressions[0].copy(), to=exp.DataType.build("interval", dialect="postgres"))
            if call is copy:
                copy = literal
            else:
                call.replace(literal)
        elif isinstance(call.this, str):
            call.set("this", name.removeprefix(MARK))
    text: str = copy.sql(POSTGRES, normalize_functions=False)
    if isinstance(copy, exp.Query | exp.Values):
        if len(parse(text)) != 1:
            raise not_supported("this query cannot be kept as the definition of an object")
    else:
        parse_expression(text)
    return text


def call_parts(node: exp.Anonymous) -> tuple[str | None, str]:
    """(schema or None, name) of a call by name, folded."""
    this = node.this
    if isinstance(this, exp.Identifier):
        name = fold(this)
    else:
        name = str(this).removeprefix(MARK).lower()
    parent = node.parent
    if isinstance(parent, exp.Dot) and parent.expression is node:
        return fold(parent.this), name
    return None, name


def find_functions(
    snapshot: Snapshot, schema: str | None, name: str, search_path: tuple[str, ...]
) -> tuple[Function, ...]:
    """A user's functions of a name, those of the first schema of the path that has any first."""
    known = snapshot.objects.functions
    if schema is not None:
        return known.get((schema, name), ())
    return tuple(function for candidate in search_path for function in known.get((candidate, name), ()))


def qualify_calls(node: exp.Expr, snapshot: Snapshot, search_path: tuple[str, ...]) -> None:
    """Writes schemas before the names of users' functions and of sequences, and marks for those of enum types, in
    place."""
    mark_enums(node, snapshot, search_path)
    for call in list(node.find_all(exp.Anonymous)):
        schema, name = call_parts(call)
        if schema is None and not is_function(name):
            found = find_functions(snapshot, None, name, search_path)
            if found and isinstance(call.parent, exp.Table):  # in FROM: the table's schema is the function's
                call.parent.set("db", identifier(found[0].schema))
                continue
            if found:
                holder = exp.Dot(this=identifier(found[0].schema), expression=call.copy())
                call.replace(holder)
                continue
        if schema in (None, "pg_catalog") and name in _SEQUENCE_FUNCTIONS and call.expressions:
            _qualify_sequence(call.expressions[0], snapshot, search_path)


def mark_enums(node: exp.Expr, snapshot: Snapshot, search_path: tuple[str, ...]) -> None:
    """An expression is kept where no schema is at hand, and its type may get another name."""
    domains = snapshot.objects.domains
    if not domains:
        return
    for data_type in node.find_all(exp.DataType):
        kind = data_type.args.get("kind")
        schema = None
        if isinstance(kind, exp.Dot) and isinstance(kind.this, exp.Identifier):
            schema, kind = fold(kind.this), kind.expression
        name = fold(kind) if isinstance(kind, exp.Identifier) else kind.lower() if isinstance(kind, str) else ""
        for candidate in (schema,) if schema is not None else search_path:
            found = domains.get((candidate or "", name or ""))
            if found is not None and found.is_enum:
                data_type.set("kind", identifier(f"{ENUM_MARK}{found.oid}"))
                break


def qualify_relations(node: exp.Expr, snapshot: Snapshot, search_path: tuple[str, ...]) -> None:
    """Writes schemas before the names of tables and views, in place, and keeps the old name as an alias: columns may be
    named with it. A name that a WITH of this query or one around it has is left alone."""
    for table in list(node.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier) or table.args.get("db") is not None:
            if table.args.get("db") is not None:
                _alias(table)
            continue
        name = fold(table.this)
        if name in _common_names(table):
            continue
        key = next(
            (
                (schema, name)
                for schema in search_path
                if (schema, name) in snapshot.tables or (schema, name) in snapshot.objects.views
            ),
            None,
        )
        if key is not None:
            _alias(table)
            table.set("db", identifier(key[0]))


def _alias(table: exp.Table) -> None:
    alias = table.args.get("alias")
    if alias is None:
        table.set("alias", exp.TableAlias(this=identifier(fold(table.this))))
    elif alias.this is None:
        alias.set("this", identifier(fold(table.this)))


def _common_names(node: exp.Expr) -> set[str]:
    """Names of the WITH queries that are visible here."""
    found: set[str] = set()
    place: exp.Expr | None = node
    while place is not None:
        clause = place.args.get("with_")
        if clause is not None:
            found |= {fold(item.args["alias"].this) for item in clause.expressions}
        place = place.parent
    return found


def sequence_renamed(change: SchemaChange, old: tuple[str, str], new: tuple[str, str]) -> None:
    """A sequence has another name or schema: write that in the defaults that take its values."""
    for table in list(change.writer.changed_snapshot().by_oid.values()):
        columns = list(table.columns)
        for at, column in enumerate(columns):
            if column.default is None or column.dropped:
                continue
            node = exp.Paren(this=parse_expression(column.default))
            literals = [literal for literal in _sequence_literals(node) if _names(literal, *old)]
            for literal in literals:
                literal.set("this", qualified(*new))
            if literals:
                columns[at] = msgspec.structs.replace(column, default=text_of(node.this))
        if columns != list(table.columns):
            change.writer.replace_table(msgspec.structs.replace(table, columns=tuple(columns)))


def _sequence_literals(node: exp.Expr) -> Iterator[exp.Literal]:
    """The names in nextval('name') and its like."""
    for call in node.find_all(exp.Anonymous):
        if call_parts(call)[1] in _SEQUENCE_FUNCTIONS and call.expressions:
            argument = call.expressions[0]
            literal = argument.this if isinstance(argument, exp.Cast) else argument
            if isinstance(literal, exp.Literal) and literal.is_string:
                yield literal


def _names(literal: exp.Literal, schema: str, name: str) -> bool:
    return _name_parts(str(literal.this)) in ([schema, name], [name])


def function_renamed(change: SchemaChange, old: Function, new: Function) -> None:
    """A function has another name or schema: write that in the views that call it."""
    for view in change.snapshot.objects.views.values():
        if (old.oid, 0) not in view.depends:
            continue
        (node,) = parse(view.query)
        for dot in node.find_all(exp.Dot):
            call = dot.expression
            if isinstance(call, exp.Anonymous) and call_parts(call) == (old.schema, old.name):
                dot.set("this", identifier(new.schema))
                call.set("this", identifier(new.name))
        change.writer.replace_object(msgspec.structs.replace(view, query=text_of(node)))


def _qualify_sequence(node: exp.Expr, snapshot: Snapshot, search_path: tuple[str, ...]) -> None:
    literal = node.this if isinstance(node, exp.Cast) else node
    if not isinstance(literal, exp.Literal) or not literal.is_string:
        return
    found = sequence_named(snapshot, str(literal.this), search_path)
    if found is not None:
        literal.set("this", qualified(*found))


def sequence_named(snapshot: Snapshot, text: str, search_path: tuple[str, ...]) -> tuple[str, str] | None:
    """(schema, name) of the sequence a regclass literal means."""
    parts = _name_parts(text)
    candidates = [(parts[0], parts[1])] if len(parts) == 2 else [(schema, parts[-1]) for schema in search_path]
    return next((key for key in candidates if key in snapshot.objects.sequences), None)


def _name_parts(text: str) -> list[str]:
    parts: list[str] = []
    current, quoted = "", False
    for letter in text.strip():
        if letter == '"':
            quoted = not quoted
        elif letter == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter if quoted else letter.lower()
    return [*parts, current]


def qualified_expression(change: SchemaChange, node: exp.Expr) -> str:
    """A default, a check, an index expression as the catalogue keeps it."""
    holder = exp.Paren(this=node.copy())
    qualify_calls(holder, change.snapshot, change.search_path)
    return text_of(holder.this)


def mentioned(snapshot: Snapshot, text: str) -> frozenset[int]:
    """Oids of the sequences and functions of users that a kept expression names."""
    node = parse_expression(text)
    return frozenset(_mentions(snapshot, node))


def _mentions(snapshot: Snapshot, node: exp.Expr) -> Iterator[int]:
    for call in node.find_all(exp.Anonymous):
        schema, name = call_parts(call)
        if name in _SEQUENCE_FUNCTIONS and call.expressions:
            argument = call.expressions[0]
            literal = argument.this if isinstance(argument, exp.Cast) else argument
            if isinstance(literal, exp.Literal) and literal.is_string:
                key = sequence_named(snapshot, str(literal.this), ("public",))
                if key is not None:
                    yield snapshot.objects.sequences[key].oid
        elif schema is not None:
            for function in find_functions(snapshot, schema, name, ()):
                yield function.oid


def rename_in_texts(change: SchemaChange, old: str, new: str) -> None:
    """A schema has another name: write that in the views that mention it."""
    for view in change.snapshot.objects.views.values():
        (node,) = parse(view.query)
        changed = False
        for table in node.find_all(exp.Table, exp.Column):
            if fold(table.args.get("db")) == old:
                table.set("db", identifier(new))
                changed = True
        for dot in node.find_all(exp.Dot):
            if isinstance(dot.expression, exp.Anonymous) and fold(dot.this) == old:
                dot.set("this", identifier(new))
                changed = True
        if changed:
            schema = new if view.schema == old else view.schema
            change.writer.replace_object(msgspec.structs.replace(view, query=text_of(node), schema=schema))
