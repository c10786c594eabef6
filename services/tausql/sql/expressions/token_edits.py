"""PostgreSQL's operators and literal forms that sqlglot's tokens do not know, rewritten to ones it does.

PostgreSQL reads an operator as the longest run of operator characters; sqlglot has a fixed list and takes `<<=` apart.
Such an operator becomes OPERATOR(...), which sqlglot parses at the level where PostgreSQL has all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

MARK: Final = "\u0192"
# A statement without any of these operators, and none of the words of _RULES and _LITERAL_NAMES, needs no second look.
_OPERATORS = re.compile(r"<<=|>>=|-\|-|&[<>]|@|!|~[<>]|<->|\*[<=>]|[<>]\^|\?[-#|]|##|~=")
_WORD = re.compile(r"[a-z_]\w*")
_RUN = re.compile(r"[+\-*/<>=~!@#%^&|`?]+")
_REWRITTEN: Final = frozenset(
    ("<<=", ">>=", "-|-", "&<", "&>", "@@", "@@@", "@?", "<->", "*=", "*<>", "*<", "*<=", "*>", "*>=", "!~~", "!~~*",
     "~<~", "~<=~", "~>~", "~>=~", "!~", "!~*", "<<|", "|>>", "&<|", "|&>", "~=", "##", "?-", "?#", "<^", ">^", "?-|",
     "?||")
)  # fmt: skip
_PREFIX: Final = {"@": "prefix_at", "!!": "prefix_not"}
# What begins something that a prefix operator does not reach over.
_OPERAND_ENDS: Final = frozenset(
    (TokenType.COMMA, TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.SEMICOLON, TokenType.AND, TokenType.OR,
     TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.GT, TokenType.LTE, TokenType.GTE, TokenType.FROM,
     TokenType.ALIAS, TokenType.WHERE, TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.LIMIT, TokenType.IS,
     TokenType.IN, TokenType.LIKE, TokenType.ILIKE, TokenType.BETWEEN, TokenType.NOT, TokenType.DPIPE,
     TokenType.OPERATOR, TokenType.DAMP, TokenType.AT_GT, TokenType.LT_AT, TokenType.UNION, TokenType.THEN,
     TokenType.ELSE, TokenType.END)
)  # fmt: skip
_OPERAND_STARTS: Final = frozenset(
    (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER,
     TokenType.NULL, TokenType.TRUE, TokenType.FALSE, TokenType.BIT_STRING, TokenType.HEX_STRING,
     TokenType.UNICODE_STRING, TokenType.BYTE_STRING, TokenType.END)
)  # fmt: skip
_NO_OPERANDS: Final = frozenset(
    ("SELECT", "WHERE", "WHEN", "THEN", "ELSE", "BY", "ON", "HAVING", "RETURNING", "VALUES", "CASE", "DISTINCT", "ALL")
)
_LITERAL_NAMES: Final = frozenset(
    ("tsvector", "tsquery", "jsonpath", "varbit", "cidr", "regconfig", "regtype", "regproc", "regnamespace", "regrole",
     "bpchar")
)  # fmt: skip
_NORMAL_FORMS: Final = frozenset(("NFC", "NFD", "NFKC", "NFKD"))


def prepared(tokens: list[Token], sql: str) -> list[Token]:
    """The tokens with what sqlglot does not know rewritten; the same list where there is nothing to do."""
    if _OPERATORS.search(sql) is None and _WORDS.isdisjoint(_WORD.findall(sql.lower())):
        return tokens
    out: list[Token] = []
    closing: dict[int, int] = {}  # position in `tokens` -> closing parentheses to put before it
    at, count = 0, len(tokens)
    while at <= count:
        out += [made(tokens[min(at, count - 1)], TokenType.R_PAREN, ")")] * closing.pop(at, 0)
        if at == count:
            break
        token = tokens[at]
        step = _operator(tokens, at, sql, out, closing) or _special(tokens, at, out)
        if step:
            at += step
            continue
        out.append(token)
        at += 1
    return out


def made(like: Token, kind: TokenType, text: str) -> Token:
    """A token at the place of another."""
    return Token(kind, text, like.line, like.col, like.start, like.end)


def _operator(tokens: list[Token], at: int, sql: str, out: list[Token], closing: dict[int, int]) -> int:
    """Rewrites the operator that begins here; how many tokens it was."""
    token = tokens[at]
    found = _RUN.match(sql, token.start) if token.token_type is not TokenType.STRING else None
    if found is None or token.text[:1] != found[0][:1] or sql[token.start : token.end + 1] != token.text:
        return 0
    run = _trimmed(found[0])
    binary = bool(out) and _ends_operand(out[-1])
    if run in _PREFIX and not binary:
        size = _span(tokens, at, token.start + len(run))
        out += [made(token, TokenType.VAR, MARK + _PREFIX[run]), made(token, TokenType.L_PAREN, "(")]
        end = _operand_end(tokens, at + size)
        _restore_null(tokens, at + size)
        closing[end] = closing.get(end, 0) + 1
        return size
    if run not in _REWRITTEN or not binary:
        return 0
    out += [
        made(token, TokenType.OPERATOR, "OPERATOR"), made(token, TokenType.L_PAREN, "("),
        made(token, TokenType.VAR, run), made(token, TokenType.R_PAREN, ")"),
    ]  # fmt: skip
    size = _span(tokens, at, token.start + len(run))
    _restore_null(tokens, at + size)
    return size


def _restore_null(tokens: list[Token], at: int) -> None:
    """sqlglot takes a word behind @ for the name of a parameter."""
    if at < len(tokens) and tokens[at].text.upper() == "NULL" and tokens[at].token_type is TokenType.VAR:
        tokens[at] = made(tokens[at], TokenType.NULL, "NULL")


def _trimmed(run: str) -> str:
    """A run may end in + or - only where it has a character that no SQL operator has; comments end it."""
    for comment in ("--", "/*"):
        run = run.partition(comment)[0] or run
    while len(run) > 1 and run[-1] in "+-" and not any(char in "~!@#%^&|`?" for char in run):
        run = run[:-1]
    while len(run) > 1 and run[-1] in "+-" and run not in _REWRITTEN and run != "#-":
        run = run[:-1]
    return run


def _ends_operand(token: Token) -> bool:
    if token.token_type in _OPERAND_STARTS:
        return token.text.upper() not in ("SELECT", "WHERE", "AND", "OR", "NOT", "WHEN", "THEN", "ELSE", "BY", "ON")
    if not token.text[:1].isalpha() or token.token_type in _OPERAND_ENDS:
        return False
    return token.text.upper() not in _NO_OPERANDS


def _span(tokens: list[Token], at: int, end: int) -> int:
    """How many tokens lie before the character `end`."""
    count = 0
    while at + count < len(tokens) and tokens[at + count].start < end:
        count += 1
    return count


def _operand_end(tokens: list[Token], at: int) -> int:
    """Behind the operand of a prefix operator, which binds less than arithmetic does."""
    depth = 0
    while at < len(tokens):
        kind = tokens[at].token_type
        if kind in (TokenType.L_PAREN, TokenType.L_BRACKET):
            depth += 1
        elif depth == 0 and kind in _OPERAND_ENDS:
            return at
        elif kind in (TokenType.R_PAREN, TokenType.R_BRACKET):
            depth -= 1
        at += 1
    return at


def _words(tokens: list[Token], at: int, count: int) -> list[str]:
    return [token.text.upper() for token in tokens[at : at + count]]


def _special(tokens: list[Token], at: int, out: list[Token]) -> int:
    """Rewrites a literal or syntax of its own that begins here; how many tokens it was."""
    token = tokens[at]
    kind, word = token.token_type, token.text.lower()
    if kind is TokenType.STRING or kind is TokenType.IDENTIFIER:
        return 0
    rule = _RULES.get(word)
    if rule is not None:
        return rule(tokens, at, out)
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if word in _LITERAL_NAMES and following is not None and following.token_type is TokenType.STRING:
        out += [
            made(token, TokenType.L_PAREN, "("), following, made(token, TokenType.DCOLON, "::"),
            made(token, TokenType.VAR, word), made(token, TokenType.R_PAREN, ")"),
        ]  # fmt: skip
        return 2
    return 0


def _bit(tokens: list[Token], at: int, out: list[Token]) -> int:
    """bit varying(n); bit '101', which is no bit(1)."""
    literal = tokens[at + 1] if at + 1 < len(tokens) else None
    if literal is not None and literal.token_type is TokenType.STRING:
        hexadecimal = literal.text[:1] in ("x", "X")
        kind = TokenType.HEX_STRING if hexadecimal else TokenType.BIT_STRING
        out.append(made(literal, kind, literal.text.lstrip("xXbB")))
        return 2
    if _words(tokens, at + 1, 1) == ["VARYING"]:
        following = tokens[at + 2] if at + 2 < len(tokens) else None
        if following is not None and following.token_type is TokenType.STRING:
            shortened = [made(tokens[at], TokenType.VAR, "varbit"), following]
            return _special(shortened, 0, out) + 1
        out.append(made(tokens[at], TokenType.VAR, "varbit"))
        return 2
    return 0


def _interval(tokens: list[Token], at: int, out: list[Token]) -> int:
    """interval(3) '...'"""
    kinds = [token.token_type for token in tokens[at + 1 : at + 5]]
    if kinds != [TokenType.L_PAREN, TokenType.NUMBER, TokenType.R_PAREN, TokenType.STRING]:
        return 0
    token = tokens[at]
    out += [
        made(token, TokenType.VAR, MARK + "interval_literal"), made(token, TokenType.L_PAREN, "("), tokens[at + 4],
        made(token, TokenType.COMMA, ","), tokens[at + 2], made(token, TokenType.R_PAREN, ")"),
    ]  # fmt: skip
    return 5


def _normalized(tokens: list[Token], at: int, out: list[Token]) -> int:
    """IS [NOT] NFKC NORMALIZED as one name."""
    words = _words(tokens, at, 2)
    before = out[-1].text.upper() if out else ""
    if words[1:] != ["NORMALIZED"] or before not in ("IS", "NOT"):
        return 0
    out.append(made(tokens[at], TokenType.VAR, f"{MARK}normalized_{words[0].lower()}"))
    return 2


def _plain_normalized(tokens: list[Token], at: int, out: list[Token]) -> int:
    if not out or out[-1].text.upper() not in ("IS", "NOT"):
        return 0
    out.append(made(tokens[at], TokenType.VAR, f"{MARK}normalized_nfc"))
    return 1


def _unknown(tokens: list[Token], at: int, out: list[Token]) -> int:
    """IS [NOT] UNKNOWN, which is more than IS NULL: it takes booleans only."""
    if not out or out[-1].text.upper() not in ("IS", "NOT"):
        return 0
    out.append(made(tokens[at], TokenType.VAR, MARK + "unknown"))
    return 1


def _uescape(tokens: list[Token], at: int, out: list[Token]) -> int:
    """U&'...' UESCAPE '!'"""
    if not out or out[-1].token_type is not TokenType.UNICODE_STRING:
        return 0
    if at + 1 >= len(tokens) or tokens[at + 1].token_type is not TokenType.STRING:
        return 0
    escape = tokens[at + 1].text
    literal = out[-1]
    out[-1] = made(literal, TokenType.UNICODE_STRING, re.sub(r"[\\]", r"\\\\", literal.text).replace(escape, "\\"))
    return 2


def _constructor(tokens: list[Token], at: int, out: list[Token]) -> int:
    """JSON_OBJECT('a': 1, 'b' VALUE 2 ABSENT ON NULL RETURNING jsonb) as a call with its clauses in a literal."""
    if at + 1 >= len(tokens) or tokens[at + 1].token_type is not TokenType.L_PAREN:
        return 0
    end, depth, separated, clauses = at + 2, 1, False, -1
    while end < len(tokens):
        kind, word = tokens[end].token_type, tokens[end].text.upper()
        if kind in (TokenType.L_PAREN, TokenType.L_BRACKET):
            depth += 1
        elif kind in (TokenType.R_PAREN, TokenType.R_BRACKET):
            depth -= 1
            if depth == 0:
                break
        elif depth == 1 and (kind is TokenType.COLON or word == "VALUE"):
            separated = True
        elif depth == 1 and clauses < 0 and _is_clause(tokens, end):
            clauses = end
        end += 1
    if end >= len(tokens):
        return 0
    if tokens[at].text.lower() in _AGGREGATES:
        return _aggregated(tokens, at, clauses if clauses >= 0 else end, end, out)
    array = tokens[at].text.lower() == "json_array"
    if not (separated or clauses >= 0 or array or end == at + 2):
        return 0
    token = tokens[at]
    stop = clauses if clauses >= 0 else end
    options = " ".join(_words(tokens, stop, end - stop)).lower()
    out += [
        made(token, TokenType.VAR, f"{MARK}{token.text.lower()}_built"), made(token, TokenType.L_PAREN, "("),
        made(token, TokenType.STRING, options),
    ]  # fmt: skip
    if stop > at + 2:
        out.append(made(token, TokenType.COMMA, ","))
        out += prepared_items(tokens[at + 2 : stop])
    out.append(made(token, TokenType.R_PAREN, ")"))
    return end - at + 1


_AGGREGATES: Final = {"json_objectagg": "object_agg", "json_arrayagg": "agg"}


def _aggregated(tokens: list[Token], at: int, stop: int, end: int, out: list[Token]) -> int:
    """JSON_OBJECTAGG(k: v ABSENT ON NULL) as json_object_agg_strict(k, v), and the like."""
    token = tokens[at]
    clauses = " ".join(_words(tokens, stop, end - stop))
    kind = "jsonb" if "RETURNING JSONB" in clauses else "json"
    strict = "ABSENT ON NULL" in clauses or (token.text.lower() == "json_arrayagg" and "NULL ON NULL" not in clauses)
    name = f"{kind}_{_AGGREGATES[token.text.lower()]}"
    name += ("_unique" if "WITH UNIQUE" in clauses else "") + ("_strict" if strict else "")
    out += [made(token, TokenType.VAR, MARK + name), made(token, TokenType.L_PAREN, "(")]
    out += [*prepared_items(tokens[at + 2 : stop]), made(token, TokenType.R_PAREN, ")")]
    return end - at + 1


def _is_clause(tokens: list[Token], at: int) -> bool:
    words = _words(tokens, at, 3)
    return (
        words[1:] == ["ON", "NULL"]
        or words[0] == "RETURNING"
        or (words[0] in ("WITH", "WITHOUT") and words[1:2] == ["UNIQUE"])
    )


def prepared_items(tokens: list[Token]) -> list[Token]:
    """key VALUE value and key : value with commas; constructors inside too."""
    out: list[Token] = []
    at, depth = 0, 0
    while at < len(tokens):
        token = tokens[at]
        step = _special(tokens, at, out)
        if step:
            at += step
            continue
        if token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET):
            depth += 1
        elif token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET):
            depth -= 1
        separator = token.token_type is TokenType.COLON or token.text.upper() == "VALUE"
        is_word = token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER)
        out.append(made(token, TokenType.COMMA, ",") if depth == 0 and separator and is_word else token)
        at += 1
    return out


def _substring(tokens: list[Token], at: int, out: list[Token]) -> int:
    """substring(a SIMILAR b ESCAPE c) with commas."""
    end, depth = at + 1, 0
    places: list[int] = []
    while end < len(tokens):
        kind, word = tokens[end].token_type, tokens[end].text.upper()
        if kind is TokenType.L_PAREN:
            depth += 1
        elif kind is TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                break
        elif depth == 1 and word in ("SIMILAR", "SIMILAR TO", "ESCAPE") and kind is not TokenType.STRING:
            places.append(end)
        end += 1
    if len(places) != 2:
        return 0
    out.append(made(tokens[at], TokenType.VAR, MARK + "substring_similar"))
    out += [
        made(tokens[position], TokenType.COMMA, ",") if position in places else tokens[position]
        for position in range(at + 1, end + 1)
    ]
    return end - at + 1


def _negative_scale(tokens: list[Token], at: int, out: list[Token]) -> int:
    """numeric(3, -2): the minus as part of the number."""
    kinds = [token.token_type for token in tokens[at + 1 : at + 7]]
    number, comma = TokenType.NUMBER, TokenType.COMMA
    if kinds != [TokenType.L_PAREN, number, comma, TokenType.DASH, number, TokenType.R_PAREN]:
        return 0
    scale = made(tokens[at + 5], number, "-" + tokens[at + 5].text)
    out += [*tokens[at : at + 4], scale, tokens[at + 6]]
    return 7


def _sized_array(tokens: list[Token], at: int, out: list[Token]) -> int:
    """::int[3] is ::int[]."""
    kinds = [token.token_type for token in tokens[at + 1 : at + 4]]
    if kinds != [TokenType.L_BRACKET, TokenType.NUMBER, TokenType.R_BRACKET]:
        return 0
    if not out or out[-1].token_type not in (TokenType.DCOLON, TokenType.ALIAS):
        return 0
    out += [tokens[at], tokens[at + 1], tokens[at + 3]]
    return 4


def _rules() -> dict[str, Callable[[list[Token], int, list[Token]], int]]:
    table: dict[str, Callable[[list[Token], int, list[Token]], int]] = {
        "bit": _bit, "interval": _interval, "normalized": _plain_normalized,
        "unknown": _unknown, "uescape": _uescape,
        "substring": _substring,
        "json_object": _constructor, "json_array": _constructor, "json_objectagg": _constructor,
        "json_arrayagg": _constructor,
    }  # fmt: skip
    table.update(dict.fromkeys(("numeric", "decimal", "dec"), _negative_scale))
    table.update({form.lower(): _normalized for form in _NORMAL_FORMS})
    table.update(dict.fromkeys(("int", "int2", "int4", "int8", "text", "integer", "bigint"), _sized_array))
    return table


_RULES: Final = _rules()
_WORDS: Final = frozenset((*_RULES, *_LITERAL_NAMES))
