"""What changefeeds need of control: which change streams there are; and what they tell it: how far each has come.

Control keeps both as rows of the system cluster. A stream is delivered by the changefeed that the fleet's map gives it
to (all agree by rendezvous hashing over the members' names); while two maps are about, by two: every change is
delivered at least once, not exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from tausql.protocol.crossbar import Cursor
from tausql.rpc.interface import Channel, Failure, Stream

SERVICE = "changefeed"


class ChangeStream(msgspec.Struct, frozen=True, array_like=True):
    """One change stream that is to be delivered: status CREATING, ACTIVE or IMPAIRED."""

    identifier: str  # 26 characters
    cluster: str  # the cluster's identifier
    number: int  # the cluster's
    target: str  # ARN of the stream at the target
    role: str  # ARN of the role that may write there
    watermark: int = 0  # delivered up to this tau; 0: not begun
    cursors: tuple[Cursor, ...] = ()  # where the journal is to be read from


class WatchChangeStreams(msgspec.Struct, tag="watch_change_streams", array_like=True, gc=False):
    """Stream request: all of them now, and what changes from then on; progress alone is no change."""

    name: str  # who asks


class ChangeStreams(msgspec.Struct, tag="change_streams", array_like=True):
    """full: forget all that was told before."""

    full: bool
    changed: tuple[ChangeStream, ...]
    removed: tuple[str, ...] = ()  # identifiers


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How one stream does. status: ACTIVE, IMPAIRED (tried again) or FAILED (for good); error: as the API names it."""

    identifier: str
    status: str
    watermark: int
    cursors: tuple[Cursor, ...]
    error: str = ""
    records: int = 0  # delivered since the last report


class ReportProgress(msgspec.Struct, tag="report_progress", array_like=True):
    """Request, every second or so where there is anything to say. A report with a watermark below the one that is
    known changes nothing but the status."""

    name: str
    rows: tuple[Progress, ...]


class ProgressReported(msgspec.Struct, tag="progress_reported", array_like=True, gc=False):
    """Answer: control has it in its tables."""


class ChangefeedClient:
    """Typed calls to control, about change streams."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def watch(
        self, name: str, on_change: Callable[[ChangeStreams], None], on_end: Callable[[Failure | None], None]
    ) -> Stream:
        return self.channel.stream(WatchChangeStreams(name), on_change, on_end)

    def report(
        self, report: ReportProgress, deadline_seconds: float, done: Callable[[ProgressReported | Failure], None]
    ) -> None:
        self.channel.call(report, deadline_seconds, done)


def deliverer(identifier: str, members: Sequence[str]) -> str:
    """Which of `members` delivers a stream; "" where there is none."""

    def weight(member: str) -> bytes:
        return blake2b(f"{member}\0{identifier}".encode(), digest_size=8).digest()

    return max(members, key=weight, default="")


MESSAGES = WatchChangeStreams | ChangeStreams | ReportProgress | ProgressReported
