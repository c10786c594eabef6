"""Clients of the simulated fleet: list-append transactions over the real protocol, noted down as they are answered.

A client is the transaction layer of a processor and nothing else: it takes a snapshot from its clock, reads from a
storage replica, commits at whoever holds the stream, and asks for the outcome where an answer is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.history import Attempt, Operation, Status
from tausql.protocol import adjudicator, storage
from tausql.protocol.keys import KeyKind, identity_key, key_encoder, relation_prefix
from tausql.protocol.tau import closing, micros_of
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fleet import Directory
from tausql.runtime.host import ClockUnsure
from tausql.simulation.reach import Holders, Replicas
from tausql.simulation.world import Process

RELATION = 20_000
READ_SECONDS = 3.0
TRANSACTION_SECONDS = 1.5
UNKNOWN_AFTER_SECONDS = 20.0  # with every link healed an outcome is settled long before
LIST_ITEMS_MAX = 30  # a longer list is retired: reading and checking it costs more than it tells
SNAPSHOTS_KEPT = 40

key_of = key_encoder(relation_prefix(1, RELATION), [KeyKind.text])
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode
_encode_body = msgspec.msgpack.Encoder().encode


class Snapshot(NamedTuple):
    """What somebody saw at a tau: whoever looks again must see the same, whenever and wherever."""

    tau: int
    keys: tuple[str, ...]
    lists: tuple[tuple[int, ...], ...]


class Ledger:
    """All attempts of a run, the lists they work on, and the next unique value."""

    def __init__(self, keys: int, thoughtful: float = 0.01, widths: tuple[int, ...] = (1, 1, 2, 3)) -> None:
        self.thoughtful = thoughtful  # the share of transactions that take a while
        self.widths = widths  # of transactions, in keys
        self.attempts: list[Attempt] = []
        self.next_value = 0
        self.keys = [f"k{number}" for number in range(keys)]  # in use
        self.all_keys = list(self.keys)
        self.snapshots: deque[Snapshot] = deque(maxlen=SNAPSHOTS_KEPT)
        self.chasers: list[Callable[[list[str]], None]] = []  # called once, with the keys of whoever succeeds next

    def begin(self, client: str, now: float) -> Attempt:
        attempt = Attempt(len(self.attempts), client, now, now, "info", [])
        self.attempts.append(attempt)
        return attempt

    def seen(self, key: str, length: int) -> None:
        """A list has grown so long: perhaps another takes its place."""
        if length >= LIST_ITEMS_MAX and key in self.keys:
            fresh = f"k{len(self.all_keys)}"
            self.all_keys.append(fresh)
            self.keys[self.keys.index(key)] = fresh

    def acknowledged(self, keys: list[str]) -> None:
        chasers, self.chasers = self.chasers, []
        for chaser in chasers:
            chaser(keys)


class Client:
    """Runs one transaction after another until `stop`."""

    def __init__(self, process: Process, fleet: Directory, ledger: Ledger) -> None:
        self._process = process
        self._ledger = ledger
        self.replicas = Replicas(process, fleet)
        self.holders = Holders(process, fleet)
        self.stays_near = False  # reads in no other region
        self.intensity = 1.0  # less: longer pauses between transactions
        self.read_seconds: list[float] = []  # of reads at the nearest replica, shown or not
        self.commit_seconds: list[float] = []  # of commits answered
        self._last_tau = 0
        self._running = True
        self._idle = True
        self._awaited = 0  # counts up with everything `next` waited for
        self.done = 0

    @property
    def _storages(self) -> list[storage.StorageClient]:
        return self.replicas.near(self.stays_near)

    @property
    def zone(self) -> str:
        return self._process.zone

    @property
    def idle(self) -> bool:
        return self._idle

    def stop(self) -> None:
        self._running = False

    def begin(self, chased: list[str] | None = None) -> None:
        """One random transaction (or one that reads what somebody else has just seen), and after it the next."""
        if not self._running:
            self._idle = True
            return
        self._idle = False
        chance = self._process.random
        if chased:
            Round(self, list(chased), [key for key in chased if chance.random() < 0.3], []).start()
            return
        if self._ledger.snapshots and chance.random() < 0.08:
            self._look_again(chance.choice(self._ledger.snapshots))
            return
        keys = chance.sample(self._ledger.keys, min(len(self._ledger.keys), chance.choice(self._ledger.widths)))
        appended = [key for key in keys if chance.random() < 0.6]
        shared = [key for key in keys if key not in appended and appended and chance.random() < 0.4]
        Round(self, keys, appended, shared).start()

    def next(self, pause_seconds: float, chase: bool) -> None:
        """Begin again after a while, or as soon as somebody else has been told something."""
        self._idle = True
        if not chase:
            self._process.later(pause_seconds, self.begin)
            return
        generation = self._awaited = self._awaited + 1

        def go(keys: list[str] | None = None) -> None:
            if self._awaited == generation:
                self._awaited += 1
                self.begin(keys)

        self._ledger.chasers.append(lambda keys: self._process.soon(go, keys))
        self._process.later(0.03 / self.intensity, go)

    def _look_again(self, snapshot: Snapshot) -> None:
        """Read an old snapshot anew, at any replica: it must be as it was, or be refused."""
        gets = [key_of((key,)) for key in snapshot.keys]
        storages = self._storages
        chosen = self._process.random.choice(storages)

        def done(answer: Any) -> None:
            world = self._process.world
            if isinstance(answer, storage.Rows):
                lists = tuple(tuple(_decode(value)) if value is not None else () for value in answer.values)
                if lists != snapshot.lists:
                    text = f"at {snapshot.tau} {snapshot.keys} were {snapshot.lists}, now {lists}"
                    raise Anomaly(Name.two_snapshots, text)
                world.mark("an old snapshot read again")
            elif isinstance(answer, storage.TooOld):
                world.mark("an old snapshot refused")
            self.begin()

        self.replicas.read(snapshot.tau, gets, chosen, storages, READ_SECONDS, done)

    def read_all(self) -> Round:
        """Begin a transaction that reads every key; its attempt is the run's last word."""
        final = Round(self, list(self._ledger.all_keys), [], [], final=True)
        final.start()
        return final


class Round:
    """One transaction from snapshot to verdict."""

    def __init__(
        self, client: Client, keys: list[str], appended: list[str], shared: list[str], final: bool = False
    ) -> None:
        self._client = client
        self._process = client._process
        self._world = client._process.world
        self._keys, self._appended, self._shared = keys, appended, shared
        self._final = final
        self._attempt = client._ledger.begin(self._process.name, self._world.now)
        self._tau_start = 0
        self._sent = 0.0
        self._local = False
        self._began_in = {stream: claim.epoch for stream, claim in client.holders.newest.items()}
        self._lists: list[list[int]] = []
        self._commit: adjudicator.Commit | None = None
        self._asked_since = 0.0
        self._asked = 0  # how often the outcome was asked for
        self._settled = False

    @property
    def attempt(self) -> Attempt:
        return self._attempt

    def start(self) -> None:
        try:
            latest = self._process.clock.now().latest
        except ClockUnsure:
            self._end("fail")
            return
        self._tau_start = closing(max(latest, micros_of(self._client._last_tau)))
        nearest = self._client._storages
        chosen = nearest[0] if self._process.random.random() < 0.7 else self._process.random.choice(nearest)
        gets = sorted(key_of((key,)) for key in self._keys)
        self._keys.sort()
        self._sent = self._world.now
        self._local = chosen is nearest[0]
        self._client.replicas.read(self._tau_start, gets, chosen, nearest, READ_SECONDS, self._on_rows)

    def _on_rows(self, answer: Any) -> None:
        if not isinstance(answer, storage.Rows):
            self._end("fail")  # nothing was written yet
            return
        self._lists = [_decode(value) if value is not None else [] for value in answer.values]
        if self._local:
            self._client.read_seconds.append(self._world.now - self._sent)
        newest = self._client.holders.newest
        if any(newest[stream].epoch > epoch for stream, epoch in self._began_in.items()):
            self._world.mark("a read parked over a takeover")
        self._hold(answer.newest)

    def _hold(self, newest: int) -> None:
        """Nothing of an answer is shown before every clock has passed what it touched (I9)."""
        try:
            earliest = self._process.clock.now().earliest
        except ClockUnsure:
            self._process.later(0.01, self._hold, newest)
            return
        if earliest <= micros_of(newest):
            self._process.later((micros_of(newest) - earliest) / 1e6 + 1e-6, self._hold, newest)
            return
        for key, values in zip(self._keys, self._lists, strict=True):
            shared = key in self._shared
            self._attempt.operations.append(Operation("read", key, values=tuple(values), shared=shared))
            self._client._ledger.seen(key, len(values))
        chance = self._process.random
        if not self._final and chance.random() < 0.03:
            lists = tuple(map(tuple, self._lists))
            self._client._ledger.snapshots.append(Snapshot(self._tau_start, tuple(self._keys), lists))
        if not self._appended:
            self._end("ok")
        elif chance.random() < self._client._ledger.thoughtful:  # takeovers and other commits come between
            self._process.later(chance.uniform(0.02, 1.3), self._send_commit)
        else:
            self._send_commit()

    def _send_commit(self) -> None:
        ledger = self._client._ledger
        body: list[tuple[bytes, bytes]] = []
        writes: list[bytes] = []
        for key, values in zip(self._keys, self._lists, strict=True):
            if key in self._appended:
                ledger.next_value += 1
                self._attempt.operations.append(Operation("append", key, ledger.next_value))
                encoded = key_of((key,))
                body.append((encoded, _encode([*values, ledger.next_value])))
                writes += [encoded, identity_key(encoded)]
        shares = [key_of((key,)) for key in self._shared]
        owners = {key: self._client.holders.owner(key) for key in writes + shares}
        streams = sorted({owner for owner in owners.values() if owner is not None})
        if None in owners.values():
            self._end("fail")
            return
        parts = [
            adjudicator.Part(
                stream,
                [key for key in writes if owners[key] == stream],
                [key for key in shares if owners[key] == stream],
            )
            for stream in streams
        ]
        holder = self._client.holders.newest[streams[0]]
        deadline = closing(micros_of(self._tau_start) + int(TRANSACTION_SECONDS * 1e6))
        self._commit = adjudicator.Commit(
            txn=self._process.random.randbytes(16),
            tau_start=self._tau_start,
            deadline=deadline,
            stream=streams[0],
            epoch=holder.epoch,
            writes=parts[0].writes,
            shares=parts[0].shares,
            schema=[],
            changes=[],
            low=body[0][0],
            high=body[-1][0],
            body=_encode_body(body),
            parts=tuple(parts[1:]),
        )
        if len(parts) > 1:
            self._world.mark("a commit over several streams")
        patience = self._process.random.choice((0.02, 0.3, TRANSACTION_SECONDS, TRANSACTION_SECONDS))
        self._sent = self._world.now
        holder.client.commit(self._commit, patience, self._on_verdict)

    def _on_verdict(self, answer: Any) -> None:
        if isinstance(answer, adjudicator.Committed):
            self._client.commit_seconds.append(self._world.now - self._sent)
            self._client._last_tau = max(self._client._last_tau, answer.tau)
            self._end("ok")
        elif isinstance(answer, adjudicator.Aborted):
            self._world.mark(f"aborted: {adjudicator.Reason(answer.reason).name}")
            self._end("fail")
        elif isinstance(answer, Failure) and answer.cause is Cause.overloaded:
            self._end("fail")
        else:
            self._world.mark("outcome asked")
            self._asked_since = self._world.now
            self._ask()
            self._client.holders.when_changed(partial(self._ask_again, self._asked))
            self._process.later(0.1, self._ask_again, self._asked)

    def _ask(self) -> None:
        if self._world.now - self._asked_since > UNKNOWN_AFTER_SECONDS:
            self._world.mark("outcome unknown")
            self._end("info")
            return
        commit = self._commit
        assert commit is not None
        request = adjudicator.Outcome(commit.txn, commit.tau_start, commit.deadline, commit.stream, commit.epoch)
        self._asked += 1
        holder = self._client.holders.newest.get(commit.stream)
        if holder is not None:
            holder.client.outcome(request, 1.0, partial(self._on_outcome, self._asked))

    def _ask_again(self, number: int) -> None:
        if number == self._asked:
            self._ask()

    def _on_outcome(self, number: int, answer: Any) -> None:
        if self._attempt.status != "info" or self._settled:
            return  # an earlier question has been answered already
        commit = self._commit
        later = commit is not None and self._client.holders.newest[commit.stream].epoch > commit.epoch
        if later and isinstance(answer, adjudicator.Committed | adjudicator.Aborted):
            self._world.mark("an outcome settled by a later epoch")
        if isinstance(answer, adjudicator.Committed):
            self._world.mark("outcome: committed")
            self._client._last_tau = max(self._client._last_tau, answer.tau)
            self._end("ok")
        elif isinstance(answer, adjudicator.Aborted):
            self._world.mark("outcome: aborted")
            self._end("fail")
        else:
            self._client.holders.when_changed(partial(self._ask_again, number))
            self._process.later(0.02 + self._process.random.random() * 0.1, self._ask_again, number)

    def _end(self, status: Status) -> None:
        self._settled = True
        self._attempt.status = status
        attempt = self._attempt
        attempt.invoked, attempt.completed = self._world.instants(self._process, attempt.invoked)
        self._client.done += status == "ok"
        if status == "ok":
            self._client._ledger.acknowledged(self._keys)
        if not self._final:
            chance = self._process.random
            pause = chance.expovariate(1 / 0.004) if status == "ok" else 0.02
            self._client.next(pause / self._client.intensity, chance.random() < 0.35)
