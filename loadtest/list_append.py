"""List-append over real connections: transactions that read and append to shared lists, noted down for the checker.

Every append is unique, so what readers see tells in which order writes took effect (`tausql.checker`). An
error while the verdict of COMMIT was awaited leaves the outcome unknown; any error before it means nothing happened.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tausql.checker.history import Attempt, Operation

TABLE = "CREATE TABLE lists (key text PRIMARY KEY, elements text NOT NULL)"


@dataclass
class Workload:
    """Clients that run until `stop` is set. All times are of one monotonic clock."""

    connection: str
    keys: int = 8
    clients: int = 4
    seed: int = 1
    attempts: list[Attempt] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _value: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    last_write: float = 0.0
    last_read: float = 0.0
    longest_write_gap: float = 0.0
    longest_read_gap: float = 0.0

    def prepare(self) -> None:
        """Make the table and one empty list a key."""
        with psycopg.connect(self.connection, autocommit=True) as connection:
            connection.execute(TABLE)
            for number in range(self.keys):
                connection.execute("INSERT INTO lists VALUES (%s, '')", (f"k{number}",))

    def start(self) -> None:
        self.last_write = self.last_read = time.monotonic()
        for number in range(self.clients):
            thread = threading.Thread(target=self._client, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self) -> None:
        """Stop the clients and wait for them; then read every list once more, as the history's last word."""
        self.stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            if thread.is_alive():
                raise RuntimeError("a client of the workload hangs")
        end = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(self.connection) as connection:
                    self._transact(connection, "final", [f"k{number}" for number in range(self.keys)], set())
                return
            except psycopg.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def _client(self, number: int) -> None:
        chance = random.Random(self.seed * 1000 + number)
        connection: psycopg.Connection[Any] | None = None
        while not self.stop.is_set():
            keys = [f"k{key}" for key in chance.sample(range(self.keys), chance.choice((1, 1, 2, 3)))]
            appended = {key for key in keys if chance.random() < 0.5}
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self.connection)
                self._transact(connection, f"c{number}", keys, appended)
            except psycopg.Error as error:
                with self._lock:
                    self.errors[error.sqlstate or type(error).__name__] += 1
                if connection is None or connection.closed or connection.broken:
                    connection = None
                    self.stop.wait(0.02)
                else:
                    connection.rollback()
        if connection is not None:
            connection.close()

    def _transact(self, connection: psycopg.Connection[Any], client: str, keys: list[str], appended: set[str]) -> None:
        with self._lock:
            attempt = Attempt(len(self.attempts), client, time.monotonic(), 0.0, "fail", [])
            self.attempts.append(attempt)
        committing = False
        try:
            for key in keys:
                row = connection.execute("SELECT elements FROM lists WHERE key = %s", (key,)).fetchone()
                values = tuple(int(text) for text in row[0].split(",") if text) if row is not None else ()
                attempt.operations.append(Operation("read", key, values=values))
                if key in appended:
                    with self._lock:
                        self._value += 1
                        value = self._value
                    attempt.operations.append(Operation("append", key, value))
                    connection.execute("UPDATE lists SET elements = elements || %s WHERE key = %s", (f"{value},", key))
            committing = True
            connection.commit()
            attempt.status = "ok"
            self._note_progress(bool(appended))
        except psycopg.Error as error:
            known = error.sqlstate is not None and not error.sqlstate.startswith(("08", "57", "XX")) and (
                error.sqlstate != "40003"
            )
            attempt.status = "info" if committing and appended and not known else "fail"
            raise
        finally:
            attempt.completed = time.monotonic()

    def _note_progress(self, wrote: bool) -> None:
        now = time.monotonic()
        with self._lock:
            if wrote:
                self.longest_write_gap = max(self.longest_write_gap, now - self.last_write)
                self.last_write = now
            self.longest_read_gap = max(self.longest_read_gap, now - self.last_read)
            self.last_read = now

    def reset_gaps(self) -> None:
        """Count unavailability from now on."""
        with self._lock:
            self.last_write = self.last_read = time.monotonic()
            self.longest_write_gap = self.longest_read_gap = 0.0
