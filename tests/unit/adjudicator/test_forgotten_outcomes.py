"""What was forgotten is not "certainly aborted", however far the log is read back afterwards."""

from __future__ import annotations

import msgspec

from tausql.adjudicator.outcomes import Recovered
from tausql.protocol.adjudicator import Transaction
from tausql.protocol.journal import Kind, Record


def record(seq: int) -> Record:
    transaction = Transaction(bytes([seq]) * 16, seq * 10 - 5, [], [], [], b"", b"", b"")
    return Record((1, 1), seq, seq * 10, Kind.transaction, msgspec.msgpack.encode(transaction))


def test_reading_on_after_forgetting_proves_nothing_about_what_was_forgotten():
    recovered = Recovered(6, 0)
    recovered.take([record(4), record(5), record(6)])
    assert recovered.covers(40)
    recovered.forget(50)
    assert recovered.taus == {bytes([6]) * 16: 60}
    assert not recovered.covers(45)
    recovered.take([record(1), record(2), record(3)])  # somebody asked for what lies further back
    assert not recovered.covers(45), "T5 has committed at 50, and nobody here knows it any more"
    assert recovered.covers(51)
