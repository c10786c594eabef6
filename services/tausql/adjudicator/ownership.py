"""What a stream owns, as a value: how it begins, and what it is after a range was given, taken, or let go of.

Every record that changes it says all of it, so there is nothing to replay and nothing to forget: each function here
takes one whole `Ownership` and returns the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from tausql.protocol.fleet import Placed
from tausql.protocol.journal import Ended, EpochStart, Given, Kind, Owned, Ownership, Record, Registered, Taken
from tausql.runtime.check import I6, check

STREAM_OF_REGISTRY = 0


def genesis(stream: int) -> Ownership:
    """What the first epoch of a stream starts with: stream 0 owns every key, and is the only stream there is."""
    if stream == STREAM_OF_REGISTRY:
        return Ownership(owned=(Owned(b"", b""),), streams=(Registered(STREAM_OF_REGISTRY, 0),))
    return Ownership()


def ownership_of(record: Record) -> Ownership:
    """What a record of kind `epoch_start` or `ownership` says."""
    if record.kind == Kind.epoch_start:
        return msgspec.msgpack.decode(record.payload, type=EpochStart).ownership
    return msgspec.msgpack.decode(record.payload, type=Ownership)


def begun(before: Ownership, floor: int) -> Ownership:
    """The same where everybody at or below `floor` is refused anyway, as in an epoch that starts there."""
    owned = [one if one.floor > floor else Owned(one.low, one.high) for one in before.owned]
    return Ownership(_joined(owned), before.given, before.taken, before.streams, before.ended)


def repeated(before: Ownership) -> Ownership:
    """The same again: what went with the record before is not said twice."""
    return Ownership(before.owned, before.given, before.taken, before.streams)


def without(before: Ownership, low: bytes, high: bytes, to: int, floor: int) -> Ownership:
    """[low, high), which lies within one owned range, is given to stream `to`: nothing above `floor` happened here."""
    owned: list[Owned] = []
    found = False
    for one in before.owned:
        if not _within(low, high, one.low, one.high):
            owned.append(one)
            continue
        found = True
        if one.low < low:
            owned.append(Owned(one.low, low, one.floor))
        if high and (not one.high or high < one.high):
            owned.append(Owned(high, one.high, one.floor))
    check(I6, found, "a range that is not owned is given", low=low, high=high, to=to)
    return Ownership(tuple(owned), (*before.given, Given(low, high, floor, to)), before.taken, before.streams)


def overlaps(ownership: Ownership, low: bytes, high: bytes) -> bool:
    """Does it own any of [low, high)?"""
    return any(not ((one.high and one.high <= low) or (high and high <= one.low)) for one in ownership.owned)


def with_taken(before: Ownership, giver: int, low: bytes, high: bytes, floor: int) -> Ownership:
    """[low, high), given by stream `giver`, is owned; it judged up to `floor`."""
    check(I6, not overlaps(before, low, high), "a range is given to its owner", low=low, high=high, giver=giver)
    taken = (*(one for one in before.taken if one.giver != giver), Taken(giver, floor))
    return Ownership(_joined([*before.owned, Owned(low, high, floor)]), before.given, taken, before.streams)


def has_taken(ownership: Ownership, giver: int, floor: int) -> bool:
    """Was the offer of `giver` with this floor taken, now or long ago?"""
    return any(one.giver == giver and one.floor >= floor for one in ownership.taken)


def without_given(before: Ownership, given: Given) -> Ownership:
    """The taker has it in its own log: nothing of it is left to do."""
    return Ownership(before.owned, tuple(one for one in before.given if one != given), before.taken, before.streams)


def taken_back(before: Ownership, given: Given) -> Ownership:
    """The taker has come to its end without it."""
    rest = without_given(before, given)
    owned = [*rest.owned, Owned(given.low, given.high, given.floor)]
    return Ownership(_joined(owned), rest.given, rest.taken, rest.streams)


def with_stream(before: Ownership, stream: int, start: int) -> Ownership:
    """One more is registered."""
    streams = (*before.streams, Registered(stream, start))
    ordered = tuple(sorted(streams, key=lambda one: one.stream))
    return Ownership(before.owned, before.given, before.taken, ordered)


def without_streams(before: Ownership, ended: Iterable[Ended]) -> Ownership:
    """These are registered no more."""
    gone = tuple(ended)
    numbers = {one.stream for one in gone}
    left = tuple(one for one in before.streams if one.stream not in numbers)
    return Ownership(before.owned, before.given, before.taken, left, gone)


def leaving(stream: int, registered: Collection[int], wanted: int) -> bool:
    """Is `stream` one too many? The lowest stay, and that of the registry in any case."""
    return stream != STREAM_OF_REGISTRY and stream in registered and sorted(registered).index(stream) >= wanted


def misplaced(
    ownership: Ownership, stream: int, placement: Iterable[Placed], registered: Collection[int], wanted: int
) -> Placed | None:
    """The next range that `stream` owns and another one should, or None. `wanted`: so many streams are to be left; a
    stream that is one too many gives everything away, to that of the registry where nobody else is to have it."""
    goes = leaving(stream, registered, wanted)
    staying = [one for one in registered if not leaving(one, registered, wanted)]
    for one in ownership.owned:
        for placed in placement:
            low = max(one.low, placed.low)
            high = min(filter(None, (one.high, placed.high)), default=b"")
            if placed.stream != stream and placed.stream in staying and (not high or low < high):
                return Placed(low, high, placed.stream)
        if goes:
            return Placed(one.low, one.high, STREAM_OF_REGISTRY)
    return None


def _within(low: bytes, high: bytes, outer_low: bytes, outer_high: bytes) -> bool:
    return outer_low <= low and (not outer_high or (bool(high) and high <= outer_high))


def _joined(owned: Iterable[Owned]) -> tuple[Owned, ...]:
    """In order; neighbours with the same floor are one range."""
    joined: list[Owned] = []
    for one in sorted(owned, key=lambda one: one.low):
        if joined and joined[-1].high == one.low and joined[-1].high and joined[-1].floor == one.floor:
            joined[-1] = Owned(joined[-1].low, one.high, one.floor)
        else:
            joined.append(one)
    return tuple(joined)
