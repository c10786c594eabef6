"""A snapshot-isolated database in memory that understands the statements of the chaos workload, and can misbehave."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from tausql.chaos.sessions import Answer, ClientError, Session

Row = tuple[Any, ...]
LOST = ClientError("lost", "server closed the connection unexpectedly", usable=False)
CONFLICT = ClientError("40001", "change conflicts with another transaction", usable=True)


class MemoryDatabase:
    """`at_commit` is asked before each commit that writes: an error to raise, and whether it takes effect all the same.
    `forgets` says whether a commit is acknowledged without taking effect."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, Row]] = {}
        self.changed: dict[tuple[str, Any], int] = {}
        self.version = 0
        self.indexes: set[str] = set()
        self.index_shows = 1_000_000  # rows of an answer by index: what is above is missing
        self.lock = threading.Lock()
        self.at_commit: Callable[[], tuple[ClientError | None, bool]] = lambda: (None, True)
        self.forgets: Callable[[], bool] = lambda: False
        self.dialled: list[int] = []
        self.refusals: deque[ClientError] = deque()  # of dials to come

    def dial(self, endpoint: int, autocommit: bool, deadline_seconds: float) -> Session:
        self.dialled.append(endpoint)
        if self.refusals:
            raise self.refusals.popleft()
        return MemorySession(self, autocommit)


class MemorySession:
    def __init__(self, database: MemoryDatabase, autocommit: bool) -> None:
        self._database = database
        self._autocommit = autocommit
        self.open = True
        self.statement_errors: deque[ClientError] = deque()
        self.rollback_errors: deque[ClientError] = deque()
        self.rolled_back = 0
        self._end()

    def _end(self) -> None:
        self._snapshot: dict[str, dict[Any, Row]] | None = None
        self._version = 0
        self._writes: dict[tuple[str, Any], Row | None] = {}
        self._locked: set[tuple[str, Any]] = set()

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Answer:
        if self.statement_errors:
            raise self.statement_errors.popleft()
        with self._database.lock:
            if self._snapshot is None:
                self._snapshot = {name: dict(rows) for name, rows in self._database.tables.items()}
                self._version = self._database.version
        answer = self._run(statement.split(), parameters)
        if self._autocommit:
            self.commit()
        return answer

    def _run(self, words: list[str], parameters: tuple[Any, ...]) -> Answer:
        assert self._snapshot is not None
        match words:
            case ["CREATE", "TABLE", name, *_]:
                self._database.tables[name] = {}
                return Answer((), -1)
            case ["DROP", "TABLE", "IF", "EXISTS", name]:
                self._database.tables.pop(name, None)
                return Answer((), -1)
            case ["CREATE", "INDEX", "ASYNC", name, *_]:
                self._database.indexes.add(name)
                return Answer((), -1)
            case ["SELECT", "i.indisvalid", *_]:
                rows = [(True,)] if parameters[0] in self._database.indexes else []
            case ["SELECT", "id", "FROM", name, "WHERE", *_]:
                low, high = parameters
                page = int(words[-1])
                rows = [(key,) for key in sorted(self._rows(name)) if low < key < high][:page]
            case ["SELECT", "id", "FROM", name]:
                rows = [(key,) for key in self._rows(name)]
            case ["SELECT", "id,", _, "FROM", name, *rest]:
                rows = [(key, *row) for key, row in self._rows(name).items()]
                if rest:
                    rows = [row for row in rows if row[1] == parameters[0]]
                    rows = rows[: self._database.index_shows]
            case ["SELECT", _, "FROM", name, "WHERE", *rest]:
                if rest[-1] == "UPDATE":
                    self._locked.add((name, parameters[0]))
                row = self._rows(name).get(parameters[0])
                rows = [row] if row is not None else []
            case ["UPDATE", name, "SET", _, "=", *how, "WHERE", "key", "=", "%s"] | [
                "UPDATE", name, "SET", _, "=", *how, "WHERE", "id", "=", "%s"
            ]:  # fmt: skip
                more, key = parameters
                row = self._rows(name).get(key)
                if row is None:
                    return Answer((), 0)
                self._writes[name, key] = (more if how == ["%s"] else row[0] + more,)
                return Answer((), 1)
            case ["DELETE", "FROM", name, *_]:
                there = parameters[0] in self._rows(name)
                if there:
                    self._writes[name, parameters[0]] = None
                return Answer((), int(there))
            case ["INSERT", "INTO", name, *_]:
                self._writes[name, parameters[0]] = (parameters[1],)
                return Answer((), 1)
            case _:
                raise AssertionError(words)
        return Answer(rows, len(rows))

    def _rows(self, name: str) -> dict[Any, Row]:
        assert self._snapshot is not None
        rows = dict(self._snapshot[name])
        rows.update({key: row for (table, key), row in self._writes.items() if table == name and row is not None})
        gone = [key for (table, key), row in self._writes.items() if table == name and row is None]
        return {key: row for key, row in rows.items() if key not in gone}

    def commit(self) -> None:
        database, writes, locked, version = self._database, self._writes, self._locked, self._version
        self._end()
        if not writes:
            return
        with database.lock:
            if any(database.changed.get(key, 0) > version for key in {*writes, *locked}):
                raise CONFLICT
            error, takes_effect = database.at_commit()
            if takes_effect and not database.forgets():
                database.version += 1
                for (name, key), row in writes.items():
                    if row is None:
                        database.tables[name].pop(key, None)
                    else:
                        database.tables[name][key] = row
                    database.changed[name, key] = database.version
                for key in locked:
                    database.changed[key] = database.version
        if error is not None:
            raise error

    def rollback(self) -> None:
        if self.rollback_errors:
            raise self.rollback_errors.popleft()
        self.rolled_back += 1
        self._end()

    def close(self) -> None:
        self.open = False
