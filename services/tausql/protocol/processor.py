"""What a frontend needs of a processor: to attach a session, to cancel a statement, to know its load.

A session travels as PostgreSQL protocol bytes *after* authentication: over the processor's session port (a plain TCP
connection that starts with one framed `SessionStart` or `CancelSession`), or, where both share a process, by calling
`SessionHost.attach` and passing bytes from function to function.

Between the protocol's messages, a processor of another process tells the frontend what PostgreSQL clients need not know
(`pgwire.notes` frames it, and frontends take it out again): what to open the session with elsewhere if this processor
goes away (`Changed`), and which commit is about to be sent (`CommitNote`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from typing import Protocol

import msgspec

from tausql.protocol.adjudicator import Outcome
from tausql.rpc.interface import Channel, Stream

PROCESSOR_SHIFT = 22  # a cancel key's process id = processor index << 22 | session number: any frontend can route it
CARRIED_BYTES_MAX = 256 * 1024  # of a session's settings and prepared statements; one with more cannot be moved
GREETING_BYTES_MAX = 64 * 1024 + 2 * CARRIED_BYTES_MAX


class CarriedStatement(msgspec.Struct, array_like=True, gc=False):
    """A prepared statement, as another processor needs it."""

    name: str  # "" = the unnamed one
    text: str
    types: list[int]  # oids of its parameters; 0 = to be inferred
    described: bool = False  # the client has been told its columns
    columns: list[tuple[str, int, int]] = []  # those, if so: (name, type oid, type modifier)

    @property
    def size(self) -> int:
        """About how many bytes it is."""
        return 16 + len(self.name) + len(self.text) + 5 * len(self.types) + 24 * len(self.columns)


class Lost(IntEnum):
    """What a session was doing when it lost its processor."""

    nothing = 0  # no transaction was open
    untold = 1  # its transaction block is lost, and the client does not know yet: its next statement gets 40001
    told = 2  # its transaction block has failed, and the client knows: 25P02 until it ends the block


class Restore(msgspec.Struct, array_like=True, gc=False):
    """What a session had on the processor it was on before."""

    process_id: int
    secret: int  # the cancel key stays what the client was told
    age_seconds: float
    settings: dict[str, str]
    statements: list[CarriedStatement]
    lost: int = 0  # a `Lost`
    skipping: bool = False  # it is told of an error: nothing counts until its Sync
    question: Outcome | None = None  # find out what became of this commit first, and say so: `Resolved`
    if_committed: dict[str, str] = {}  # settings that count only if it has committed
    sequences: list[tuple[int, int]] = []  # what currval says, by oid


class SessionStart(msgspec.Struct, tag="session_start", array_like=True, gc=False):
    """The first frame on a session connection: 4 bytes of length (big-endian), then this, as MessagePack."""

    user: str
    database: str
    parameters: dict[str, str]  # the startup packet's, `user` and `database` left out
    client: str = ""  # address, for logs
    encrypted: bool = False
    restore: Restore | None = None  # it was on another processor until now
    witness: bytes = b""  # the `Witness` that has to know of its commits before they are sent; empty: none
    cluster: int = 1  # whose catalogue and keys; 0: the system's own, for control
    switches: tuple[str, ...] = ()  # of `extensions`, `lenient`, `testing`: on for this cluster
    mapped: str = ""  # ARN that must be mapped to `user` (AWS IAM GRANT) unless that is admin; empty: nobody asks


class CancelSession(msgspec.Struct, tag="cancel_session", array_like=True, gc=False):
    """Instead of `SessionStart`: stop the running statement of that session. Answered by one byte, `CANCEL_KNOWN` or
    `CANCEL_UNKNOWN`; the connection is then closed."""

    process_id: int
    secret: int


class Witness(msgspec.Struct, tag="witness", array_like=True, gc=False):
    """Instead of `SessionStart`: a connection that a processor only writes to. Answered by `WITNESS_READY`, then a
    `WITNESSED` for every commit of the sessions that name this witness.

    The kernel of a process that is killed ends a connection in good order only if nothing unread had come in on it, so
    a session's own, where its client's next request may wait, cannot prove that nothing is missing. This one can."""

    witness: bytes  # 16 random bytes


Greeting = SessionStart | CancelSession | Witness
WITNESS_READY = b"\x01"
WITNESSED = Struct(">IIQ")  # process id and secret of the session, number of its commit
CANCEL_KNOWN = b"\x01"
CANCEL_UNKNOWN = b"\x00"


class Changed(msgspec.Struct, tag="changed", array_like=True, gc=False):
    """Note: from here on the session would have to be opened with this too. Settings are those that outlive the
    transaction."""

    settings: dict[str, str] = {}
    cleared: bool = False  # all named statements are gone, but those that follow
    closed: list[str] = []  # names of statements that are gone
    statements: list[CarriedStatement] = []
    sequences: list[tuple[int, int]] = []  # (oid, what currval says from here on)


class Immovable(msgspec.Struct, tag="immovable", array_like=True, gc=False):
    """Note: this session cannot be opened elsewhere any more."""

    reason: str


class CommitNote(msgspec.Struct, tag="commit_note", array_like=True, gc=False):
    """Note: a commit is about to be sent; whatever follows this note says that it is decided. If nothing follows, the
    answer to `question` decides: committed, the client gets `withheld` and `after`; aborted, `withheld` and an error.

    The kernel has it before the commit leaves the process. So where a connection ended in good order, which proves that
    everything written has arrived, or where the session's witness did and knows of no more commits than there were
    notes, a commit without a note has not been sent."""

    number: int  # of the session's commits on this processor, from 1
    question: Outcome
    withheld: bytes  # answers that were not worth a write of their own yet
    after: bytes  # what the commit itself is answered with
    final: bool  # the request is over then: ReadyForQuery follows
    settings: dict[str, str]  # those of this transaction, which outlive it if it commits
    sequences: list[tuple[int, int]] = []  # as in `Changed`; they outlive it in any case


class MoveAway(msgspec.Struct, tag="move_away", array_like=True, gc=False):
    """Note: this processor is about to stop; open the session elsewhere as soon as it is idle."""


class Ended(msgspec.Struct, tag="ended", array_like=True, gc=False):
    """Note: the session is over, in good order; the client has been told why."""


class Resolved(msgspec.Struct, tag="resolved", array_like=True, gc=False):
    """Note, before a restored session's first ReadyForQuery: what became of the commit in question."""

    committed: bool
    error: bytes = b""  # if not: the ErrorResponse to tell the client
    sqlstate: str = ""


Note = Changed | Immovable | CommitNote | MoveAway | Ended | Resolved


class WatchLoad(msgspec.Struct, tag="watch_load", array_like=True, gc=False):
    """Stream request: `Load` now and whenever it changes (at most every 100 ms)."""


class Load(msgspec.Struct, tag="load", array_like=True, gc=False):
    sessions: int
    sessions_max: int
    draining: bool


class ClientOut(Protocol):
    """Where a session's bytes go."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        """After what was written has been sent."""
        ...

    def when_writable(self, function: Callable[[], None]) -> bool:
        """True if the send buffer is below its limit; else False, and `function` is called once it is again. A session
        that streams a large result must stop at False."""
        ...

    def pause_reading(self) -> None:
        """Feed the session nothing more for now: what it has not worked off yet is at its limit. At most what is
        already under way (one socket read) is still fed."""
        ...

    def resume_reading(self) -> None: ...


class SessionIn(Protocol):
    """Where a client's bytes go."""

    def feed(self, data: bytes) -> None: ...

    def lost(self) -> None:
        """The client is gone: roll back."""
        ...


class SessionHost(Protocol):
    """A processor, to a frontend in the same process."""

    def attach(self, start: SessionStart, out: ClientOut) -> SessionIn: ...

    def cancel(self, process_id: int, secret: int) -> bool:
        """False: there is no such session here."""
        ...


class ProcessorClient:
    """Typed calls to one processor."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def watch_load(self, on_load: Callable[[Load], None], on_end: Callable[[object], None]) -> Stream:
        return self.channel.stream(WatchLoad(), on_load, on_end)


MESSAGES = WatchLoad | Load
