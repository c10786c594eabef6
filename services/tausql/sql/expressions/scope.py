"""What the binder asks of its surroundings: columns, sub-queries, parameter types, what is allowed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.nodes import Expr
from tausql.sql.types import builtin as b
from tausql.sql.types.type import Type

PARAMS_MAX: Final = 65535


class ParamTypes:
    """The types of $1, $2, ...: declared by Parse, or decided by their first use."""

    __slots__ = ("_types", "labels", "reads_schema")

    def __init__(self, declared: Sequence[Type | None] = ()) -> None:
        self.reads_schema = False  # some function of the statement looks into the catalogue when it runs
        self.labels: Callable[[int, str], float | None] | None = None  # an enum type's oid and a label: its value
        self._types: list[Type | None] = [None if t is b.UNKNOWN else t for t in declared]

    def type_of(self, number: int) -> Type:
        """UNKNOWN while undecided; using a number makes it exist."""
        if not 1 <= number <= PARAMS_MAX:
            raise SqlError(Code.undefined_parameter, f"there is no parameter ${number}")
        while len(self._types) < number:
            self._types.append(None)
        return self._types[number - 1] or b.UNKNOWN

    def resolve(self, number: int, type: Type) -> None:
        """The first use decides; a later use by another type is 42P08's case, told as 42804."""
        current = self.type_of(number)
        if current is b.UNKNOWN:
            self._types[number - 1] = type
        elif current is not type:
            raise SqlError(
                Code.datatype_mismatch,
                f"inconsistent types deduced for parameter ${number}",
                detail=f"{type.display()} versus {current.display()}",
            )

    def finish(self) -> tuple[Type, ...]:
        """All types; 42P18 when one was never determined."""
        for number, type in enumerate(self._types, 1):
            if type is None:
                raise SqlError(Code.indeterminate_datatype, f"could not determine data type of parameter ${number}")
        return tuple(type for type in self._types if type is not None)

    def __len__(self) -> int:
        return len(self._types)


@dataclass(slots=True)
class BoundSubquery:
    """index: its place in Context.subplans; columns: (type, typmod) of its output; plan: the statement side's own."""

    index: int
    columns: tuple[tuple[Type, int], ...]
    plan: Any = None


class DomainTarget(NamedTuple):
    """What a cast to a domain is: one to `type` with `typmod`, and then `checked`."""

    type: Type
    typmod: int
    checked: Callable[[Expr], Expr]


class Scope(Protocol):
    """Implemented by the statement side; parts of names are already case-folded."""

    params: ParamTypes

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        """('a',), ('t', 'a'), ('s', 't', 'a'); raises 42703, 42P01, 42702."""
        ...

    def bind_subquery(self, query: exp.Expr, kind: str) -> BoundSubquery:
        """kind: 'scalar' | 'exists' | 'any' | 'all' | 'array'."""
        ...

    def row_type(self, parts: tuple[str, ...]) -> Type | None:
        """The row type of the table of that name, None where there is no such table."""
        ...

    def user_call(self, schema: str | None, name: str, arguments: Sequence[exp.Expr]) -> Expr | None:
        """A call of a user's function, None where there is none of that name."""
        ...

    def domain(self, parts: tuple[str, ...]) -> DomainTarget | None:
        """The domain of that name, None where there is none."""
        ...

    def check_aggregate(self, name: str) -> None:
        """Raises 42803 where aggregates are not allowed."""
        ...

    def check_set_returning(self, name: str) -> None:
        """Raises 0A000 where set-returning functions are not allowed."""
        ...


class EmptyScope:
    """No tables: DEFAULT expressions, VALUES, SELECT without FROM in tests. Everything that needs a row is refused."""

    __slots__ = ("params",)

    def __init__(self, params: ParamTypes | None = None) -> None:
        self.params = ParamTypes() if params is None else params

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        if len(parts) > 1:
            raise SqlError(Code.undefined_table, f'missing FROM-clause entry for table "{parts[-2]}"')
        raise SqlError(Code.undefined_column, f'column "{parts[-1]}" does not exist')

    def bind_subquery(self, query: exp.Expr, kind: str) -> BoundSubquery:
        raise SqlError(Code.feature_not_supported, "cannot use subquery in this expression")

    def user_call(self, schema: str | None, name: str, arguments: Sequence[exp.Expr]) -> Expr | None:
        return None

    def domain(self, parts: tuple[str, ...]) -> DomainTarget | None:
        return None

    def row_type(self, parts: tuple[str, ...]) -> Type | None:
        return None

    def check_aggregate(self, name: str) -> None:
        raise SqlError(Code.grouping_error, "aggregate functions are not allowed in this expression")

    def check_set_returning(self, name: str) -> None:
        raise SqlError(Code.feature_not_supported, "set-returning functions are not allowed in this expression")
