"""What clients note down of what they are told, and how they carry on."""

from __future__ import annotations

import random
import threading

import pytest
from chaos_memory import CONFLICT, LOST, MemoryDatabase, MemorySession

from tausql.chaos.clients import Client
from tausql.chaos.errors import Errors
from tausql.chaos.judgement import history_violations
from tausql.chaos.lists import LIST_ITEMS_MAX, Ledger, ListLoad, create_lists, read_lists_back
from tausql.chaos.probes import (
    PAGE,
    ReadProbe,
    WriteProbe,
    create_inserts,
    inserts_violations,
    missed_violations,
    read_inserts_back,
)
from tausql.chaos.sessions import ClientError, certainly_refused

SHUTDOWN = ClientError("57P01", "terminating connection", usable=False)
UNKNOWN = ClientError("40003", "unknown", usable=True)


@pytest.mark.parametrize("code", ["40001", "23505", "54000", "53300"])
def test_an_error_of_the_statement_says_that_nothing_happened(code: str) -> None:
    assert certainly_refused(code)


@pytest.mark.parametrize("code", ["40003", "57P01", "57014", "08006", "XX000", "lost", "deadline", "connect"])
def test_an_error_of_whoever_cannot_know_says_nothing(code: str) -> None:
    assert not certainly_refused(code)


class Bench:
    """One list client on a database of its own."""

    def __init__(self, seed: int = 1, keys: int = 3) -> None:
        self.database = MemoryDatabase()
        self.ledger = Ledger("t", keys)
        create_lists(MemorySession(self.database, True), "t")
        self.session = MemorySession(self.database, False)
        self.load = ListLoad(self.ledger, "c0", seed)

    def until_written(self) -> None:
        """Rounds until one that appends; its error is raised."""
        while True:
            self.load.run_round(self.session)
            if self.ledger.attempts[-1].appends():
                return

    @property
    def last(self) -> tuple[str, bool]:
        attempt = self.ledger.attempts[-1]
        assert attempt.completed >= attempt.invoked
        return attempt.status, bool(attempt.appends())


def test_an_acknowledged_transaction_is_ok() -> None:
    bench = Bench()
    bench.until_written()
    assert bench.last == ("ok", True)


@pytest.mark.parametrize(
    ("error", "status"), [(CONFLICT, "fail"), (LOST, "info"), (SHUTDOWN, "info"), (UNKNOWN, "info")]
)
def test_an_error_at_commit_is_noted_as_what_it_says(error: ClientError, status: str) -> None:
    bench = Bench()
    bench.database.at_commit = lambda: (error, False)
    with pytest.raises(ClientError):
        bench.until_written()
    assert bench.last == (status, True)


def test_an_error_before_commit_means_nothing_happened() -> None:
    bench = Bench()
    bench.session.statement_errors.append(LOST)
    with pytest.raises(ClientError):
        bench.load.run_round(bench.session)
    assert bench.last[0] == "fail"


def test_many_clients_make_a_history_that_holds_and_long_lists_are_retired() -> None:
    bench = Bench(keys=2)
    other = ListLoad(bench.ledger, "c1", 2), MemorySession(bench.database, False)
    chance = random.Random(1)
    for _ in range(400):
        load, session = chance.choice([(bench.load, bench.session), other])
        load.run_round(session)
    assert len(bench.ledger.all_keys) > 4
    read_lists_back(MemorySession(bench.database, False), bench.ledger, "final")
    longest = max(len(one.values) for attempt in bench.ledger.attempts for one in attempt.operations)
    assert LIST_ITEMS_MAX <= longest <= LIST_ITEMS_MAX + 4
    assert any(one.shared for attempt in bench.ledger.attempts for one in attempt.operations)
    assert history_violations(bench.ledger.attempts) == []


def test_a_database_that_forgets_a_commit_is_found_out() -> None:
    bench = Bench()
    forgotten = iter([False] * 30 + [True])
    bench.database.forgets = lambda: next(forgotten, False)
    for _ in range(100):
        bench.load.run_round(bench.session)
    read_lists_back(MemorySession(bench.database, False), bench.ledger, "final")
    assert history_violations(bench.ledger.attempts)


def write_probe() -> tuple[MemoryDatabase, WriteProbe, MemorySession]:
    database = MemoryDatabase()
    session = MemorySession(database, True)
    create_inserts(session, "i")
    return database, WriteProbe("i", 3), session


def test_inserts_are_judged_by_what_their_writer_was_told() -> None:
    database, probe, session = write_probe()
    outcomes = [(None, True), (CONFLICT, False), (LOST, False), (LOST, True), (None, True)]
    told = iter(outcomes)
    database.at_commit = lambda: next(told)
    for error, _ in outcomes:
        if error is None:
            probe.run_round(session)
        else:
            with pytest.raises(ClientError):
                probe.run_round(session)
    assert len(probe.successes) == 2
    found = read_inserts_back(session, "i", probe)
    assert found == {probe.first, probe.first + 3, probe.first + 4}
    assert inserts_violations(probe, found) == []
    (lost,) = inserts_violations(probe, found - {probe.first})
    assert "acknowledged inserts are not there: 3000000000" in lost
    (undead,) = inserts_violations(probe, found | {probe.first + 1})
    assert "that were refused" in undead
    (strange,) = inserts_violations(probe, found | {7})
    assert "nobody inserted: 7" in strange


def test_reading_back_goes_over_pages() -> None:
    _, probe, session = write_probe()
    for _ in range(PAGE + 5):
        probe.run_round(session)
    assert len(read_inserts_back(session, "i", probe)) == PAGE + 5


def test_a_read_that_does_not_find_what_was_acknowledged_before_is_a_violation() -> None:
    database, probe, session = write_probe()
    reader = ReadProbe("i", probe)
    reader.run_round(session)
    probe.run_round(session)
    reader.run_round(session)
    assert missed_violations([reader]) == []
    database.forgets = lambda: True
    probe.run_round(session)
    reader.run_round(session)
    assert "1 reads did not find" in missed_violations([reader])[0]
    assert len(reader.successes) == 3


class Scripted:
    """A load whose rounds end as told."""

    name = "scripted"
    autocommit = True

    def __init__(self, *ends: ClientError | None) -> None:
        self.ends = list(ends)
        self.sessions: list[MemorySession] = []

    def run_round(self, session: MemorySession) -> None:
        self.sessions.append(session)
        end = self.ends.pop(0)
        if end is not None:
            raise end


def client_of(load: Scripted, database: MemoryDatabase, forgiving: bool = False) -> tuple[Client, Errors]:
    errors = Errors()
    return Client(load, database.dial, errors, threading.Event(), 100.0, 1.0, 0, forgiving), errors


def test_a_usable_session_is_rolled_back_and_kept() -> None:
    load, database = Scripted(CONFLICT, None), MemoryDatabase()
    client, errors = client_of(load, database)
    assert [client.step(), client.step()] == [False, True]
    assert database.dialled == [0]
    assert load.sessions[0].rolled_back == 1
    assert [met.code for met in errors.met] == ["40001"]


def test_a_lost_session_is_replaced_at_the_next_endpoint() -> None:
    load, database = Scripted(LOST, None), MemoryDatabase()
    client, errors = client_of(load, database)
    client.step()
    database.refusals.append(ClientError("connect", "refused", usable=False))
    assert [client.step(), client.step()] == [False, True]
    assert database.dialled == [0, 1, 2]
    assert not load.sessions[0].open
    assert [met.code for met in errors.met] == ["lost", "connect"]


def test_a_rollback_that_fails_gives_the_session_up() -> None:
    load, database = Scripted(None, CONFLICT, None), MemoryDatabase()
    client, errors = client_of(load, database)
    client.step()
    load.sessions[0].rollback_errors.append(LOST)
    assert [client.step(), client.step()] == [False, True]
    assert database.dialled == [0, 1]
    assert [met.code for met in errors.met] == ["40001", "lost"]


def test_a_forgiving_client_gives_up_without_an_error() -> None:
    late = ClientError("deadline", "no answer", usable=False)
    client, errors = client_of(Scripted(late), MemoryDatabase(), forgiving=True)
    client.step()
    assert client.given_up == 1
    assert not errors.met


def test_a_bug_of_the_workload_is_not_taken_for_silence() -> None:
    client, _ = client_of(Scripted(), MemoryDatabase())
    client.start()
    with pytest.raises(IndexError):
        client.join()
