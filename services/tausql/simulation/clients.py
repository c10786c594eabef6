"""Clients of the simulated fleet: list-append transactions over the real protocol, noted down as they are answered.

A client is the transaction layer of a processor and nothing else: it takes a snapshot from its clock, reads from a
storage replica, commits at whoever holds the stream, and asks for the outcome where an answer is missing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tausql.protocol import adjudicator, storage
from tausql.protocol.journal import NO_EPOCH, Epoch
from tausql.protocol.keys import KeyKind, identity_key, key_encoder, relation_prefix
from tausql.protocol.tau import closing, micros_of
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fleet import Fleet
from tausql.runtime.host import ClockUnsure
from tausql.simulation.history import Attempt, Operation
from tausql.simulation.world import Process

RELATION = 20_000
READ_SECONDS, COMMIT_SECONDS = 3.0, 4.0
UNKNOWN_AFTER_SECONDS = 40.0  # with every link healed an outcome is settled long before

key_of = key_encoder(relation_prefix(1, RELATION), [KeyKind.text])
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode
_encode_body = msgspec.msgpack.Encoder().encode


class Ledger:
    """All attempts of a run, and the next unique value."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.next_value = 0

    def begin(self, client: str, now: float) -> Attempt:
        attempt = Attempt(len(self.attempts), client, now, now, "info", [])
        self.attempts.append(attempt)
        return attempt


class Client:
    """Runs one transaction after another until `stop`."""

    def __init__(self, process: Process, fleet: Fleet, ledger: Ledger, keys: int) -> None:
        self._process = process
        self._ledger = ledger
        self._keys = [f"k{number}" for number in range(keys)]
        self._storages = [
            storage.StorageClient(process.network.connect(member.address, "storage"))
            for member in fleet.nearest("storage", process.zone)
        ]
        self._adjudicators = [
            adjudicator.AdjudicatorClient(process.network.connect(member.address, "adjudicator"))
            for member in fleet.adjudicator
        ]
        self._holder: adjudicator.AdjudicatorClient | None = None
        self._epoch: Epoch = NO_EPOCH
        self._last_tau = 0
        self._running = True
        self._idle = True
        self.done = 0
        for one in self._adjudicators:
            self._watch(one)

    def _watch(self, one: adjudicator.AdjudicatorClient) -> None:
        def on_holding(holding: adjudicator.Holding) -> None:
            if holding.stream == 0 and holding.held and holding.epoch > self._epoch:
                self._holder, self._epoch = one, holding.epoch

        one.watch_holdings(on_holding, lambda _: self._again(one))

    def _again(self, one: adjudicator.AdjudicatorClient) -> None:
        self._process.later(0.05, self._watch, one)

    @property
    def idle(self) -> bool:
        return self._idle

    def stop(self) -> None:
        self._running = False

    def begin(self) -> None:
        """One random transaction, and after it the next."""
        if not self._running:
            self._idle = True
            return
        self._idle = False
        chance = self._process.random
        keys = chance.sample(self._keys, min(len(self._keys), chance.choice((1, 1, 2, 3))))
        Round(self, keys, [key for key in keys if chance.random() < 0.6]).start()

    def read_all(self, whole: Round | None = None) -> Round:
        """Begin a transaction that reads every key; its attempt is the run's last word."""
        final = Round(self, self._keys, [], final=True)
        final.start()
        return final


class Round:
    """One transaction from snapshot to verdict."""

    def __init__(self, client: Client, keys: list[str], appended: list[str], final: bool = False) -> None:
        self._client = client
        self._process = client._process
        self._world = client._process.world
        self._keys, self._appended = keys, appended
        self._final = final
        self._attempt = client._ledger.begin(self._process.name, self._world.now)
        self._tau_start = 0
        self._lists: list[list[int]] = []
        self._commit: adjudicator.Commit | None = None
        self._asked_since = 0.0

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
        chosen.read(storage.Read(self._tau_start, (), gets, []), READ_SECONDS, self._on_rows)

    def _on_rows(self, answer: Any) -> None:
        if not isinstance(answer, storage.Rows):
            self._end("fail")  # nothing was written yet
            return
        self._lists = [_decode(value) if value is not None else [] for value in answer.values]
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
            self._attempt.operations.append(Operation("read", key, values=tuple(values)))
        if self._appended:
            self._send_commit()
        else:
            self._end("ok")

    def _send_commit(self) -> None:
        holder, ledger = self._client._holder, self._client._ledger
        if holder is None:
            self._end("fail")
            return
        body: list[tuple[bytes, bytes]] = []
        writes: list[bytes] = []
        for key, values in zip(self._keys, self._lists, strict=True):
            if key in self._appended:
                ledger.next_value += 1
                self._attempt.operations.append(Operation("append", key, ledger.next_value))
                encoded = key_of((key,))
                body.append((encoded, _encode([*values, ledger.next_value])))
                writes += [encoded, identity_key(encoded)]
        deadline = closing(micros_of(self._tau_start) + int(COMMIT_SECONDS * 1e6))
        self._commit = adjudicator.Commit(
            txn=self._process.random.randbytes(16),
            tau_start=self._tau_start,
            deadline=deadline,
            stream=0,
            epoch=self._client._epoch,
            writes=writes,
            shares=[],
            schema=[],
            changes=[],
            low=body[0][0],
            high=body[-1][0],
            body=_encode_body(body),
        )
        holder.commit(self._commit, COMMIT_SECONDS, self._on_verdict)

    def _on_verdict(self, answer: Any) -> None:
        if isinstance(answer, adjudicator.Committed):
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

    def _ask(self) -> None:
        if self._world.now - self._asked_since > UNKNOWN_AFTER_SECONDS:
            self._world.mark("outcome unknown")
            self._end("info")
            return
        commit = self._commit
        assert commit is not None
        request = adjudicator.Outcome(commit.txn, commit.tau_start, commit.deadline, commit.stream, commit.epoch)
        holder = self._client._holder
        if holder is None:
            self._process.later(0.1, self._ask)
            return
        holder.outcome(request, 2.0, self._on_outcome)

    def _on_outcome(self, answer: Any) -> None:
        if isinstance(answer, adjudicator.Committed):
            self._world.mark("outcome: committed")
            self._client._last_tau = max(self._client._last_tau, answer.tau)
            self._end("ok")
        elif isinstance(answer, adjudicator.Aborted):
            self._world.mark("outcome: aborted")
            self._end("fail")
        else:
            self._process.later(0.05 + self._process.random.random() * 0.1, self._ask)

    def _end(self, status: Any) -> None:
        self._attempt.status = status
        self._attempt.completed = self._world.now
        self._client.done += status == "ok"
        if not self._final:
            pause = self._process.random.expovariate(1 / 0.004) if status == "ok" else 0.02
            self._process.later(pause, self._client.begin)
