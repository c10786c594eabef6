"""Aggregations of a transaction: partial rows from storage, or rows folded here.

Storage folds the rows it has; rows that the transaction itself has written it has not. Where there are any in the range
the rows come over as for any scan, with the own writes laid over them, and are folded here. The same is done with the
rows that a replica of a version without aggregations answers with.
"""

from __future__ import annotations

from tausql.processor.overlay import Entry, RowOverlay, Source, StoredScanner
from tausql.processor.rows_elsewhere import values_of
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Scan
from tausql.protocol.totals import Aggregation, Folding


class StoredTotals:
    """An aggregation that nothing of the transaction's own is in the way of."""

    __slots__ = ("_aggregation", "_source", "_walk")

    def __init__(self, source: Source, scan: Scan, aggregation: Aggregation) -> None:
        self._source = source
        self._walk = StoredScanner(source, scan)
        self._aggregation = aggregation

    @property
    def examined(self) -> int:
        return self._walk.examined

    async def next_page(self) -> list[Entry]:
        """Partial rows under empty keys; of several pages a group may come several times."""
        while not self._walk.ended:
            page = await self._source.page(self._walk.scan)
            self._walk.took(page, 0)
            values = values_of(page)
            if not values:
                continue
            if page.keys[0]:
                values = folded(values, self._aggregation)
            return [(b"", value) for value in values]
        return []


class OwnTotals:
    """An aggregation over rows with own writes among them: read as rows, folded here."""

    __slots__ = ("_aggregation", "_rows")

    def __init__(self, rows: RowOverlay, aggregation: Aggregation) -> None:
        self._rows = rows
        self._aggregation = aggregation

    async def next_page(self) -> list[Entry]:
        page = await self._rows.next_page()
        return [(b"", value) for value in folded([value for _, value in page], self._aggregation)]


def folded(rows: list[bytes], aggregation: Aggregation) -> list[bytes]:
    """Rows as stored to partial rows; none to none."""
    folding = Folding(aggregation)
    folding.add([decode_stored(row) for row in rows])
    return folding.partials()


def as_rows(scan: Scan) -> Scan:
    """The scan of the rows that an aggregation would fold."""
    return Scan(scan.low, scan.high, tests=scan.tests, page_rows=scan.page_rows, sample=scan.sample)
