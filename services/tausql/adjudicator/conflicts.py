"""Who wrote or shared which key, and when: first committer wins.

The obvious table, last write per key for ever, has no bound; a cache with eviction per key would forget single
conflicts silently. Here keys are listed by the second in which they were last touched, whole seconds are forgotten at
a time, and what was forgotten becomes the floor: whoever started at or below it cannot be judged and is refused. So
memory is bounded and no conflict is ever missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tausql.protocol.tau import SHIFT

BUCKET_MICROS = 1_000_000  # one bucket a second: 360 for the whole window
KEY_COST_BYTES = 200  # dictionary slot, int and bytes headers, list slot: measured at 150 to 220 on CPython 3.11
SWEEP_KEYS = 64  # keys of forgotten buckets removed with every commit recorded
TAU_NEVER = 1 << 63  # above every tau


class _Bucket:
    """Keys first touched, within this bucket, at taus from `start` to `high`."""

    __slots__ = ("cost_bytes", "high", "shares", "start", "writes")

    def __init__(self, start: int) -> None:
        self.start = start
        self.high = start
        self.writes: list[bytes] = []
        self.shares: list[bytes] = []
        self.cost_bytes = 0


class Conflicts:
    """The write history of one stream's ranges. `floor` is the tau at and below which history is forgotten."""

    __slots__ = (
        "_bucket",
        "_buckets",
        "_bytes_max",
        "_expired",
        "_last_share",
        "_last_write",
        "_pending_shares",
        "_pending_writes",
        "_reserved",
        "_window",
        "cost_bytes",
        "floor",
    )

    def __init__(self, floor: int, window_micros: int = 360_000_000, bytes_max: int = 256 << 20) -> None:
        self.floor = floor
        self.cost_bytes = 0  # an estimate
        self._window = window_micros << SHIFT
        self._bytes_max = bytes_max
        self._last_write: dict[bytes, int] = {}
        self._last_share: dict[bytes, int] = {}
        self._pending_writes: dict[bytes, bytes] = {}  # key -> txn
        self._pending_shares: dict[bytes, set[bytes]] = {}  # key -> txns
        self._reserved: dict[bytes, tuple[Sequence[bytes], Sequence[bytes]]] = {}  # txn -> its pending keys
        self._bucket = _Bucket(floor)
        self._buckets: deque[_Bucket] = deque((self._bucket,))
        self._expired: deque[_Bucket] = deque()

    def __len__(self) -> int:
        """Keys remembered, forgotten ones that are not swept yet included."""
        return len(self._last_write) + len(self._last_share)

    def find(self, txn: bytes, tau_start: int, writes: Sequence[bytes], shares: Sequence[bytes]) -> bytes | None:
        """The first key on which `txn` loses, or None. Only meaningful for tau_start above `floor`."""
        last_write = self._last_write.get
        last_share = self._last_share
        for key in writes:
            if last_write(key, 0) > tau_start or (last_share and last_share.get(key, 0) > tau_start):
                return key
        for key in shares:
            if last_write(key, 0) > tau_start:
                return key
        if self._reserved:
            return self._find_pending(txn, writes, shares)
        return None

    def _find_pending(self, txn: bytes, writes: Sequence[bytes], shares: Sequence[bytes]) -> bytes | None:
        for key in writes:
            if self._pending_writes.get(key, txn) != txn or self._pending_shares.get(key, {txn}) != {txn}:
                return key
        for key in shares:
            if self._pending_writes.get(key, txn) != txn:
                return key
        return None

    def record(self, tau: int, writes: Sequence[bytes], shares: Sequence[bytes]) -> None:
        """These keys were written and shared at `tau`, the highest yet."""
        bucket = self._bucket
        if tau >= bucket.start + (BUCKET_MICROS << SHIFT):
            bucket = self._bucket = _Bucket(tau)
            self._buckets.append(bucket)
        start = bucket.start
        if tau > bucket.high:
            bucket.high = tau
        cost = 0
        if writes:
            last = self._last_write
            listed = bucket.writes
            for key in writes:
                if last.get(key, -1) < start:
                    listed.append(key)
                    cost += KEY_COST_BYTES + len(key)
                last[key] = tau
        if shares:
            last = self._last_share
            listed = bucket.shares
            for key in shares:
                known = last.get(key, -1)
                if known < start:
                    listed.append(key)
                    cost += KEY_COST_BYTES + len(key)
                if known < tau:  # a share that was voted for may lie above: sharers do not refuse each other
                    last[key] = tau
        if cost:
            self._count(bucket, cost)
        if self._expired:
            self._sweep(SWEEP_KEYS)

    def record_voted(self, tau: int, writes: Sequence[bytes], shares: Sequence[bytes]) -> None:
        """The same for keys that were pending: `tau` is another stream's, and need not be the highest yet."""
        bucket = self._bucket
        if tau > bucket.high:
            bucket.high = tau
        for keys, last, listed in (
            (writes, self._last_write, bucket.writes),
            (shares, self._last_share, bucket.shares),
        ):
            for key in keys:
                listed.append(key)
                last[key] = max(tau, last.get(key, 0))
        self._count(bucket, sum(KEY_COST_BYTES + len(key) for keys in (writes, shares) for key in keys))

    def _count(self, bucket: _Bucket, cost_bytes: int) -> None:
        bucket.cost_bytes += cost_bytes
        self.cost_bytes += cost_bytes
        if self.cost_bytes > self._bytes_max:
            self._shrink()

    def prune(self, tau_now: int, keys_max: int = 4096) -> None:
        """Forget what is older than the window, removing at most about `keys_max` keys. Call a few times a second."""
        oldest = tau_now - self._window
        while len(self._buckets) > 1 and self._buckets[0].high <= oldest:
            self._forget_oldest()
        self._sweep(keys_max)

    def reserve(self, txn: bytes, writes: Sequence[bytes], shares: Sequence[bytes]) -> None:
        """Mark the keys of `txn` pending: it may commit elsewhere. `find` has just said that they are free."""
        self.release(txn)
        self._reserved[txn] = (writes, shares)
        for key in writes:
            self._pending_writes[key] = txn
        for key in shares:
            self._pending_shares.setdefault(key, set()).add(txn)

    def release(self, txn: bytes) -> None:
        """`txn` is settled. Does nothing for a transaction without pending keys."""
        writes, shares = self._reserved.pop(txn, ((), ()))
        for key in writes:
            self._pending_writes.pop(key, None)
        for key in shares:
            txns = self._pending_shares.get(key)
            if txns is not None:
                txns.discard(txn)
                if not txns:
                    del self._pending_shares[key]

    def _shrink(self) -> None:
        """Over the budget: forget the oldest bucket, the present one included if there is no other."""
        if len(self._buckets) == 1:
            bucket = self._bucket = _Bucket(self._bucket.high + 1)
            self._buckets.append(bucket)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        bucket = self._buckets.popleft()
        self.cost_bytes -= bucket.cost_bytes
        if bucket.high > self.floor:
            self.floor = bucket.high
        if bucket.writes or bucket.shares:
            self._expired.append(bucket)

    def _sweep(self, keys_max: int) -> None:
        """Remove keys of forgotten buckets that no later bucket lists as well."""
        while self._expired and keys_max > 0:
            bucket = self._expired[0]
            for listed, last in ((bucket.writes, self._last_write), (bucket.shares, self._last_share)):
                while listed and keys_max > 0:
                    key = listed.pop()
                    keys_max -= 1
                    if last.get(key, TAU_NEVER) <= bucket.high:
                        del last[key]
            if not bucket.writes and not bucket.shares:
                self._expired.popleft()
