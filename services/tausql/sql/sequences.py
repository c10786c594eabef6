"""Values of sequences within a statement: asked for in the middle of an expression, taken from a row in storage.

Expressions are evaluated without waiting; a sequence's next value may be a round trip and a commit away. Looking for
the calls before a statement runs would have to know how often each will be made. So the call is made where it stands:
what the session has in store is answered at once, and for more the statement is left by `PendingCall`, the values are
fetched, and it starts over. It has written nothing by then, and the answers given before are given again in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.objects import Sequence
from tausql.sql.catalogue.system import SequenceRow

if TYPE_CHECKING:
    from tausql.sql.expressions.context import Context


class PendingCall(Exception):
    """A call whose answer has to be fetched before the statement can run: nextval, or setval (`value` given)."""

    def __init__(self, oid: int, value: int | None = None, called: bool = True, checked: bool = True) -> None:
        super().__init__(f"sequence {oid}")
        self.oid = oid
        self.value = value
        self.called = called
        self.checked = checked  # whether privileges matter


class Sequences(Protocol):
    """What a session knows of sequences."""

    def next(self, oid: int, checked: bool = True) -> int | None:
        """The next value in store, None where there is none. Raises 42809, and 42501 if `checked`."""
        ...

    def set_done(self, oid: int, value: int, called: bool) -> bool:
        """Whether just this setval has been done, so that its answer may be given."""
        ...

    def current(self, oid: int) -> int: ...

    def last(self) -> int: ...


def _session(context: Context) -> Sequences:
    if context.sequences is None:
        raise SqlError(Code.internal_error, "sequences are not at hand in this context")
    return context.sequences()


def answered(context: Context) -> int | None:
    """The answer of a call made before the statement was started over."""
    at = context.answered
    answers = context.answers
    if answers is None or at >= len(answers):
        return None
    context.answered = at + 1
    return answers[at]


def remember(context: Context, value: int) -> int:
    """The answer of a call, given again when the statement is started over."""
    if context.answers is None:
        context.answers = []
    context.answers.append(value)
    context.answered = len(context.answers)
    return value


def nextval(context: Context, oid: int, checked: bool = True) -> int:
    known = answered(context)
    if known is not None:
        return known
    value = _session(context).next(oid, checked)
    if value is None:
        raise PendingCall(oid, checked=checked)
    return remember(context, value)


def next_identity(context: Context, oid: int) -> int:
    return nextval(context, oid, False)


def setval(context: Context, oid: int, value: int, called: bool = True) -> int:
    known = answered(context)
    if known is not None:
        return known
    if not _session(context).set_done(oid, value, called):
        raise PendingCall(oid, value, called)
    return remember(context, value)


def currval(context: Context, oid: int) -> int:
    return _session(context).current(oid)


def lastval(context: Context) -> int:
    return _session(context).last()


class Taken:
    """Values taken from a sequence: `count` of them from `first` on, each `increment` after the one before.
    `settings`: its row's, when they were."""

    __slots__ = ("count", "first", "increment", "settings")

    def __init__(self, first: int, count: int, increment: int, settings: int) -> None:
        self.first = first
        self.count = count
        self.increment = increment
        self.settings = settings


def advanced(sequence: Sequence, row: SequenceRow, wanted: int) -> tuple[SequenceRow, Taken]:
    """The sequence's row after `wanted` values (at least one, fewer where it ends), and those values. Raises 2200H at
    its end."""
    step = sequence.increment
    first = row.last + step if row.called else row.last
    up = step > 0
    if (first > sequence.maximum) if up else (first < sequence.minimum):
        if not sequence.cycle:
            bound, value = ("maximum", sequence.maximum) if up else ("minimum", sequence.minimum)
            raise SqlError(
                Code.sequence_generator_limit_exceeded,
                f'nextval: reached {bound} value of sequence "{sequence.name}" ({value})',
            )
        first = sequence.minimum if up else sequence.maximum
    room = ((sequence.maximum - first) // step if up else (first - sequence.minimum) // -step) + 1
    count = min(wanted, room)
    return SequenceRow(first + (count - 1) * step, True, row.settings), Taken(first, count, step, row.settings)


def sequence_of(snapshot: Snapshot, oid: int) -> Sequence:
    """Raises 42809 for another relation, XX000 for none at all."""
    found = snapshot.objects.by_oid.get(oid)
    if isinstance(found, Sequence):
        return found
    table = snapshot.by_oid.get(oid)
    name: Any = table.name if table is not None else getattr(found, "name", None)
    if name is None:
        raise SqlError(Code.undefined_table, f"could not open relation with OID {oid}")
    kind = "tables" if table is not None else "views"
    raise SqlError(
        Code.wrong_object_type,
        f'cannot open relation "{name}"',
        detail=f"This operation is not supported for {kind}.",
    )


def check_value(sequence: Sequence, value: int) -> None:
    """Raises 22003 for a value setval may not set."""
    if not sequence.minimum <= value <= sequence.maximum:
        raise SqlError(
            Code.numeric_value_out_of_range,
            f'setval: value {value} is out of bounds for sequence "{sequence.name}" '
            f"({sequence.minimum}..{sequence.maximum})",
        )
