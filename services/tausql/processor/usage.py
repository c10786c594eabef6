"""What Amazon CloudWatch would show of a cluster, under its own names.

Alarms and habits made for Aurora DSQL look for TotalTransactions, OccConflicts or WriteDPU. The same numbers are kept
here, per cluster, so that they can be compared. DPUs follow the published formulas, with two simplifications: what a
transaction wrote counts as one piece (rows of less than 128 bytes as 128 bytes on average, not each), and a read's
minimum of 128 bytes a partition is left out.

A label for each of very many clusters would be more series than a scrape can carry: beyond `LABELS_MAX` clusters they
count together.
"""

from __future__ import annotations

from collections.abc import Iterator

from tausql.processor.rows_elsewhere import values_of
from tausql.protocol.storage import Rows
from tausql.runtime import metrics

READ_BYTES_MIN = 2_048  # of a transaction that reads
WRITE_BYTES_MIN = 1_024  # of a transaction that writes
ROW_BYTES_MIN = 128
READ_DPU_A_BYTE = 0.00000183105
WRITE_DPU_A_BYTE = 0.00004883
COMPUTE_DPU_A_SECOND = 1.0
LABELS_MAX = 100
OTHERS = "other"


class Usage:
    """One cluster's counters, or those of all that have no label of their own."""

    __slots__ = (
        "bytes_read",
        "bytes_written",
        "commit_seconds",
        "conflicts",
        "label",
        "query_timeouts",
        "read_only_transactions",
        "seconds",
        "total_transactions",
        "units_read",
        "units_written",
    )

    def __init__(self, label: str) -> None:
        self.label = label
        self.total_transactions = 0
        self.read_only_transactions = 0
        self.query_timeouts = 0
        self.conflicts = 0  # commits refused with OC000 or OC001
        self.bytes_read = 0
        self.bytes_written = 0
        self.units_read = 0  # bytes, with the minimum of each transaction
        self.units_written = 0
        self.seconds = 0.0  # spent on clients' requests
        self.commit_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)

    def ended(self, read_only: bool, read_bytes: int) -> None:
        """A transaction is over. `read_only`: committed without having written."""
        self.total_transactions += 1
        self.read_only_transactions += read_only
        if read_bytes:
            self.bytes_read += read_bytes
            self.units_read += read_bytes if read_bytes > READ_BYTES_MIN else READ_BYTES_MIN

    def wrote(self, body_bytes: int, rows: int, seconds: float) -> None:
        """A transaction has committed with these post images; its commit took so long."""
        self.bytes_written += body_bytes
        self.units_written += max(body_bytes, rows * ROW_BYTES_MIN, WRITE_BYTES_MIN)
        self.commit_seconds.observe(seconds)


class Usages:
    """Of all clusters of a processor. `regions`: how many the fleet spans, which is what writes are charged for once
    more."""

    __slots__ = ("_by_cluster", "_in_use", "_others", "labels_max", "regions")

    def __init__(self, labels_max: int = LABELS_MAX) -> None:
        self.labels_max = labels_max
        self.regions = 1
        self._by_cluster: dict[int, Usage] = {}  # oldest first
        self._in_use: set[int] = set()
        self._others = Usage(OTHERS)

    def of(self, cluster: int) -> Usage:
        """What to count a cluster's doings with, from when it comes until `let_go`."""
        usage = self._by_cluster.get(cluster)
        if usage is None:
            if len(self._by_cluster) >= self.labels_max:
                gone = next((one for one in self._by_cluster if one not in self._in_use), None)
                if gone is None:
                    return self._others
                del self._by_cluster[gone]
            usage = self._by_cluster[cluster] = Usage(str(cluster))
        self._in_use.add(cluster)
        return usage

    def let_go(self, cluster: int) -> None:
        """Its counters stay as they are until another cluster needs their place."""
        self._in_use.discard(cluster)

    def collect(self) -> Iterator[metrics.Family]:
        """Read at scrape time."""
        usages = [*self._by_cluster.values()]
        if self._others.total_transactions or not usages:
            usages.append(self._others)
        numbers: dict[str, tuple[str, dict[tuple[str, ...], float]]] = {}
        for usage in usages:
            for name, text, number in self._numbers(usage):
                numbers.setdefault(name, (text, {}))[1][(usage.label,)] = float(number)
        for name, (text, labelled) in numbers.items():
            yield metrics.counter(f"tausql_dsql_{name}_total", text, labelled, ("cluster_id",))
        text = "CommitLatency, in seconds: from sending a commit to its verdict."
        commits: dict[tuple[str, ...], metrics.Histogram] = {(usage.label,): usage.commit_seconds for usage in usages}
        yield metrics.histogram("tausql_dsql_commit_latency_seconds", text, commits, ("cluster_id",))

    def _numbers(self, usage: Usage) -> Iterator[tuple[str, str, float]]:
        write = usage.units_written * WRITE_DPU_A_BYTE
        read = usage.units_read * READ_DPU_A_BYTE
        compute = usage.seconds * COMPUTE_DPU_A_SECOND
        elsewhere = write * (self.regions > 1)
        yield "total_transactions", "TotalTransactions.", usage.total_transactions
        yield (
            "read_only_transactions", "ReadOnlyTransactions: committed without writes.", usage.read_only_transactions
        )  # fmt: skip
        yield "query_timeouts", "QueryTimeouts: transactions that became too old.", usage.query_timeouts
        yield "occ_conflicts", "OccConflicts: commits refused with OC000 or OC001.", usage.conflicts
        yield "bytes_read", "BytesRead: rows and entries that storage sent.", usage.bytes_read
        yield "bytes_written", "BytesWritten: post images of commits.", usage.bytes_written
        yield "compute_seconds", "ComputeTime, in seconds: wall clock spent on requests.", usage.seconds
        yield "write_dpu", "WriteDPU, by the published formula.", write
        yield "read_dpu", "ReadDPU, by the published formula.", read
        yield "compute_dpu", "ComputeDPU: one a second.", compute
        yield "multi_region_write_dpu", "MultiRegionWriteDPU: WriteDPU once more.", elsewhere
        yield "total_dpu", "TotalDPU: the sum of all.", write + read + compute + elsewhere


def size_of(rows: Rows) -> int:
    """Bytes of what storage answered, keys of scanned rows included."""
    size = 0
    for value in rows.values:
        if value is not None:
            size += len(value)
    for page in rows.pages:
        size += sum(map(len, page.keys)) + sum(map(len, values_of(page)))
    return size
