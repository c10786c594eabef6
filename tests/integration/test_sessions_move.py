"""A processor dies, and its sessions go on with another one: what clients notice of it, and what they do not."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet, running_fleet

from .sessions import Session, clients_of, session
from .under_load import pid_of, ready
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

PROCESSORS = ("processor-a", "processor-b")
WRITERS = 4


@pytest.fixture(scope="module")
def separate() -> Iterator[Fleet]:
    with running_fleet("separate") as fleet:
        with session(fleet) as opened:
            opened.execute("CREATE TABLE moved (id bigint PRIMARY KEY, note text)")
        yield fleet


@pytest.fixture
def settled(separate: Fleet) -> Fleet:
    """With all its processors there, and no session on them."""
    until(
        lambda: all(ready(separate, name) and clients_of(separate, name) == 0 for name in PROCESSORS),
        "processors ready",
    )
    return separate


def kill_processor_of_the_session(fleet: Fleet) -> None:
    """SIGKILL to the one processor that has a session."""
    (name,) = [name for name in PROCESSORS if clients_of(fleet, name)]
    end(fleet, name, signal.SIGKILL)


def end(fleet: Fleet, name: str, how: signal.Signals) -> None:
    """A signal that ends this process. Returns when the supervisor has noticed."""
    before = pid_of(fleet, name)
    os.kill(before, how)
    until(lambda: pid_of(fleet, name) != before, f"{name} gone")


def test_idle_session_moves_with_its_settings_and_statements(settled: Fleet) -> None:
    with session(settled) as connection:
        connection.prepare_threshold = 0
        backend = connection.info.backend_pid
        connection.execute("SET TimeZone = 'Europe/Paris'")
        connection.execute("SET application_name = 'mover'")
        connection.execute("INSERT INTO moved VALUES (%s, %s)", (1, "one"))
        select = "SELECT note, current_setting('TimeZone') FROM moved WHERE id = %s"
        assert connection.execute(select, (1,)).fetchone() == ("one", "Europe/Paris")
        for _ in range(2):
            kill_processor_of_the_session(settled)
            assert connection.execute(select, (1,)).fetchone() == ("one", "Europe/Paris")
            assert connection.execute("SHOW application_name").fetchone() == ("mover",)
            until(lambda: all(ready(settled, name) for name in PROCESSORS), "processors ready again")
        assert connection.info.backend_pid == backend
        connection.execute("INSERT INTO moved VALUES (%s, %s)", (2, "two"))


def test_cancel_finds_a_session_that_has_moved(settled: Fleet) -> None:
    with session(settled) as connection:
        connection.execute("SELECT 1")
        kill_processor_of_the_session(settled)
        connection.execute("SELECT 1")
        slow = "SELECT count(*) FROM generate_series(1, 100000000)"
        canceller = threading.Timer(0.5, connection.cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(slow)
        canceller.join()
        assert connection.execute("SELECT 2").fetchone() == (2,)


def test_transaction_is_lost_and_the_session_goes_on(settled: Fleet) -> None:
    with session(settled) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO moved VALUES (10, 'never')")
        kill_processor_of_the_session(settled)
        with pytest.raises(psycopg.errors.SerializationFailure, match="lost with its query processor"):
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM moved WHERE id = 10").fetchone() == (0,)


def test_commit_of_a_lost_transaction_does_not_pass_for_success(settled: Fleet) -> None:
    with session(settled) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO moved VALUES (11, 'never')")
        kill_processor_of_the_session(settled)
        with pytest.raises(psycopg.errors.SerializationFailure):
            connection.execute("COMMIT")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.execute("SELECT count(*) FROM moved WHERE id = 11").fetchone() == (0,)


class Writer:
    """Inserts one id after the other, and remembers what it was told of each."""

    def __init__(self, fleet: Fleet, number: int, stop: threading.Event) -> None:
        self.told: dict[int, str] = {}
        self.broken = ""
        self._fleet = fleet
        self._next = number * 1_000_000
        self._stop = stop
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with session(self._fleet) as connection:
                connection.prepare_threshold = 0
                while not self._stop.is_set():
                    self._insert(connection)
        except psycopg.Error as error:
            self.broken = f"{error.sqlstate}: {error}"

    def _insert(self, connection: Session) -> None:
        self._next += 1
        try:
            connection.execute("INSERT INTO moved VALUES (%s, 'load')", (self._next,))
            self.told[self._next] = "ok"
        except (psycopg.errors.SerializationFailure, psycopg.errors.StatementCompletionUnknown) as error:
            self.told[self._next] = str(error.sqlstate)

    def join(self) -> None:
        self._thread.join(30)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_insert_is_lost_or_invented_while_processors_go(settled: Fleet, how: signal.Signals) -> None:
    stop = threading.Event()
    first = 10 if how is signal.SIGKILL else 20
    writers = [Writer(settled, first + number, stop) for number in range(WRITERS)]

    def done() -> int:
        return sum(len(writer.told) for writer in writers)

    try:
        for name in PROCESSORS:
            before = done()
            until(lambda before=before: done() > before + 40, "inserts")  # type: ignore[misc]
            end(settled, name, how)
            until(lambda name=name: ready(settled, name), f"{name} ready again")  # type: ignore[misc]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert [writer.broken for writer in writers] == [""] * WRITERS
    told = {id_: what for writer in writers for id_, what in writer.told.items()}
    with contextlib.closing(session(settled)) as connection:
        span = (first * 1_000_000, (first + WRITERS + 1) * 1_000_000)
        found = {row[0] for row in connection.execute("SELECT id FROM moved WHERE id BETWEEN %s AND %s", span)}
    print({what: list(told.values()).count(what) for what in sorted(set(told.values()))})
    assert {id_ for id_, what in told.items() if what == "ok"} <= found
    assert not {id_ for id_, what in told.items() if what == "40001"} & found
    assert found <= set(told)
    if how is signal.SIGTERM:
        assert set(told.values()) == {"ok"}
