"""How much is read and written where, so that a shard that is too busy can be cut in the middle of its load.

Counting every key would cost more than reading it. A meter counts operations, and keeps every sixteenth key among the
last few hundred: their median is where half of the load lies on either side.
"""

from __future__ import annotations

from tausql.protocol.crossbar import Delivered

SAMPLE_EVERY = 16  # a power of two
SAMPLES = 256
_DECAY = 0.9  # of what was counted, a second


class Meter:
    """Of one shard. `written_bytes` grow for ever; `reads_per_second` and `writes_per_second` are of the last ten
    seconds or so."""

    __slots__ = (
        "_at",
        "_reads_before",
        "_samples",
        "_writes_before",
        "reads",
        "reads_per_second",
        "writes",
        "writes_per_second",
        "written_bytes",
    )

    def __init__(self) -> None:
        self.reads = self.writes = self.written_bytes = 0
        self.reads_per_second = self.writes_per_second = 0.0
        self._reads_before = self._writes_before = 0
        self._samples: list[bytes] = []
        self._at = 0

    def read(self, key: bytes) -> None:
        self.reads += 1
        if not self.reads & (SAMPLE_EVERY - 1):
            self._keep(key)

    def wrote(self, key: bytes, size: int) -> None:
        self.writes += 1
        self.written_bytes += size
        if not self.writes & (SAMPLE_EVERY - 1):
            self._keep(key)

    def wrote_all(self, first: bytes, count: int, record: Delivered) -> None:
        """A transaction's rows at once, where there is but one shard."""
        before = self.writes // SAMPLE_EVERY
        self.writes += count
        self.written_bytes += len(record.body)
        if self.writes // SAMPLE_EVERY != before:
            self._keep(first)

    def tick(self, seconds: float) -> None:
        """Called about every second."""
        keep = _DECAY**seconds
        gain = (1.0 - keep) / seconds
        self.reads_per_second = self.reads_per_second * keep + (self.reads - self._reads_before) * gain
        self.writes_per_second = self.writes_per_second * keep + (self.writes - self._writes_before) * gain
        self._reads_before, self._writes_before = self.reads, self.writes

    def middle(self) -> bytes | None:
        """A key with about half of the load below it; None while too little was seen."""
        if len(self._samples) < SAMPLES // 4:
            return None
        ordered = sorted(self._samples)
        found = ordered[len(ordered) // 2]
        return found if found > ordered[0] else None

    def halved(self, key: bytes) -> Meter:
        """The shard is cut at `key`: what goes with the upper part."""
        upper = Meter()
        upper._samples = [one for one in self._samples if one >= key]
        self._samples = [one for one in self._samples if one < key]
        self._at = upper._at = 0
        for name in ("reads_per_second", "writes_per_second"):
            half = getattr(self, name) / 2
            setattr(self, name, half)
            setattr(upper, name, half)
        return upper

    def join(self, upper: Meter) -> None:
        self.reads_per_second += upper.reads_per_second
        self.writes_per_second += upper.writes_per_second
        self._samples = (self._samples + upper._samples)[-SAMPLES:]
        self._at = 0

    def _keep(self, key: bytes) -> None:
        if len(self._samples) < SAMPLES:
            self._samples.append(key)
        else:
            self._samples[self._at] = key
            self._at = (self._at + 1) % SAMPLES
