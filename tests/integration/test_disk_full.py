"""The journals' disks fill up: writes are refused with 53100, reads go on, and room brings writes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet, start, stop_process

from .order_load import OrderLoad, check_orders
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

DISK_MIB = 16
SETTINGS = {
    "TAUSQL_JOURNAL_SEGMENT_BYTES_MAX": str(1 << 20),
    "TAUSQL_JOURNAL_RESERVE_BYTES": str(1 << 20),
    "TAUSQL_JOURNAL_SPARE_BYTES": str(4 << 20),
}


@pytest.fixture
def small_disks(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Fleet, list[Path]]]:
    """A fleet whose three journals have a disk of 16 MiB each, and where these are mounted."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    parent = Path(tempfile.mkdtemp(prefix="tausql-disk-full-"))
    disks = [parent / "data" / f"journal-{zone}" for zone in "abc"]
    fleet: Fleet | None = None
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, parent, ignore_errors=True)
        for disk in disks:
            disk.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        fleet = start(parent / "data", "packed")
        stack.callback(stop_process, fleet.process)
        yield fleet, disks


def _fill(disk: Path) -> None:
    """Take all the room there is."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12):
            with contextlib.suppress(OSError):
                while filler.write(bytes(size)) == size:
                    pass


def test_full_disks_refuse_writes_and_lose_nothing(small_disks: tuple[Fleet, list[Path]]) -> None:
    fleet, disks = small_disks
    load = OrderLoad(fleet.connection, clients=3)
    load.prepare()
    load.start()
    try:
        until(lambda: len(load.acknowledged) > 50, "orders", load)
        for disk in disks:
            _fill(disk)
            assert os.statvfs(disk).f_bavail == 0
        until(lambda: load.errors["53100"] > 20, "the refusal", load)
        with psycopg.connect(fleet.connection, autocommit=True) as connection:
            known = set(load.acknowledged)
            assert known <= {row[0] for row in connection.execute("SELECT id FROM orders")}
            with pytest.raises(psycopg.errors.DiskFull):
                connection.execute("DELETE FROM orders WHERE id = %s", (min(known),))
        for disk in disks:
            (disk / "filler").unlink()
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before + 50, "orders again", load)
    finally:
        load.stop.set()
    load.finish()
    print(f"{len(load.acknowledged)} orders, {len(load.unknown)} of unknown outcome, errors {dict(load.errors)}")
    assert set(load.errors) <= {"53100", "40001", "40003"}, load.errors
    check_orders(fleet.connection, load)


def test_one_full_disk_of_three_is_not_noticed(small_disks: tuple[Fleet, list[Path]]) -> None:
    fleet, disks = small_disks
    load = OrderLoad(fleet.connection, clients=2)
    load.prepare()
    _fill(disks[1])
    load.start()
    try:
        until(lambda: len(load.acknowledged) > 50, "orders", load)
    finally:
        load.stop.set()
    load.finish()
    assert not set(load.errors) - {"40001"}, load.errors
    check_orders(fleet.connection, load)
