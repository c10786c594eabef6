"""What everyone needs of a timekeeper: an interval that held true time while the question was under way."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tausql.rpc.interface import Channel, Failure

SERVICE = "timekeeper"


class GetTime(msgspec.Struct, tag="get_time", array_like=True, gc=False):
    """A call, answered by `Time`; refused while the timekeeper's own clock is unsure."""

    sent: int  # the asker's own clock, in whatever unit; comes back unread


class Time(msgspec.Struct, tag="time", array_like=True, gc=False):
    """True time lay within when this was written. Microseconds since the Unix epoch."""

    sent: int
    earliest: int
    latest: int


class TimekeeperClient:
    """Typed calls to one timekeeper."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def get_time(self, sent: int, deadline_seconds: float, done: Callable[[Time | Failure], None]) -> None:
        self.channel.call(GetTime(sent), deadline_seconds, done)


MESSAGES = GetTime | Time
