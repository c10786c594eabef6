"""What Amazon CloudWatch would show of a cluster, under its own names.

Alarms and habits made for Aurora DSQL look for TotalTransactions, OccConflicts or WriteDPU. The same numbers are kept
here, per cluster, so that they can be compared. DPUs follow the published formulas, with two simplifications: what a
transaction wrote counts as one piece (rows of less than 128 bytes as 128 bytes on average, not each), and a read's
minimum of 128 bytes a partition is left out.
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


class Usage:
    """One cluster's counters. `regions`: how many its fleet spans, which is what writes are charged for once more."""

    __slots__ = (
        "bytes_read",
        "bytes_written",
        "cluster",
        "query_timeouts",
        "read_only_transactions",
        "regions",
        "total_transactions",
        "units_read",
        "units_written",
    )

    def __init__(self) -> None:
        self.cluster = 0
        self.regions = 1
        self.total_transactions = 0
        self.read_only_transactions = 0
        self.query_timeouts = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.units_read = 0  # bytes, with the minimum of each transaction
        self.units_written = 0

    def ended(self, read_only: bool, read_bytes: int) -> None:
        """A transaction is over. `read_only`: committed without having written."""
        self.total_transactions += 1
        self.read_only_transactions += read_only
        if read_bytes:
            self.bytes_read += read_bytes
            self.units_read += read_bytes if read_bytes > READ_BYTES_MIN else READ_BYTES_MIN

    def wrote(self, body_bytes: int, rows: int) -> None:
        """A transaction has committed with these post images."""
        self.bytes_written += body_bytes
        self.units_written += max(body_bytes, rows * ROW_BYTES_MIN, WRITE_BYTES_MIN)

    def collect(self, conflicts: int, commits: metrics.Histogram, seconds: float) -> Iterator[metrics.Family]:
        """`conflicts`: commits refused with OC000 or OC001; `seconds`: spent on clients' requests."""
        cluster = (str(self.cluster),)
        write = self.units_written * WRITE_DPU_A_BYTE
        read = self.units_read * READ_DPU_A_BYTE
        compute = seconds * COMPUTE_DPU_A_SECOND
        elsewhere = write * (self.regions > 1)
        for name, text, number in (
            ("total_transactions", "TotalTransactions.", self.total_transactions),
            ("read_only_transactions", "ReadOnlyTransactions: committed without writes.", self.read_only_transactions),
            ("query_timeouts", "QueryTimeouts: transactions that became too old.", self.query_timeouts),
            ("occ_conflicts", "OccConflicts: commits refused with OC000 or OC001.", conflicts),
            ("bytes_read", "BytesRead: rows and entries that storage sent.", self.bytes_read),
            ("bytes_written", "BytesWritten: post images of commits.", self.bytes_written),
            ("compute_seconds", "ComputeTime, in seconds: wall clock spent on requests.", seconds),
            ("write_dpu", "WriteDPU, by the published formula.", write),
            ("read_dpu", "ReadDPU, by the published formula.", read),
            ("compute_dpu", "ComputeDPU: one a second.", compute),
            ("multi_region_write_dpu", "MultiRegionWriteDPU: WriteDPU once more.", elsewhere),
            ("total_dpu", "TotalDPU: the sum of all.", write + read + compute + elsewhere),
        ):
            yield metrics.counter(f"tausql_dsql_{name}_total", text, {cluster: float(number)}, ("cluster_id",))
        text = "CommitLatency, in seconds: from sending a commit to its verdict."
        yield metrics.histogram("tausql_dsql_commit_latency_seconds", text, {cluster: commits}, ("cluster_id",))


def size_of(rows: Rows) -> int:
    """Bytes of what storage answered, keys of scanned rows included."""
    size = 0
    for value in rows.values:
        if value is not None:
            size += len(value)
    for page in rows.pages:
        size += sum(map(len, page.keys)) + sum(map(len, values_of(page)))
    return size
