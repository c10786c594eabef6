"""What a session's processor has told its frontend by notes, besides what it told the client.

A note of a change comes before the answer that the client knows the change by, and a connection may end between the
two. So it counts from the moment something behind it has been passed on: what the client has not seen has not happened.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tausql.frontend.carried import CarriedState
from tausql.pgwire.notes import split
from tausql.protocol.processor import Changed, CommitNote, Ended, Immovable, MoveAway, Note

AFTER_BYTES_MAX = 128 * 1024  # longer than any note's answer: what is longer is another one

decode_note: Callable[[bytes], Note] = msgspec.msgpack.Decoder(Note).decode


class Told:
    """One session's, on its present processor."""

    __slots__ = ("_pending", "after", "carried", "commits", "farewell", "move_wanted", "note")

    def __init__(self, carried: CarriedState) -> None:
        self.carried = carried
        self._pending: list[Changed] = []
        self.note: CommitNote | None = None  # of a commit whose answer has not come whole
        self.after = b""  # what has come for the client since
        self.commits = 0  # announced
        self.farewell = False  # the session has ended in good order
        self.move_wanted = False

    @property
    def waiting(self) -> bool:
        """`passed` is to be called."""
        return bool(self._pending) or self.note is not None or self.move_wanted

    def take(self, body: bytes) -> bool:
        """A note has come; True if it makes the session immovable. Raises msgspec.DecodeError."""
        note = decode_note(body)
        match note:
            case Changed():
                self._pending.append(note)
            case CommitNote():
                self.note = note
                self.after = b""
                self.commits = note.number
                self.carried.sequences.update(note.sequences)
            case MoveAway():
                self.move_wanted = True
            case Ended():
                self.farewell = True
            case Immovable(reason):
                self.carried.give_up(reason)
                return True
        return False

    def passed(self, data: bytes, answered: bool) -> None:
        """`data` has been passed on to the client; `answered`: to the end of an answer."""
        self._apply()
        if self.note is None:
            return
        if answered:
            self.note = None
            self.after = b""
        elif len(self.after) <= AFTER_BYTES_MAX:
            self.after += data

    def withheld(self) -> bytes:
        """What the client would have got by now, had it been worth a write; the notes among it are taken in."""
        if self.note is None:
            return b""
        self._apply()
        withheld, bodies = split(self.note.withheld)
        for body in bodies:
            changed = decode_note(body)
            if isinstance(changed, Changed):
                self.carried.apply(changed)
        return withheld

    def _apply(self) -> None:
        if self._pending:
            for changed in self._pending:
                self.carried.apply(changed)
            self._pending.clear()
