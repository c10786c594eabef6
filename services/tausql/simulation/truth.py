"""What is committed, by what was appended and released: the one history against which rows and commits are held.

Clients can only be asked at the end, and see what they happen to read. Here every transaction is known from the moment
its record is appended, and committed once a crossbar passes it on; from then on its conflicts (I6) and its identity
(I7) are checked at once, and what a storage replica holds at its watermark (I8) can be checked at any moment.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import msgspec

from tausql.adjudicator.schema import cluster_of
from tausql.protocol.adjudicator import Commit, PostImage, Transaction
from tausql.protocol.ranges import Lookup, Range
from tausql.runtime.check import I1, I6, I7, I8, check
from tausql.storage.applier import Applier
from tausql.storage.engine import Engine
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.schema import SchemaHistory
from tausql.storage.versions import DATA, DATA_END, TOMBSTONE, key_of, tau_of

_decode = msgspec.msgpack.Decoder(Transaction).decode
_decode_body = msgspec.msgpack.Decoder(list[PostImage]).decode

_Use = tuple[int, int, bool, bytes]  # tau_commit, tau_start, whether it writes, txn


class Truth:
    """Fed by the witness; `committed` counts."""

    def __init__(self) -> None:
        self._appended: dict[int, bytes] = {}  # tau -> payload of the newest record with it
        self._released: set[int] = set()
        self._txns: dict[bytes, int] = {}  # -> tau
        self._uses: dict[bytes, list[_Use]] = {}  # conflict key -> by whom, rising
        self._versions: dict[bytes, list[tuple[int, bytes | None]]] = {}  # row key -> post images, rising
        self._denied: set[bytes] = set()
        self._relied: dict[bytes, tuple[int, ...]] = {}  # txn -> relations, not committed yet
        self._spans: dict[tuple[int, int], list[tuple[int, int]]] = {}  # relation of a cluster -> by whom relied on
        self._changed: dict[tuple[int, int], list[int]] = {}  # and when changed
        self.committed = 0

    def denied(self, txn: bytes) -> None:
        """Somebody was told that it never commits (I7)."""
        check(I7, txn not in self._txns, "a voter is told that nothing came of what committed", txn=txn.hex())
        self._denied.add(txn)

    def relies(self, commit: Commit) -> None:
        """What a transaction that may commit relies on."""
        if commit.schema:
            self._relied[commit.txn] = tuple(commit.schema)

    def appended(self, tau: int, payload: bytes) -> None:
        """A transaction's record is on its way to the journal."""
        self._appended[tau] = payload

    def released(self, tau: int) -> None:
        """A crossbar passes the record at `tau` on: it is committed."""
        if tau in self._released:
            return
        self._released.add(tau)
        payload = self._appended.pop(tau, None)
        check(I1, payload is not None, "released what nobody appended", tau=tau)
        assert payload is not None
        transaction = _decode(payload)
        check(I7, transaction.txn not in self._denied, "committed, and a voter was told that it never does", tau=tau)
        known = self._txns.setdefault(transaction.txn, tau)
        check(I7, known == tau, "one transaction committed twice", txn=transaction.txn.hex(), first=known, second=tau)
        check(I6, transaction.tau_start < tau, "committed in its own past", tau=tau, tau_start=transaction.tau_start)
        self.committed += 1
        self._check_schema(transaction, tau)
        for key in transaction.writes:
            self._use(key, (tau, transaction.tau_start, True, transaction.txn))
        for key in transaction.shares:
            self._use(key, (tau, transaction.tau_start, False, transaction.txn))
        for row, value in _decode_body(transaction.body) if transaction.body else ():
            versions = self._versions.setdefault(row, [])
            versions.insert(bisect_left(versions, tau, key=_tau), (tau, value))

    def _check_schema(self, transaction: Transaction, tau: int) -> None:
        """I6: nobody spans a change of a schema that he relied on."""
        cluster, tau_start = cluster_of(transaction.low), transaction.tau_start
        for relation in self._relied.pop(transaction.txn, ()):
            spans = self._spans.setdefault((cluster, relation), [])
            spans.append((tau_start, tau))
            for changed in self._changed.get((cluster, relation), ()):
                same = not tau_start < changed < tau
                check(I6, same, "spans a change of a schema it relied on", relation=relation, tau=tau, changed=changed)
        for relation in transaction.changes:
            self._changed.setdefault((cluster, relation), []).append(tau)
            for start, end in self._spans.get((cluster, relation), ()):
                same = not start < tau < end
                check(I6, same, "changes a schema that somebody relies on", relation=relation, tau=end, changed=tau)

    def _use(self, key: bytes, use: _Use) -> None:
        uses = self._uses.setdefault(key, [])
        at = bisect_left(uses, use)
        for other in reversed(uses[:at]) if at else ():
            if other[0] <= use[1]:
                break
            self._check_apart(key, use, other)
        for other in uses[at:]:
            if other[1] < use[0]:
                self._check_apart(key, use, other)
        uses.insert(at, use)

    def _check_apart(self, key: bytes, one: _Use, other: _Use) -> None:
        apart = one[3] == other[3] or not (one[2] or other[2])
        check(I6, apart, "two that conflict have both committed", key=key, one=one[:3], other=other[:3])

    def row(self, key: bytes, tau: int) -> bytes | None:
        """What must be seen under `key` at `tau`."""
        versions = self._versions.get(key, [])
        at = bisect_right(versions, tau, key=_tau)
        return versions[at - 1][1] if at else None

    def check_store(self, engine: MemoryEngine, name: str) -> None:
        """I8: the visible rows of every whole shard of a replica are those of its watermark, no more and no less."""
        watermark, ranges = whole_ranges(engine)
        held = Lookup(ranges)
        seen: set[bytes] = set()
        for stored in engine.content.irange(DATA, DATA_END, (True, False)):
            key = key_of(stored)
            if key in seen or tau_of(stored) > watermark or not held.holds(key):
                continue
            seen.add(key)
            found = engine.content[stored]
            value = None if found == TOMBSTONE else bytes(found[1:])
            same = value == self.row(key, watermark)
            check(I8, same, "a row is not what it must be", replica=name, key=key, watermark=watermark)
        for key, versions in self._versions.items():
            if key not in seen and versions[0][0] <= watermark and held.holds(key):
                gone = self.row(key, watermark) is None
                check(I8, gone, "a row is missing", replica=name, key=key, watermark=watermark)
        if self._changed and watermark:
            self._check_versions(engine, name, watermark)

    def _check_versions(self, engine: MemoryEngine, name: str, watermark: int) -> None:
        """Every replica knows every schema change, whatever rows it keeps."""
        history = SchemaHistory()
        history.load(engine)
        for (cluster, relation), taus in self._changed.items():
            newest = max((tau for tau in taus if tau <= watermark), default=0)
            same = history.version(cluster, relation, watermark) == newest
            check(I8, same, "a schema version is not what it must be", replica=name, relation=relation)


def whole_ranges(engine: Engine) -> tuple[int, Iterable[Range]]:
    """The watermark that a restart would find in a store, and what it has whole at it."""
    applier = Applier(engine)
    return applier.watermark, applier.shards.complete(applier.watermark)


def _tau(version: tuple[int, bytes | None]) -> int:
    return version[0]
