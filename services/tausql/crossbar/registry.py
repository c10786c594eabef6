"""Which streams there are, as the streams themselves say: they begin in stream 0, and end in their own last record.

A configured number of streams would be wrong for a while whenever it changes, at another moment for every reader. So
streams begin and end at records: stream k is there from the record of stream 0 on that registers it (all of k's taus
lie above that record), up to k's last record, which says that it is the last. Whoever reads from one position on finds
the same streams there as everybody else. The record of stream 0 that drops k, above all of k's, changes nothing about
that; but it tells readers how far k's log is committed when nobody who held it is left to say so.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.journal import Ended, EpochEnd, Kind, Ownership, Record, Registered

STREAM_OF_REGISTRY = 0


def begun_by(stream: int, record: Record) -> tuple[Registered, ...]:
    """The streams that begin with `record`, which is of `stream`: a start is the tau of the record that registers. An
    epoch begins none, it says again which there are."""
    if stream != STREAM_OF_REGISTRY or record.kind != Kind.ownership:
        return ()
    streams = msgspec.msgpack.decode(record.payload, type=Ownership).streams
    return tuple(one for one in streams if one.start == record.tau)


def ended_by(stream: int, record: Record) -> tuple[Ended, ...]:
    """Streams that are known to have ended by `record`, which is of `stream`."""
    if stream != STREAM_OF_REGISTRY or record.kind != Kind.ownership:
        return ()
    return msgspec.msgpack.decode(record.payload, type=Ownership).ended


def ends_with(record: Record) -> bool:
    """Is `record` the last of its stream for ever?"""
    return record.kind == Kind.epoch_end and msgspec.msgpack.decode(record.payload, type=EpochEnd).sealed
