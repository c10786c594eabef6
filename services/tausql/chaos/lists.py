"""List-append: transactions that read, share and append to lists, noted down as clients saw them.

Every appended number is unique, so what readers see tells in which order writes took effect. Rows that hold single
values would show far less: a reader of `7` knows nothing of what came before. A list that has grown long is retired and
another takes its place, so that reading and checking stay cheap however long the run is.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from tausql.chaos.sessions import Answer, ClientError, Session, certainly_refused
from tausql.checker.history import Attempt, Operation

LIST_ITEMS_MAX = 40
READ_BACK_KEYS = 100  # a transaction
SHARE_CHANCE, BLIND_CHANCE, APPEND_CHANCE = 0.15, 0.2, 0.5


class Ledger:
    """The history of a run and the lists (or registers) it works on. Shared by all clients. `prefix` of its keys;
    `beside`: another ledger of the same history, on other keys."""

    def __init__(
        self,
        table: str,
        keys: int,
        clock: Callable[[], float] = time.monotonic,
        prefix: str = "k",
        beside: Ledger | None = None,
    ) -> None:
        self.table = table
        self.attempts: list[Attempt] = [] if beside is None else beside.attempts
        self.mine: list[Attempt] = []
        self.all_keys = [f"{prefix}{number}" for number in range(keys)]
        self.clock = clock
        self._prefix = prefix
        self._open = list(self.all_keys)
        self._value = 0
        self._lock: threading.Lock = threading.Lock() if beside is None else beside._lock

    def begin(self, client: str) -> Attempt:
        with self._lock:
            attempt = Attempt(len(self.attempts), client, self.clock(), 0.0, "fail", [])
            self.attempts.append(attempt)
            self.mine.append(attempt)
        return attempt

    def choose(self, chance: random.Random) -> list[str]:
        """One to three lists."""
        with self._lock:
            return chance.sample(self._open, min(len(self._open), chance.choice((1, 1, 2, 3))))

    def next_value(self) -> int:
        with self._lock:
            self._value += 1
            return self._value

    def seen(self, key: str, length: int) -> None:
        """Somebody has read `length` items in this list."""
        if length < LIST_ITEMS_MAX:
            return
        with self._lock:
            if key in self._open:
                fresh = f"{self._prefix}{len(self.all_keys)}"
                self.all_keys.append(fresh)
                self._open[self._open.index(key)] = fresh


class ListLoad:
    """One client's transactions."""

    name = "lists"
    autocommit = False

    def __init__(self, ledger: Ledger, client: str, seed: int) -> None:
        self._ledger = ledger
        self._client = client
        self._chance = random.Random(seed)
        self._statements = ListStatements(ledger)

    def run_round(self, session: Session) -> None:
        """One transaction. Raises ClientError; the attempt says what is known of its outcome."""
        keys = self._ledger.choose(self._chance)
        appended = {key for key in keys if self._chance.random() < APPEND_CHANCE}
        with Noted(self._ledger, self._client) as noted:
            for key in keys:
                if key not in appended:
                    shared = bool(appended) and self._chance.random() < SHARE_CHANCE
                    self._statements.read(noted, session, key, shared)
                    continue
                if self._chance.random() >= BLIND_CHANCE:
                    self._statements.read(noted, session, key)
                self._statements.append(noted, session, key)
            noted.commit(session)


class Noted:
    """A transaction under way, written into its attempt step by step: a statement that fails is in it, too."""

    def __init__(self, ledger: Ledger, client: str) -> None:
        self._ledger = ledger
        self._attempt = ledger.begin(client)
        self.operations = self._attempt.operations

    def __enter__(self) -> Noted:
        return self

    def __exit__(self, *_: object) -> None:
        self._attempt.completed = self._ledger.clock()

    def commit(self, session: Session) -> None:
        try:
            session.commit()
        except ClientError as error:
            if self._attempt.writes() and not certainly_refused(error.code):
                self._attempt.status = "info"
            raise
        self._attempt.status = "ok"


class ListStatements:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        table = ledger.table
        self._select = f"SELECT elements FROM {table} WHERE key = %s"
        self._update = f"UPDATE {table} SET elements = elements || %s WHERE key = %s"
        self._insert = f"INSERT INTO {table} (key, elements) VALUES (%s, %s)"

    def read(self, noted: Noted, session: Session, key: str, shared: bool = False) -> None:
        answer = session.execute(self._select + (" FOR UPDATE" if shared else ""), (key,))
        values = _values(answer)
        # A row that is not there cannot be shared.
        noted.operations.append(Operation("read", key, values=values, shared=shared and bool(answer.rows)))
        self._ledger.seen(key, len(values))

    def append(self, noted: Noted, session: Session, key: str) -> None:
        value = self._ledger.next_value()
        noted.operations.append(Operation("append", key, value))
        if session.execute(self._update, (f"{value},", key)).changed == 0:
            session.execute(self._insert, (key, f"{value},"))


def _values(answer: Answer) -> tuple[int, ...]:
    return tuple(int(text) for text in answer.rows[0][0].split(",") if text) if answer.rows else ()


def create_lists(session: Session, table: str) -> None:
    session.execute(f"CREATE TABLE {table} (key text PRIMARY KEY, elements text NOT NULL)")


def read_lists_back(session: Session, ledger: Ledger, client: str) -> None:
    """Every list once more, as the history's last word. `session` is not in autocommit. Raises ClientError."""
    statements = ListStatements(ledger)
    keys = ledger.all_keys
    for first in range(0, len(keys), READ_BACK_KEYS):
        with Noted(ledger, client) as noted:
            for key in keys[first : first + READ_BACK_KEYS]:
                statements.read(noted, session, key)
            noted.commit(session)
