"""Which overload a call means: PostgreSQL's rules for functions and operators.

Exact match first; else the candidates reachable by implicit casts, narrowed by exact matches, preferred types and what
literals of unknown type could be; one must remain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.catalogue import named_functions, named_operators
from tausql.sql.functions.enums import enum_function, enum_operator
from tausql.sql.functions.function import Function
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import IMPLICIT, find_cast
from tausql.sql.types.ranges import MultirangeType, RangeType
from tausql.sql.types.registry import array_of, element_of
from tausql.sql.types.run_time import ANYMULTIRANGE, ANYRANGE, multirange_of
from tausql.sql.types.type import Type

_FUNCTION_HINT = "No function matches the given name and argument types. You might need to add explicit type casts."
_OPERATOR_HINT = "No operator matches the given name and argument types. You might need to add explicit type casts."
_POLYMORPHIC = frozenset(
    (b.ANY, b.ANYARRAY, b.ANYELEMENT, b.ANYNONARRAY, b.ANYCOMPATIBLE, b.ANYCOMPATIBLEARRAY, ANYRANGE, ANYMULTIRANGE)
)
_ARRAYS = frozenset((b.ANYARRAY, b.ANYCOMPATIBLEARRAY))


class Resolved(NamedTuple):
    """An overload, the types its arguments must be coerced to, and the type of its result."""

    function: Function
    arg_types: tuple[Type, ...]
    result_type: Type


class _Candidate(NamedTuple):
    function: Function
    declared: tuple[Type, ...]


def call_text(name: str, arg_types: Sequence[Type]) -> str:
    return f"{name}({', '.join(t.display() for t in arg_types)})"


def resolve_function(name: str, arg_types: Sequence[Type]) -> Resolved:
    """42883 `function foo(integer) does not exist`, 42725 when several fit."""
    own = enum_function(name, tuple(arg_types))
    if own is not None:
        return Resolved(own, own.arg_types, own.result)
    candidates = [_Candidate(f, types) for f in named_functions(name) for types in _expanded(f, len(arg_types))]
    chosen = _choose(candidates, tuple(arg_types))
    if isinstance(chosen, Resolved):
        return chosen
    what = call_text(name, arg_types)
    if chosen:
        raise SqlError(
            Code.ambiguous_function,
            f"function {what} is not unique",
            hint="Could not choose a best candidate function. You might need to add explicit type casts.",
        )
    raise SqlError(Code.undefined_function, f"function {what} does not exist", hint=_FUNCTION_HINT)


def choose_among(what: str, shapes: Sequence[tuple[Function, tuple[Type, ...]]], arg_types: Sequence[Type]) -> Resolved:
    """The one of these overloads, each with the types it wants of this call's arguments, that fits best. 42883 and
    42725 about `what`."""
    chosen = _choose([_Candidate(function, types) for function, types in shapes], tuple(arg_types))
    if isinstance(chosen, Resolved):
        return chosen
    if chosen:
        raise SqlError(
            Code.ambiguous_function,
            f"function {what} is not unique",
            hint="Could not choose a best candidate function. You might need to add explicit type casts.",
        )
    raise SqlError(Code.undefined_function, f"function {what} does not exist", hint=_FUNCTION_HINT)


def find_function(name: str, arg_types: Sequence[Type]) -> Resolved | None:
    """As resolve_function; None instead of an error."""
    own = enum_function(name, tuple(arg_types))
    if own is not None:
        return Resolved(own, own.arg_types, own.result)
    candidates = [_Candidate(f, types) for f in named_functions(name) for types in _expanded(f, len(arg_types))]
    chosen = _choose(candidates, tuple(arg_types))
    return chosen if isinstance(chosen, Resolved) else None


def resolve_operator(name: str, left: Type | None, right: Type) -> Resolved:
    """A binary operator, or a prefix one with left None; 42883 `operator does not exist: integer + text`, 42725."""
    arg_types = (right,) if left is None else (left, right)
    own = enum_operator(name, left, right) if left is not None else None
    if own is not None:
        return Resolved(own, own.arg_types, own.result)
    if name != "||":
        # Nearly always there is one for just these types: no need to look at all the others.
        exact = (right, right) if left is b.UNKNOWN else (left, left) if right is b.UNKNOWN else arg_types
        for function in named_operators(name):
            if function.arg_types == exact:
                return Resolved(function, function.arg_types, function.result)
    candidates = [_Candidate(f, f.arg_types) for f in named_operators(name) if len(f.arg_types) == len(arg_types)]
    chosen: Resolved | bool = False
    if left is not None and (left is b.UNKNOWN) != (right is b.UNKNOWN):
        # A literal beside a typed operand is first taken for the same type.
        same = right if left is b.UNKNOWN else left
        chosen = _exact(candidates, (same, same)) or False
        if name == "||" and same.is_array:
            # A literal beside an array is an array, not an element.
            chosen = _choose(candidates, (same, same))
    if not isinstance(chosen, Resolved):
        chosen = _choose(candidates, arg_types)
    if isinstance(chosen, Resolved):
        return chosen
    what = f"{name} {right.display()}" if left is None else f"{left.display()} {name} {right.display()}"
    if chosen:
        raise SqlError(
            Code.ambiguous_function,
            f"operator is not unique: {what}",
            hint="Could not choose a best candidate operator. You might need to add explicit type casts.",
        )
    raise SqlError(Code.undefined_function, f"operator does not exist: {what}", hint=_OPERATOR_HINT)


def _expanded(function: Function, count: int) -> list[tuple[Type, ...]]:
    """The declared argument types for `count` arguments; [] when the count cannot fit."""
    declared = function.arg_types
    if function.variadic:
        if count < len(declared):
            return []
        return [declared + (declared[-1],) * (count - len(declared))]
    return [declared] if len(declared) == count else []


def _exact(candidates: list[_Candidate], arg_types: tuple[Type, ...]) -> Resolved | None:
    for function, declared in candidates:
        if declared == arg_types:
            return Resolved(function, declared, function.result)
    return None


def _choose(candidates: list[_Candidate], arg_types: tuple[Type, ...]) -> Resolved | bool:
    """The one that fits; False when none does, True when several do."""
    exact = _exact(candidates, arg_types)
    if exact is not None:
        return exact
    usable = [c for c in candidates if _accepts(c, arg_types)]
    if len(usable) > 1 and b.UNKNOWN in arg_types:
        usable = [c for c in usable if not _is_vector_form(c, arg_types)] or usable
    if len(usable) > 1:
        usable = _narrow(usable, arg_types)
    if not usable:
        return False
    if len(usable) > 1:
        return True
    function, declared = usable[0]
    if not function.polymorphic:
        return Resolved(function, declared, function.result)
    _check_determined(declared, arg_types)
    return _concrete(function, declared, arg_types) or False


def _check_determined(declared: tuple[Type, ...], arg_types: tuple[Type, ...]) -> None:
    """42804 where only literals of unknown type stand for anyelement or anyarray."""
    deciding = [
        actual
        for wanted, actual in zip(declared, arg_types, strict=True)
        if wanted in (b.ANYELEMENT, b.ANYARRAY, b.ANYNONARRAY, ANYRANGE, ANYMULTIRANGE)
    ]
    if deciding and all(actual is b.UNKNOWN for actual in deciding):
        raise SqlError(Code.datatype_mismatch, "could not determine polymorphic type because input has type unknown")


def _is_vector_form(candidate: _Candidate, arg_types: tuple[Type, ...]) -> bool:
    """An overload for int2vector, which PostgreSQL has as one for arrays, where a literal stands."""
    vectors = (b.INT2VECTOR, b.OIDVECTOR)
    return any(d in vectors and a is b.UNKNOWN for d, a in zip(candidate.declared, arg_types, strict=True))


def _undecided(declared: tuple[Type, ...], arg_types: tuple[Type, ...]) -> bool:
    """Nothing but literals of unknown type stands where a polymorphic type is to be found out."""
    pairs = [(w, a) for w, a in zip(declared, arg_types, strict=True) if w in _POLYMORPHIC and w is not b.ANY]
    return bool(pairs) and all(a is b.UNKNOWN for _, a in pairs)


def _undecided_range(declared: tuple[Type, ...], arg_types: tuple[Type, ...]) -> bool:
    """A literal stands where only a range would say what the element is."""
    actual = [a for w, a in zip(declared, arg_types, strict=True) if w in (ANYRANGE, ANYMULTIRANGE)]
    return bool(actual) and all(a is b.UNKNOWN for a in actual)


def _accepts(candidate: _Candidate, arg_types: tuple[Type, ...]) -> bool:
    for declared, actual in zip(candidate.declared, arg_types, strict=True):
        if declared is actual or actual is b.UNKNOWN:
            continue
        if declared in _POLYMORPHIC:
            if declared in _ARRAYS and not actual.is_array:
                return False
            if declared is b.ANYNONARRAY and actual.is_array:
                return False
            if declared is ANYRANGE and not isinstance(actual, RangeType):
                return False
            if declared is ANYMULTIRANGE and not isinstance(actual, MultirangeType):
                return False
            continue
        if find_cast(actual, declared, IMPLICIT) is None:
            return False
    if candidate.function.polymorphic:
        if _undecided(candidate.declared, arg_types) or _undecided_range(candidate.declared, arg_types):
            return True
        return _concrete(candidate.function, candidate.declared, arg_types) is not None
    return True


def _narrow(candidates: list[_Candidate], arg_types: tuple[Type, ...]) -> list[_Candidate]:
    """func_select_candidate()."""
    positions = range(len(arg_types))
    known = [at for at in positions if arg_types[at] is not b.UNKNOWN]
    # varchar is text in all but name: operators are declared on text only
    inputs = [b.TEXT if t is b.VARCHAR else t for t in arg_types]
    candidates = _best(candidates, lambda c: sum(1 for at in known if c.declared[at] is inputs[at]))
    if len(candidates) > 1:

        def preferred(c: _Candidate) -> int:
            score = 0
            for at in known:
                declared = c.declared[at]
                if declared is inputs[at] or (declared.preferred and declared.category == inputs[at].category):
                    score += 1
            return score

        candidates = _best(candidates, preferred)
    if len(candidates) <= 1 or len(known) == len(arg_types):
        return candidates
    return _by_unknowns(candidates, arg_types, known)


def _by_unknowns(candidates: list[_Candidate], arg_types: tuple[Type, ...], known: list[int]) -> list[_Candidate]:
    unknown = [at for at in range(len(arg_types)) if at not in known]
    remaining = candidates
    resolved = True
    for at in unknown:
        categories = {c.declared[at].category for c in remaining}
        if "S" in categories:
            category = "S"
        elif len(categories) == 1:
            category = categories.pop()
        else:
            resolved = False
            break
        fitting = [c for c in remaining if c.declared[at].category == category]
        preferring = [c for c in fitting if c.declared[at].preferred]
        remaining = preferring or fitting
    if resolved and len(remaining) == 1:
        return remaining
    if resolved and remaining:
        candidates = remaining
    if known and len({arg_types[at] for at in known}) == 1:
        same = arg_types[known[0]]
        fitting = [c for c in candidates if _accepts(c, (same,) * len(arg_types))]
        if len(fitting) == 1:
            return fitting
    return candidates


def _best(candidates: list[_Candidate], score: Callable[[_Candidate], int]) -> list[_Candidate]:
    scores = [score(c) for c in candidates]
    top = max(scores)
    return [c for c, s in zip(candidates, scores, strict=True) if s == top]


def _concrete(function: Function, declared: tuple[Type, ...], arg_types: tuple[Type, ...]) -> Resolved | None:
    """Replaces polymorphic types by what the arguments make them; None when they disagree."""
    element: Type | None = None
    ranged: RangeType | None = None
    compatible: list[Type] = []
    for wanted, actual in zip(declared, arg_types, strict=True):
        if actual is b.UNKNOWN or wanted not in _POLYMORPHIC or wanted is b.ANY:
            continue
        if wanted in (ANYRANGE, ANYMULTIRANGE):
            own = actual.range if isinstance(actual, MultirangeType) else actual
            if not isinstance(own, RangeType) or (ranged is not None and ranged is not own):
                return None
            ranged = own
            continue
        actual_element = element_of(actual) if wanted in _ARRAYS else actual
        if actual_element is None:
            return None
        if wanted in (b.ANYCOMPATIBLE, b.ANYCOMPATIBLEARRAY):
            compatible.append(actual_element)
        elif element is None:
            element = actual_element
        elif element is not actual_element:
            return None
    if ranged is not None:
        if element is not None and element is not ranged.subtype:
            return None
        element = ranged.subtype
    common = compatible[0] if compatible else None
    for other in compatible[1:]:
        assert common is not None
        if other is common or find_cast(other, common, IMPLICIT) is not None:
            continue
        if find_cast(common, other, IMPLICIT) is None:
            return None
        common = other
    return _substituted(function, declared, arg_types, element, common, ranged)


def _substituted(
    function: Function,
    declared: tuple[Type, ...],
    arg_types: tuple[Type, ...],
    element: Type | None,
    common: Type | None,
    ranged: RangeType | None,
) -> Resolved | None:
    def concrete(wanted: Type, actual: Type | None) -> Type | None:
        if wanted is b.ANY:
            return actual if actual is not b.UNKNOWN else b.TEXT
        if wanted in (b.ANYELEMENT, b.ANYNONARRAY):
            return element or b.TEXT
        if wanted is b.ANYARRAY:
            return array_of(element or b.TEXT)
        if wanted is b.ANYCOMPATIBLE:
            return common or b.TEXT
        if wanted is ANYRANGE:
            return ranged
        if wanted is ANYMULTIRANGE:
            return None if ranged is None else multirange_of(ranged)
        if wanted is b.ANYCOMPATIBLEARRAY:
            return array_of(common or b.TEXT)
        return wanted

    types = [concrete(wanted, actual) for wanted, actual in zip(declared, arg_types, strict=True)]
    result = concrete(function.result, None)
    if result is None or any(t is None for t in types):
        return None
    return Resolved(function, tuple(t for t in types if t is not None), result)
