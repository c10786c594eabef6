"""The Condition element of a policy: {operator: {key: values}}. All of its keys have to be true.

A key the request does not have is false for operators that ask for something, and true for those that exclude it
(`StringNotEquals`): whoever excludes nothing that is there has nothing against it. `...IfExists` makes the first true,
too. Of several values in the policy one is enough, or, for excluding operators, none may be met.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from tausql.access.arns import arn_matches
from tausql.access.patterns import Context, matches, plain, resolved, wild

Test = Callable[[str, str], bool]  # (value in the policy, value of the request)

VALUES_MAX = 1000


class ConditionRefused(Exception):
    """The element cannot be understood; the message says why."""


class Condition(msgspec.Struct, frozen=True):
    operator: str  # as it was written
    test: str  # without quantifier, Not and IfExists
    quantifier: str  # ForAnyValue, ForAllValues or none
    negated: bool
    if_exists: bool
    key: str  # lower case
    values: tuple[str, ...]

    def holds(self, context: Context) -> bool:
        given = context.get(self.key, ())
        if self.test == "Null":
            return all((value.lower() == "true") == (not given) for value in self.values)
        if not given:
            if self.quantifier == "ForAllValues":
                return True
            if self.quantifier == "ForAnyValue":
                return self.if_exists
            return self.negated or self.if_exists
        wanted = [text for text in (resolved(value, context) for value in self.values) if text is not None]
        test = _TESTS[self.test]
        met = (any(test(text, value) for text in wanted) != self.negated for value in given)
        return all(met) if self.quantifier == "ForAllValues" or (self.negated and not self.quantifier) else any(met)


def conditions_of(element: Any) -> tuple[Condition, ...]:
    """Raises ConditionRefused."""
    if not isinstance(element, dict):
        raise ConditionRefused("Syntax errors in policy: Condition must be an object.")
    conditions: list[Condition] = []
    for operator, keys in element.items():
        quantifier, test, negated, if_exists = _operator(operator)
        if not isinstance(keys, dict) or not keys:
            raise ConditionRefused(f"Syntax errors in policy: {operator} must be an object of condition keys.")
        for key, values in keys.items():
            if ":" not in key:
                raise ConditionRefused("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            texts = tuple(wild(_text(value, operator)) for value in (values if isinstance(values, list) else [values]))
            if not texts or len(texts) > VALUES_MAX:
                raise ConditionRefused(f"Syntax errors in policy: {operator} of {key} has no values or too many.")
            for text in texts:
                _check_value(test, operator, plain(text))
            conditions.append(Condition(operator, test, quantifier, negated, if_exists, key.lower(), texts))
    return tuple(conditions)


def _operator(name: str) -> tuple[str, str, bool, bool]:
    quantifier, _, rest = name.rpartition(":")
    if_exists = rest.endswith("IfExists")
    rest = rest.removesuffix("IfExists")
    test = _NEGATIONS.get(rest, rest)
    if (test not in _TESTS and test != "Null") or quantifier not in ("", "ForAnyValue", "ForAllValues"):
        raise ConditionRefused(f"Invalid Condition type : {name[:64]}")
    if test == "Null" and (if_exists or quantifier):
        raise ConditionRefused(f"Invalid Condition type : {name[:64]}")
    return quantifier, test, rest in _NEGATIONS, if_exists


def _text(value: Any, operator: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConditionRefused(f"Syntax errors in policy: a value of {operator} must be a string.")


def _check_value(test: str, operator: str, value: str) -> None:
    if "${" in value:
        return
    good = True
    if test.startswith("Numeric"):
        good = _number(value) is not None
    elif test.startswith("Date"):
        good = _moment(value) is not None
    elif test == "IpAddress":
        good = _network(value) is not None
    elif test in ("Bool", "Null"):
        good = value.lower() in ("true", "false")
    if not good:
        raise ConditionRefused(f"Syntax errors in policy: {value[:64]} is no value for {operator}.")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> float | None:
    """ISO 8601, UTC unless it says otherwise, or seconds since 1970."""
    number = _number(text) if text[:1] in "-0123456789" and "-" not in text[1:] else None
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _ip(wanted: str, given: str) -> bool:
    network = _network(wanted)
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return network is not None and address.version == network.version and address in network


def _compared(read: Callable[[str], float | None], compare: Callable[[float, float], bool]) -> Test:
    def test(wanted: str, given: str) -> bool:
        left, right = read(given), read(plain(wanted))
        return left is not None and right is not None and compare(left, right)

    return test


def _comparisons(kind: str, read: Callable[[str], float | None]) -> dict[str, Test]:
    return {
        f"{kind}Equals": _compared(read, lambda a, b: a == b),
        f"{kind}LessThan": _compared(read, lambda a, b: a < b),
        f"{kind}LessThanEquals": _compared(read, lambda a, b: a <= b),
        f"{kind}GreaterThan": _compared(read, lambda a, b: a > b),
        f"{kind}GreaterThanEquals": _compared(read, lambda a, b: a >= b),
    }


_TESTS: dict[str, Test] = {
    "StringEquals": lambda wanted, given: plain(wanted) == given,
    "StringEqualsIgnoreCase": lambda wanted, given: plain(wanted).casefold() == given.casefold(),
    "StringLike": matches,
    "ArnLike": arn_matches,
    "ArnEquals": arn_matches,  # the same, says AWS
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
    "BinaryEquals": lambda wanted, given: plain(wanted) == given,
    "IpAddress": lambda wanted, given: _ip(wanted, given),
    **_comparisons("Numeric", _number),
    **_comparisons("Date", _moment),
}
_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotLike": "ArnLike",
    "ArnNotEquals": "ArnEquals",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
