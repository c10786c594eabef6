"""`:name` in a statement becomes `$1`, as drivers of the RDS Data API write parameters.

Only where it is one: not in strings, quoted names, dollar quotes and comments, and not the second half of a cast. A
replacement without reading the statement's tokens would change texts that merely look like it, '10:am' for instance.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      '[^']*(?:''[^']*)*'           # a string; E'...' is looked for first
    | "[^"]*(?:""[^"]*)*"           # a quoted name
    | --[^\n]*                      # a comment to the end of the line
    | /\*                           # one that nests
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$  # a dollar quote begins
    | ::                            # a cast
    | :(?P<name>[^\W\d]\w*)
    | \$(?P<number>\d+)
    | [^\W\d][\w$]*                 # a word, so that its digits and dollars are not looked at
    """,
    re.VERBOSE,
)
_ESCAPE_STRING = re.compile(r"[eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'", re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class ParameterRefused(Exception):
    """The statement and its parameters do not fit; the message says why."""


def numbered(sql: str, names: frozenset[str]) -> tuple[str, list[str]]:
    """The statement with `$1`, `$2`, ... and the name of each. Raises ParameterRefused for a name that is not one of
    `names`, and for numbers beside names."""
    pieces: list[str] = []
    order: dict[str, int] = {}
    copied = position = 0
    has_numbers = False
    while (found := _TOKEN.search(sql, position)) is not None:
        # The word E may begin a string whose backslashes count.
        position = (_ESCAPE_STRING.match(sql, found.start()) or found).end()
        name, tag = found["name"], found["tag"]
        if found.group() == "/*":
            position = _comment_end(sql, position)
        elif tag is not None:
            end = sql.find(f"${tag}$", position)
            position = len(sql) if end < 0 else end + len(tag) + 2
        elif found["number"] is not None:
            has_numbers = True
        elif name is not None:
            if name not in names:
                raise ParameterRefused(f"Cannot find parameter: {name}")
            number = order.setdefault(name, len(order) + 1)
            pieces += (sql[copied : found.start()], f"${number}")
            copied = found.end()
    if has_numbers and order:
        raise ParameterRefused("Parameters are either named or numbered, not both.")
    pieces.append(sql[copied:])
    return "".join(pieces), list(order)


def _comment_end(sql: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            return len(sql)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position
