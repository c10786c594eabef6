"""Running a jsonpath over a jsonb value: lax and strict, filters, predicates in three-valued logic, arithmetic.

A path gives a list of items: the plain values of jsonb, and Moments (dates and times, which jsonb itself does not
have). In lax mode what does not fit the structure is left out; in strict mode it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.arithmetic import (
    numeric_add,
    numeric_divide,
    numeric_multiply,
    numeric_remainder,
    numeric_subtract,
    truncate,
)
from tausql.sql.functions.jsonpath_items import Moment, compared, kind_of, method_value
from tausql.sql.functions.patterns import compiled_regex
from tausql.sql.types.jsonpath import JsonPath, Node

STEPS_MAX: Final = 5_000_000
_ARITHMETIC: Final[dict[str, Callable[[Decimal, Decimal], Decimal]]] = {
    "+": numeric_add, "-": numeric_subtract, "*": numeric_multiply, "/": numeric_divide, "%": numeric_remainder,
}  # fmt: skip
_TESTS: Final[dict[str, Callable[[int], bool]]] = {
    "==": lambda order: order == 0, "!=": lambda order: order != 0, "<": lambda order: order < 0,
    "<=": lambda order: order <= 0, ">": lambda order: order > 0, ">=": lambda order: order >= 0,
}  # fmt: skip
_PREDICATES: Final = frozenset(("&&", "||", "!", "exists", "starts with", "like_regex", "is unknown", *_TESTS))


class Run:
    """One execution. context: for time zones; None where the functions without _tz must not need one."""

    __slots__ = ("context", "current", "last", "lax", "root", "steps", "variables", "zoned")

    def __init__(self, path: JsonPath, root: Any, variables: Any, context: Any, zoned: bool) -> None:
        self.lax = not path.strict
        self.root = root
        self.current = root
        self.variables = variables
        self.context = context
        self.zoned = zoned
        self.last = -1
        self.steps = 0

    def items(self, node: Node) -> list[Any]:
        """What the node gives; SqlError for what PostgreSQL reports."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise SqlError(Code.statement_too_complex, "jsonpath takes too many steps")
        name = node[0]
        if name in ("number", "string", "constant"):
            return [node[1]]
        if name == "$":
            return [self.root]
        if name == "@":
            return [self.current]
        if name == "last":
            return [Decimal(self.last)]
        if name == "variable":
            return [self._variable(node[1])]
        if name in _PREDICATES:
            return [self.holds(node)]
        if name in _ARITHMETIC:
            return [self._calculated(name, node[1], node[2])]
        if name in ("plus", "minus"):
            return self._signed(name, node[1])
        return list(_ACCESSORS[name](self, node))

    def _variable(self, name: str) -> Any:
        if not isinstance(self.variables, dict) or name not in self.variables:
            raise SqlError(Code.undefined_object, f'could not find jsonpath variable "{name}"')
        return self.variables[name]

    def unwrapped(self, node: Node) -> list[Any]:
        """The items, arrays opened in lax mode."""
        found = self.items(node)
        return [part for item in found for part in self.opened(item)] if self.lax else found

    def opened(self, item: Any) -> list[Any]:
        return item if self.lax and isinstance(item, list) else [item]

    # --- arithmetic ---

    def _calculated(self, name: str, left: Node, right: Node) -> Decimal:
        values = []
        for side, node in (("left", left), ("right", right)):
            found = self.unwrapped(node)
            if len(found) != 1 or not isinstance(found[0], Decimal):
                raise SqlError(
                    Code.singleton_sql_json_item_required,
                    f"{side} operand of jsonpath operator {name} is not a single numeric value",
                )
            values.append(found[0])
        return _ARITHMETIC[name](values[0], values[1])

    def _signed(self, name: str, node: Node) -> list[Any]:
        found = self.unwrapped(node)
        sign = "+" if name == "plus" else "-"
        for item in found:
            if not isinstance(item, Decimal):
                raise SqlError(
                    Code.sql_json_number_not_found,
                    f"operand of unary jsonpath operator {sign} is not a numeric value",
                )
        return found if name == "plus" else [item.copy_negate() if item else item for item in found]

    # --- predicates ---

    def holds(self, node: Node) -> bool | None:
        """True, False or (unknown) None."""
        name = node[0]
        if name == "&&":
            left = self.holds(node[1])
            if left is False:
                return False
            right = self.holds(node[2])
            return right if left or right is False else None
        if name == "||":
            left = self.holds(node[1])
            if left:
                return True
            right = self.holds(node[2])
            return right if left is False or right else None
        if name == "!":
            inner = self.holds(node[1])
            return None if inner is None else not inner
        if name == "is unknown":
            return self.holds(node[1]) is None
        if name == "exists":
            return self._exists(node[1])
        if name in _TESTS:
            return self._pairs(node[1], node[2], _comparison(name, self))
        if name == "starts with":
            return self._pairs(node[1], node[2], _starts)
        if name == "like_regex":
            return self._pairs(node[1], None, _matching(node[2], node[3]))
        raise SqlError(Code.internal_error, f"unknown jsonpath predicate {name}")

    def _exists(self, node: Node) -> bool | None:
        try:
            return bool(self.items(node))
        except SqlError as error:
            if not softens(error):
                raise
            return None

    def _pairs(self, left: Node, right: Node | None, test: Callable[[Any, Any], bool | None]) -> bool | None:
        """Whether some pair passes; in strict mode one that cannot be told makes it unknown."""
        try:
            lefts = self.unwrapped(left)
            rights = [None] if right is None else self.unwrapped(right)
        except SqlError as error:
            if not softens(error):
                raise
            return None
        found = unknown = False
        for a in lefts:
            for c in rights:
                passed = test(a, c)
                if passed is None:
                    if not self.lax:
                        return None
                    unknown = True
                elif passed:
                    if self.lax:
                        return True
                    found = True
        return True if found else None if unknown else False

    # --- accessors ---

    def key(self, node: Node) -> Iterator[Any]:
        for item in self.items(node[1]):
            for part in self.opened(item):
                if isinstance(part, dict):
                    if node[2] in part:
                        yield part[node[2]]
                    elif not self.lax:
                        raise SqlError(Code.sql_json_member_not_found, f'JSON object does not contain key "{node[2]}"')
                elif not self.lax:
                    raise SqlError(
                        Code.sql_json_member_not_found, "jsonpath member accessor can only be applied to an object"
                    )

    def all_members(self, node: Node) -> Iterator[Any]:
        for item in self.items(node[1]):
            for part in self.opened(item):
                if isinstance(part, dict):
                    yield from (part[key] for key in ordered_keys(part))
                elif not self.lax:
                    raise SqlError(
                        Code.sql_json_object_not_found,
                        "jsonpath wildcard member accessor can only be applied to an object",
                    )

    def all_elements(self, node: Node) -> Iterator[Any]:
        for item in self.items(node[1]):
            if isinstance(item, list):
                yield from item
            elif self.lax:
                yield item
            else:
                raise SqlError(
                    Code.sql_json_array_not_found, "jsonpath wildcard array accessor can only be applied to an array"
                )

    def elements(self, node: Node) -> Iterator[Any]:
        for item in self.items(node[1]):
            array = item if isinstance(item, list) else [item]
            if not isinstance(item, list) and not self.lax:
                raise SqlError(Code.sql_json_array_not_found, "jsonpath array accessor can only be applied to an array")
            outer, self.last = self.last, len(array) - 1
            try:
                for low_node, high_node in node[2]:
                    low = self._subscript(low_node)
                    high = low if high_node is None else self._subscript(high_node)
                    if not self.lax and (low < 0 or low > high or high >= len(array)):
                        raise SqlError(Code.invalid_sql_json_subscript, "jsonpath array subscript is out of bounds")
                    yield from array[max(low, 0) : max(high + 1, 0)]
            finally:
                self.last = outer

    def _subscript(self, node: Node) -> int:
        found = self.items(node)
        if len(found) != 1 or not isinstance(found[0], Decimal):
            raise SqlError(Code.invalid_sql_json_subscript, "jsonpath array subscript is not a single numeric value")
        at = int(truncate(found[0], 0)) if found[0].is_finite() else 1 << 40
        if not -(2**31) <= at < 2**31:
            raise SqlError(Code.invalid_sql_json_subscript, "jsonpath array subscript is out of integer range")
        return at

    def any_depth(self, node: Node) -> Iterator[Any]:
        low, high = node[2], node[3]
        for item in self.items(node[1]):
            yield from _descendants(item, 0, low, high)

    def filtered(self, node: Node) -> Iterator[Any]:
        outer = self.current
        for item in self.items(node[1]):
            for part in self.opened(item):
                self.current = part
                try:
                    passed = self.holds(node[2]) if node[2][0] in _PREDICATES else None
                finally:
                    self.current = outer
                if passed:
                    yield part

    def method(self, node: Node) -> Iterator[Any]:
        name = node[2]
        arguments = [self.items(argument[0])[0] for argument in node[3]]
        for item in self.items(node[1]):
            if name == "type":
                yield kind_of(item)
            elif name == "size":
                if not isinstance(item, list) and not self.lax:
                    raise SqlError(
                        Code.sql_json_array_not_found, "jsonpath item method .size() can only be applied to an array"
                    )
                yield Decimal(len(item) if isinstance(item, list) else 1)
            else:
                for part in self.opened(item):
                    yield from method_value(name, part, arguments, self)


def softens(error: SqlError) -> bool:
    """Whether an error is one that silence and predicates swallow: of the data, not of the path."""
    return str(error.sqlstate).startswith("22")


def ordered_keys(value: dict[str, Any]) -> list[str]:
    return sorted(value, key=lambda key: (len(key.encode()), key.encode()))


def _descendants(item: Any, level: int, low: int, high: int) -> Iterator[Any]:
    """Items from level `low` to `high`; -1 for both: the leaves."""
    container = isinstance(item, dict | list)
    if (low >= 0 and level >= low) or (low < 0 and not container):
        yield item
    if high >= 0 and level >= high:
        return
    if isinstance(item, dict):
        for key in ordered_keys(item):
            yield from _descendants(item[key], level + 1, low, high)
    elif isinstance(item, list):
        for inner in item:
            yield from _descendants(inner, level + 1, low, high)


def _comparison(name: str, run: Run) -> Callable[[Any, Any], bool | None]:
    test = _TESTS[name]

    def compare(a: Any, c: Any) -> bool | None:
        if (a is None) != (c is None):
            return name == "!="
        order = compared(a, c, run)
        return None if order is None else test(order)

    return compare


def _starts(whole: Any, start: Any) -> bool | None:
    if not isinstance(whole, str) or not isinstance(start, str):
        return None
    return whole.startswith(start)


def _matching(pattern: str, flags: str) -> Callable[[Any, Any], bool | None]:
    newlines = {(False, False): "p", (True, False): "s", (False, True): "n", (True, True): "w"}
    newline = newlines["s" in flags, "m" in flags]
    options = ("i" if "i" in flags else "") + ("q" if "q" in flags else newline)
    regex = compiled_regex(pattern, options)
    return lambda text, _other: bool(regex.search(text)) if isinstance(text, str) else None


_ACCESSORS: Final[dict[str, Callable[[Run, Node], Iterator[Any]]]] = {
    "key": Run.key, ".*": Run.all_members, "[*]": Run.all_elements, "[]": Run.elements, ".**": Run.any_depth,
    "?": Run.filtered, "method": Run.method,
}  # fmt: skip

__all__ = ["Moment", "Run", "ordered_keys", "softens"]
