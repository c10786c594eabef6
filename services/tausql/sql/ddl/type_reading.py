"""A type in the definition of a function, with or without a parameter's name before it."""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.names import find
from tausql.sql.ddl.reading import Words
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.type_names import type_and_typmod
from tausql.sql.types.registry import find_type

_LONG = frozenset(("DOUBLE", "CHARACTER", "TIMESTAMP", "TIME", "BIT", "NATIONAL", "INTERVAL", "CHAR"))  # several words
_MORE = frozenset(("PRECISION", "VARYING", "WITH", "WITHOUT", "CHARACTER", "CHAR", "YEAR", "MONTH", "DAY", "HOUR",
                   "MINUTE", "SECOND", "(", "[", ".", "ARRAY"))  # fmt: skip


def read_type_oid(
    change: SchemaChange, words: Words, ends: tuple[str, ...], named: bool = False
) -> tuple[int, int, str]:
    """(oid, typmod, the parameter's name or ""): built in, a domain, or a relation for its rows. Raises 42704."""
    name = ""
    if named and _is_named(words, ends):
        name = words.name()
    first = words.at
    text = words.until(*ends)
    tokens = words.tokens[first : words.at]
    if len(tokens) in (1, 3) and all(token.kind in ("word", "quoted") for token in tokens[::2]):
        found = _own(change, Words(words.text, tokens))
        if found is not None:
            return *found, name
    if tokens[0].word in ("VOID", "TRIGGER"):
        pseudo = find_type(tokens[0].text.lower())
        if pseudo is None:
            raise SqlError(Code.undefined_object, f'type "{text}" does not exist')
        return pseudo.oid, -1, name
    if tokens[0].word == "RECORD":
        return 2249, -1, name
    node = parse_expression(f"CAST(NULL AS {text})").args.get("to")
    if node is None:
        raise SqlError(Code.undefined_object, f'type "{text}" does not exist')
    type_, typmod = type_and_typmod(node)
    return type_.oid, typmod, name


def _is_named(words: Words, ends: tuple[str, ...]) -> bool:
    """Whether a name stands before the type: two words that are not one type's."""
    following = words.peek(1)
    if not following and words.at + 1 >= len(words.tokens):
        return False
    if following in ends or following in ("(", "[", ".") or words.peek() == "":
        return words.peek() == "" and following not in (*ends, "(", "[", ".")
    return not (words.peek() in _LONG and following in _MORE)


def _own(change: SchemaChange, words: Words) -> tuple[int, int] | None:
    name = words.qualified_name()
    if name.schema is None and find_type(name.name) is not None:
        return None
    objects = change.snapshot.objects
    domain = find(change, objects.domains, name.schema, name.name)
    if domain is not None:
        return domain.oid, domain.typmod
    relation = find(change, change.snapshot.tables, name.schema, name.name)
    if relation is not None:
        return relation.oid, -1
    view = find(change, objects.views, name.schema, name.name)
    return (view.oid, -1) if view is not None else None
