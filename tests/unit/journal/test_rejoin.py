"""A learner on a full disk waits: what it would copy again and again would eat the room that is kept for promises."""

from __future__ import annotations

from tausql.journal.entries import BaseEntry, ClearEntry, LogEntry, LogState
from tausql.journal.rejoin import Rejoin
from tausql.protocol.journal import Introduced, LogPart, ReadLog, Record, Status, StreamState

EPOCH = (3, 1)


class Target:
    """What a learner has: a log and the room there is for more of it."""

    def __init__(self) -> None:
        self.written: list[object] = []
        self.asked: list[tuple[str, ReadLog, int]] = []
        self.room = True

    def persist(self, entry: object) -> None:
        self.written.append(entry)

    def log_state(self, stream: int) -> LogState:
        return LogState(stream)

    def ask(self, replica: str, request: ReadLog, round_number: int) -> None:
        self.asked.append((replica, request, round_number))

    def has_room(self, size: int) -> bool:
        return self.room


def introduced(name: str) -> Introduced:
    state = StreamState(0, EPOCH, 1 << 40, EPOCH, 9, (0, 0), 0)
    return Introduced("f", name, 1, True, (("a", 1), ("b", 1)), (1, 1, 1), (state,))


def test_a_learner_without_room_copies_nothing() -> None:
    target = Target()
    rejoin = Rejoin(2, target, lambda genesis, known: None)
    target.room = False
    for _ in range(3):
        rejoin.heard(introduced("a"))
        rejoin.heard(introduced("b"))
    assert (target.written, target.asked, rejoin.copying) == ([], [], False)
    target.room = True
    rejoin.heard(introduced("a"))
    rejoin.heard(introduced("b"))
    assert isinstance(target.written[0], ClearEntry)
    assert len(target.asked) == 1


def test_a_learner_that_runs_out_of_room_stops_in_the_middle() -> None:
    target = Target()
    rejoin = Rejoin(2, target, lambda genesis, known: None)
    rejoin.heard(introduced("a"))
    rejoin.heard(introduced("b"))
    target.room = False
    (_, _, number) = target.asked[0]
    records = [Record(EPOCH, 1, 1 << 30, 0, b"x" * 1000)]
    rejoin.part(number, LogPart(Status.ok, records, EPOCH, 9, 9, (0, 0), 0))
    assert not any(isinstance(entry, LogEntry | BaseEntry) for entry in target.written)
    assert not rejoin.copying
