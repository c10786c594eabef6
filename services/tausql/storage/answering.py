"""Requests whose tau the watermark has reached, answered."""

from __future__ import annotations

from tausql.protocol.storage import Digest, Digested, NotHere, Read, ReadSchema, Rows, TooOld
from tausql.rpc.interface import Cause, Reply
from tausql.runtime import logs
from tausql.runtime.fault_points import SHORT_PAGE, fault
from tausql.runtime.host import Host
from tausql.storage.applier import Applier
from tausql.storage.digest import digest
from tausql.storage.engine import Engine, EngineFailed
from tausql.storage.metrics import StorageMetrics
from tausql.storage.reads import EntryWithoutRow, PageLimits, Reader

Request = Read | ReadSchema | Digest
SHORT = PageLimits(rows_max=1)

log = logs.get("storage")


class Answerer:
    """`usable`: whether the schema versions here are of now, whatever rows there are."""

    __slots__ = ("_applier", "_engine", "_host", "_limits", "_may_go_wrong", "_metrics", "_reader", "usable")

    def __init__(self, host: Host, engine: Engine, applier: Applier, reader: Reader, metrics: StorageMetrics) -> None:
        self._host, self._engine, self._applier, self._reader, self._metrics = host, engine, applier, reader, metrics
        self._limits = reader.limits
        self._may_go_wrong = hasattr(host, "fault_points")
        self.usable = True

    def answer(self, request: Request, reply: Reply) -> None:
        try:
            if isinstance(request, Read):
                self._read(request, reply)
            else:
                self._answer(request, reply)
        except EngineFailed as error:
            self._host.die(f"the store failed: {error}")

    def _answer(self, request: ReadSchema | Digest, reply: Reply) -> None:
        if not self.usable:
            reply.fail(Cause.unavailable, "the replica is taking a checkpoint")
        elif isinstance(request, ReadSchema):
            reply.answer(self._reader.read_schema(request))
        else:
            reply.answer(self._digest(request))

    def _read(self, request: Read, reply: Reply) -> None:
        began = self._host.monotonic()
        if self._may_go_wrong and request.scans:
            self._reader.limits = SHORT if fault(self._host, SHORT_PAGE) else self._limits
        try:
            answer = self._reader.read(request)
        except EntryWithoutRow as error:
            log.error("an index does not equal its table", why=str(error))
            reply.fail(Cause.refused, "an index entry names a row that is not there")
            return
        metrics = self._metrics
        metrics.read_seconds.observe(self._host.monotonic() - began)
        if type(answer) is Rows:
            metrics.gets += len(answer.values)
            self._meter(request)
            if answer.pages:
                metrics.scans += len(answer.pages)
                metrics.rows += sum(len(page.keys) for page in answer.pages)
        else:
            metrics.refused += 1
        reply.answer(answer)

    def _meter(self, request: Read) -> None:
        """Which shard is busy: the one of the first key asked for."""
        if request.gets:
            key = request.gets[0]
        elif request.scans:
            key = request.scans[0].low
        else:
            return
        meter = self._applier.meter_of(key)
        if meter is not None:
            meter.read(key)

    def _digest(self, request: Digest) -> Digested | TooOld | NotHere:
        if request.tau < self._reader.horizon:
            return TooOld(self._reader.horizon)
        found = self._reader.served.around(request.low)
        if found is None:
            return NotHere()
        end = found[1]
        if not end or (request.high and request.high <= end):
            return digest(self._engine, request.low, request.high, request.tau)
        answer = digest(self._engine, request.low, end, request.tau)
        if answer.resume is None:
            answer.resume = end
        return answer
