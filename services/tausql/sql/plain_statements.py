"""The commonest statements, read straight from their tokens into the tree that sqlglot would make of them.

One table, columns compared with values, rows of values: nine statements of ten look like that, and for them sqlglot's
tokeniser, the edits of its tokens and the checks of what it lets pass cost several times what there is to read. This is
no second grammar: what is not certain to give the very same tree is left alone, and everything after it is shared.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Final

from sqlglot import exp

from tausql.sql.expressions.parsing import POSTGRES
from tausql.sql.lexer import NUMBER, OPERATOR, PARAM, QUOTED, STRING, WORD, Token

NESTED_MAX: Final = 20  # parentheses in a condition

# Clauses that are not read here: looked for first, so that a statement that has one costs nothing.
_OTHER_CLAUSES: Final = frozenset(
    ("JOIN", "WITH", "UNION", "INTERSECT", "EXCEPT", "GROUP", "HAVING", "DISTINCT", "CASE", "CAST", "FOR", "FETCH",
     "WINDOW", "OVER", "USING", "CONFLICT", "OVERRIDING", "BETWEEN", "LIKE", "ILIKE", "EXISTS", "DEFAULT", "[",
     "||", "*=", ".*", "INTO", "ALL")
)  # fmt: skip
# Words that sqlglot's parser looks for by their text, so that they are not names wherever they stand.
_LOOKED_FOR: Final = frozenset(
    ("ANY", "CASE", "CONNECT_BY_ROOT", "IF", "NEXT", "VARIADIC", "DEFAULT", "ONLY", "STRAIGHT_JOIN", "PRIOR", "MATCH",
     "VERSION", "TIMESTAMP", "SAMPLE", "TABLESAMPLE", "PIVOT", "UNPIVOT", "CHANGES", "AT", "BEFORE", "END",
     "HIGH_PRIORITY",
     "OVERWRITE", "LOCAL", "DIRECTORY", "IGNORE", "SQL_CALC_FOUND_ROWS", "ROWS", "NULLS", "PARTITION", "TOP", "KIND",
     "STRUCT", "VALUE", "EXCEPT", "EXCLUDE", "RENAME", "REPLACE", "ILIKE", "OPTIONS", "STORED", "BY", "JSON_OBJECTAGG")
)  # fmt: skip
# PostgreSQL's reserved words that are none to sqlglot, and one that `statements` looks at.
_RESERVED: Final = frozenset(
    ("ANALYSE", "ASYMMETRIC", "AUTHORIZATION", "BOTH", "CAST", "CHECK", "COLLATION", "CONCURRENTLY", "CURRENT_ROLE",
     "DEFERRABLE", "FREEZE", "INITIALLY", "LEADING", "PLACING", "SYMMETRIC", "SYSTEM_USER", "TO", "TRAILING", "USER",
     "VERBOSE", "MATERIALIZED")
)  # fmt: skip
# Keywords of sqlglot's that are names of columns all the same.
_NAMES_TOO: Final = frozenset(
    ("NAME", "DATE", "TEXT", "COMMENT", "KEY", "TYPE", "TIME", "TIMESTAMP", "UUID", "VALUE", "VERSION", "FILE",
     "OBJECT", "SESSION", "POINT", "PERCENT", "LIST")
)  # fmt: skip


def _no_names() -> frozenset[str]:
    # ORDER is none of its keywords: ORDER BY is, and GROUP BY, FOREIGN KEY, ...
    keywords = {word.upper().split()[0] for word in POSTGRES.tokenizer_class.KEYWORDS}
    return frozenset((keywords | _LOOKED_FOR | _RESERVED) - _NAMES_TOO)


_NO_NAMES: Final = _no_names()
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_COMPARISONS: Final = MappingProxyType(
    {"=": exp.EQ, "<>": exp.NEQ, "!=": exp.NEQ, "<": exp.LT, ">": exp.GT, "<=": exp.LTE, ">=": exp.GTE}
)
# What clients cast their parameters to, as sqlglot calls it.
_TYPES: Final = MappingProxyType(
    {
        "INTEGER": exp.DType.INT, "INT": exp.DType.INT, "INT4": exp.DType.INT, "BIGINT": exp.DType.BIGINT,
        "INT8": exp.DType.BIGINT, "SMALLINT": exp.DType.SMALLINT, "TEXT": exp.DType.TEXT, "VARCHAR": exp.DType.VARCHAR,
        "BOOLEAN": exp.DType.BOOLEAN, "BOOL": exp.DType.BOOLEAN, "UUID": exp.DType.UUID, "NUMERIC": exp.DType.DECIMAL,
        "DATE": exp.DType.DATE, "TIMESTAMP": exp.DType.TIMESTAMP, "TIMESTAMPTZ": exp.DType.TIMESTAMPTZ,
        "JSONB": exp.DType.JSONB, "JSON": exp.DType.JSON, "BYTEA": exp.DType.VARBINARY, "REAL": exp.DType.FLOAT,
    }
)  # fmt: skip
_SUMS: Final = MappingProxyType({"+": exp.Add, "-": exp.Sub})
_LITERALS: Final = frozenset((WORD, NUMBER, PARAM, QUOTED, STRING))
_END: Final = Token("end", "", 1 << 40)


class _NotPlainError(Exception):
    """The statement has something that is not read here."""


def read(text: str, tokens: list[Token], words: list[str]) -> exp.Expr | None:
    """The tree of one SELECT, INSERT, UPDATE or DELETE; None where sqlglot is to say. Raises nothing."""
    first = words[0]
    if first == "INSERT":
        if words.count("INTO") > 1 or not _OTHER_CLAUSES.isdisjoint(words[2:]):
            return None
    elif not _OTHER_CLAUSES.isdisjoint(words):
        return None
    if not text.isascii() or "--" in text or "/*" in text or "\\" in text:
        return None
    reader = _Reader(tokens, words)
    try:
        if first == "SELECT":
            node = reader.select()
        elif first == "INSERT":
            node = reader.insert()
        elif first == "UPDATE":
            node = reader.update()
        else:
            node = reader.delete()
    except _NotPlainError:
        return None
    return node


class _Reader:
    __slots__ = ("at", "depth", "tokens", "words")

    def __init__(self, tokens: list[Token], words: list[str]) -> None:
        self.tokens = [*tokens, _END, _END]
        self.words = [*words, "", ""]
        self.at = 1
        self.depth = 0

    # --- statements ----------------------------------------------------------------------------------------------

    def select(self) -> exp.Expr:
        made: dict[str, Any] = {"expressions": self._targets(), "from_": None}
        self._word("FROM")
        made["from_"] = exp.From(this=self._table())
        made["where"] = self._where()
        if self._took("ORDER"):
            self._word("BY")
            made["order"] = exp.Order(expressions=self._order())
        if self._took("LIMIT"):
            made["limit"] = exp.Limit(expression=self._count())
        if self._took("OFFSET"):
            made["offset"] = exp.Offset(expression=self._count())
        self._end()
        return exp.Select(**made)

    def insert(self) -> exp.Expr:
        self._word("INTO")
        table: exp.Expr = self._table(False)
        if self._took("("):
            columns = [self._name()]
            while self._took(","):
                columns.append(self._name())
            self._word(")")
            table = exp.Schema(this=table, expressions=columns)
        self._word("VALUES")
        rows = [self._row()]
        while self._took(","):
            rows.append(self._row())
        returning = self._returning()
        self._end()
        return exp.Insert(
            is_function=False, this=table, stored=False, by_name=False, exists=False, partition=False, settings=False,
            default=False, expression=exp.Values(expressions=rows), returning=returning, overwrite=False, ignore=False,
            source=False,
        )  # fmt: skip

    def update(self) -> exp.Expr:
        table = self._table()
        self._word("SET")
        changes = [self._change()]
        while self._took(","):
            changes.append(self._change())
        where = self._where()
        returning = self._returning()
        self._end()
        return exp.Update(this=table, expressions=changes, where=where, returning=returning)

    def delete(self) -> exp.Expr:
        self._word("FROM")
        table = self._table()
        where = self._where()
        returning = self._returning()
        self._end()
        return exp.Delete(this=table, using=False, cluster=False, where=where, returning=returning)

    # --- clauses -------------------------------------------------------------------------------------------------

    def _table(self, aliased: bool = True) -> exp.Table:
        name = self._name()
        schema = None
        if self._took("."):
            schema, name = name, self._name()
        if aliased:
            alias = self._alias()
            if alias is not None:
                return exp.Table(this=name, db=schema, alias=exp.TableAlias(this=alias))
        return exp.Table(this=name, db=schema)

    def _alias(self) -> exp.Identifier | None:
        if self._took("AS"):
            return self._name()
        token = self.tokens[self.at]
        if token.kind == QUOTED or (token.kind == WORD and self.words[self.at] not in _NO_NAMES):
            return self._name()
        return None

    def _targets(self) -> list[exp.Expr]:
        targets = [self._target()]
        while self._took(","):
            targets.append(self._target())
        return targets

    def _target(self) -> exp.Expr:
        if self._took("*"):
            return exp.Star()
        column = self._column(True)
        alias = None if isinstance(column.this, exp.Star) else self._alias()
        return column if alias is None else exp.Alias(this=column, alias=alias)

    def _returning(self) -> exp.Returning | None:
        return exp.Returning(expressions=self._targets(), into=False) if self._took("RETURNING") else None

    def _order(self) -> list[exp.Expr]:
        items: list[exp.Expr] = []
        while True:
            column = self._column()
            descending = True if self._took("DESC") else False if self._took("ASC") else None
            first = bool(descending)
            if self._took("NULLS"):
                first = self._took("FIRST")
                if not first:
                    self._word("LAST")
            items.append(exp.Ordered(this=column, desc=descending, nulls_first=first))
            if not self._took(","):
                return items

    def _count(self) -> exp.Expr:
        if self.tokens[self.at].kind not in (NUMBER, PARAM):
            raise _NotPlainError
        return self._value()

    def _row(self) -> exp.Tuple:
        self._word("(")
        cells = [self._value()]
        while self._took(","):
            cells.append(self._value())
        self._word(")")
        return exp.Tuple(expressions=cells)

    def _change(self) -> exp.Expr:
        column = exp.Column(this=self._name())
        self._word("=")
        value = self._operand()
        sum_of = _SUMS.get(self.words[self.at]) if isinstance(value, exp.Column) else None
        if sum_of is not None:
            self.at += 1
            value = sum_of(this=value, expression=self._operand())
        return exp.EQ(this=column, expression=value)

    def _where(self) -> exp.Where | None:
        return exp.Where(this=self._either()) if self._took("WHERE") else None

    # --- conditions ----------------------------------------------------------------------------------------------

    def _either(self) -> exp.Expr:
        found = self._all()
        while self._took("OR"):
            found = exp.Or(this=found, expression=self._all())
        return found

    def _all(self) -> exp.Expr:
        found = self._test()
        while self._took("AND"):
            found = exp.And(this=found, expression=self._test())
        return found

    def _test(self) -> exp.Expr:
        if self._took("("):
            self.depth += 1
            if self.depth > NESTED_MAX:
                raise _NotPlainError
            inner = self._either()
            self._word(")")
            self.depth -= 1
            return exp.Paren(this=inner)
        column = self._column()
        comparison = _COMPARISONS.get(self.words[self.at])
        if comparison is not None:
            self.at += 1
            return comparison(this=column, expression=self._operand())
        if self._took("IS"):
            negated = self._took("NOT")
            self._word("NULL")
            return exp.Is(this=column, expression=exp.Null(), negate=True if negated else None)
        negated = self._took("NOT")
        self._word("IN")
        self._word("(")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        self._word(")")
        found = exp.In(this=column, expressions=values)
        return exp.Not(this=found) if negated else found

    # --- parts ---------------------------------------------------------------------------------------------------

    def _operand(self) -> exp.Expr:
        token = self.tokens[self.at]
        if token.kind == QUOTED or (token.kind == WORD and self.words[self.at] not in _NO_NAMES):
            return self._column()
        return self._value()

    def _column(self, starred: bool = False) -> exp.Column:
        """a, t.a; `starred`: t.* too."""
        name = self._name()
        if not self._took("."):
            return exp.Column(this=name)
        if starred and self._took("*"):
            return exp.Column(this=exp.Star(), table=name)
        return exp.Column(this=self._name(), table=name)

    def _name(self) -> exp.Identifier:
        at = self.at
        kind, text, _ = self.tokens[at]
        if kind == WORD:
            if self.words[at] in _NO_NAMES or "$" in text:
                raise _NotPlainError
            if self.words[at + 1] == "(" and self.words[at - 1] != "INTO":
                raise _NotPlainError  # a call, or the edits of sqlglot's tokens take it for one
            self.at = at + 1
            return exp.Identifier(this=text, quoted=False)
        if kind == QUOTED and text[0] == '"':
            if self.words[at + 1] == "(" and self.words[at - 1] != "INTO":
                raise _NotPlainError
            self.at = at + 1
            return exp.Identifier(this=text[1:-1].replace('""', '"'), quoted=True)
        raise _NotPlainError

    def _value(self) -> exp.Expr:
        at = self.at
        kind, text, start = self.tokens[at]
        self.at = at + 1
        following = self.tokens[at + 1]
        if kind == OPERATOR and text == "-" and following.kind == NUMBER:
            return exp.Neg(this=self._value())
        if following.kind in _LITERALS and following.start == start + len(text):
            raise _NotPlainError  # 1and
        if kind == PARAM:
            if text[1] == "0":
                raise _NotPlainError
            return self._cast(exp.Parameter(this=exp.Literal(this=text[1:], is_string=False)))
        if kind == NUMBER:
            if _NUMBER.fullmatch(text) is None:
                raise _NotPlainError
            return exp.Literal(this=text, is_string=False)
        if kind == STRING:
            if following.kind == STRING:
                raise _NotPlainError
            return self._cast(exp.Literal(this=text[1:-1].replace("''", "'"), is_string=True))
        word = self.words[at]
        if word == "NULL":
            return exp.Null()
        if word in ("TRUE", "FALSE"):
            return exp.Boolean(this=word == "TRUE")
        raise _NotPlainError

    def _cast(self, value: exp.Expr) -> exp.Expr:
        if not self._took("::"):
            return value
        named = _TYPES.get(self.words[self.at])
        if named is None:
            raise _NotPlainError
        self.at += 1
        return exp.Cast(this=value, to=exp.DataType(this=named, nested=False))

    def _took(self, word: str) -> bool:
        if self.words[self.at] != word:
            return False
        self.at += 1
        return True

    def _word(self, word: str) -> None:
        if self.words[self.at] != word:
            raise _NotPlainError
        self.at += 1

    def _end(self) -> None:
        if self.tokens[self.at] is not _END:
            raise _NotPlainError
