"""What a session tells its frontend, so that it can go on elsewhere when this processor goes away.

Asking a processor for a session's state when it is needed is too late: it may be dead. So every change is told as it is
made, in the stream of the session's answers, right before the answer that the client knows of it by. A session that
changes nothing says nothing.

A commit is announced before it is sent: see `CommitNote` for what that proves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from tausql.pgwire.notes import frame
from tausql.processor.coroutines import Wait
from tausql.processor.output import ClientGone, Output
from tausql.processor.parameters import SessionParameters
from tausql.processor.portals import PreparedStatement
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.processor import (
    CARRIED_BYTES_MAX,
    CarriedStatement,
    Changed,
    CommitNote,
    Ended,
    Immovable,
    MoveAway,
    Note,
)

_encode: Callable[[Note], bytes] = msgspec.msgpack.Encoder().encode


def note_bytes(note: Note) -> bytes:
    """The note as it goes into the stream."""
    return frame(_encode(note))


ENDED = note_bytes(Ended())
_MOVE_AWAY = note_bytes(MoveAway())
_SEQUENCE_BYTES = 16  # what one takes in a frontend, about


class NoteOut(Protocol):
    """The connection to the frontend, where more is asked of it than `ClientOut` offers."""

    def push(self, data: bytes, commit: int = 0) -> bool:
        """Write, and True if the kernel has taken all there was to write. `commit`: the number of the commit that
        `data` announces, which the session's witness has to know of, too."""
        ...

    def know(self, process_id: int, secret: int) -> None:
        """The session's cancel key: what its witness knows it by."""
        ...

    def when_pushed(self, function: Callable[[bool], None]) -> None:
        """Call `function` once the kernel has taken everything: with True, or with False if it never will."""
        ...


class Carried:
    """One session's notes. `started`: its settings as the startup packet left them, or as they were restored."""

    __slots__ = (
        "_after",
        "_commits",
        "_final",
        "_out",
        "_output",
        "_parameters",
        "_prepared",
        "_sequences",
        "_size",
        "_sizes",
        "_told",
        "_unnamed",
        "_used",
        "movable",
    )

    def __init__(
        self,
        out: NoteOut,
        output: Output,
        parameters: SessionParameters,
        prepared: Mapping[str, PreparedStatement],
    ) -> None:
        self._out = out
        self._output = output
        self._parameters = parameters
        self._prepared = prepared
        self._told: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._size = 0
        self._sequences: set[int] = set()  # the frontend keeps what currval says of
        self._used: dict[int, int] = {}  # those it has to be told of
        self._unnamed: PreparedStatement | None = None  # as the frontend knows it
        self._after = b""
        self._final = False
        self._commits = 0
        self.movable = True

    def begin(self, statements: list[CarriedStatement]) -> None:
        """The session has started; the frontend knows of its settings and of `statements`."""
        self._told = self._parameters.durable()
        self._parameters.durable_changed = False
        for statement in statements:
            self._grow(statement)
        self._unnamed = self._prepared.get("")

    # --- state ---------------------------------------------------------------------------------------------------

    def statement_kept(self, prepared: PreparedStatement) -> None:
        """A named statement is there, or its columns have been told."""
        if not self.movable:
            return
        statement = carried(prepared)
        self._grow(statement)
        self._say(Changed(statements=[statement]))

    def statement_dropped(self, name: str) -> None:
        if self.movable:
            self._size -= self._sizes.pop(name, 0)
            self._output.add(note_bytes(Changed(closed=[name])))

    def statements_dropped(self) -> None:
        """All named ones."""
        if self.movable:
            self._size -= sum(size for name, size in self._sizes.items() if name)
            self._sizes = {name: size for name, size in self._sizes.items() if not name}
            self._output.add(note_bytes(Changed(cleared=True)))

    def before_ready(self) -> None:
        """Say what has changed, if anything has; ReadyForQuery comes next.

        An unnamed statement is nearly always used by the very messages that follow it, and telling of each would double
        what such clients cost. Only one that waits for a Bind to come is worth telling of."""
        unnamed = self._prepared.get("")
        if unnamed is not None and unnamed.bound and unnamed is not self._unnamed:
            unnamed = None
        if unnamed is self._unnamed and not self._parameters.durable_changed and not self._used:
            return
        if not self.movable:
            return
        changed = Changed(settings=self._settings(self._parameters.durable()), sequences=self._sequences_used())
        self._parameters.durable_changed = False
        if changed.settings:
            self._told = {**self._told, **changed.settings}
        if unnamed is not self._unnamed:
            self._unnamed = unnamed
            if unnamed is None:
                self._size -= self._sizes.pop("", 0)
                changed.closed = [""]
            else:
                statement = carried(unnamed)
                self._grow(statement)
                changed.statements = [statement]
        if changed.settings or changed.closed or changed.statements or changed.sequences:
            self._say(changed)

    def sequence_used(self, oid: int, value: int) -> None:
        """currval of a sequence says something else now."""
        if not self.movable:
            return
        self._used[oid] = value
        if oid not in self._sequences:
            self._sequences.add(oid)
            self._size += _SEQUENCE_BYTES

    def _sequences_used(self) -> list[tuple[int, int]]:
        used, self._used = list(self._used.items()), {}
        return used

    def _settings(self, settings: dict[str, str]) -> dict[str, str]:
        told = self._told
        return {name: value for name, value in settings.items() if told.get(name) != value}

    def _grow(self, statement: CarriedStatement) -> None:
        size = statement.size
        self._size += size - self._sizes.get(statement.name, 0)
        self._sizes[statement.name] = size

    def _say(self, changed: Changed) -> None:
        if self._size <= CARRIED_BYTES_MAX:
            self._output.add(note_bytes(changed))
        else:
            self.stay(f"its prepared statements take more than {CARRIED_BYTES_MAX} bytes")

    def stay(self, reason: str) -> None:
        """From here on the session has what it cannot take along: it ends with its processor."""
        if self.movable:
            self.movable = False
            self._sizes.clear()
            self._sequences.clear()
            self._used.clear()
            self._output.add(note_bytes(Immovable(reason)))

    # --- commits -------------------------------------------------------------------------------------------------

    def expect(self, after: bytes, final: bool) -> None:
        """What the commit that begins now will be answered with; `final`: then ReadyForQuery."""
        self._after = after
        self._final = final

    def announce(self, question: Outcome) -> Wait[None] | None:
        """The commit is about to be sent. None: send it. Else wait first: the kernel has not taken the note yet. The
        wait fails with `ClientGone` if it never will: then the commit must not be sent."""
        output = self._output
        if output.due:
            output.flush()  # what the client waits for must not wait for the commit, nor be said twice
        settings = self._settings(self._parameters.lasting())
        self._commits += 1
        used = self._sequences_used()
        note = CommitNote(self._commits, question, output.waiting(), self._after, self._final, settings, used)
        if self._out.push(note_bytes(note), self._commits):
            return None
        wait: Wait[None] = Wait()

        def pushed(taken: bool) -> None:
            if taken:
                wait.resolve(None)
            else:
                wait.fail(ClientGone())

        self._out.when_pushed(pushed)
        return wait

    # --- ends ----------------------------------------------------------------------------------------------------

    def move_away(self) -> None:
        """Ask the frontend to open the session elsewhere as soon as it is idle."""
        self._out.push(_MOVE_AWAY)


def carried(prepared: PreparedStatement) -> CarriedStatement:
    """What another processor needs of a prepared statement."""
    plan = prepared.plan
    columns = plan.columns if plan is not None and prepared.described else None
    return CarriedStatement(
        prepared.name,
        prepared.statement.text if prepared.statement is not None else "",
        [0 if type_ is None else type_.oid for type_ in prepared.declared],
        prepared.described and plan is not None,
        [(column.name, column.type.oid, column.typmod) for column in columns or ()],
    )
