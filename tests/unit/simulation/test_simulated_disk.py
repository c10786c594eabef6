"""A crash keeps what was synced, and of the rest at most a beginning."""

from __future__ import annotations

import random

import pytest

from tausql.journal import blocks
from tausql.journal.entries import BaseEntry
from tausql.journal.store import Store
from tausql.runtime.disk import DiskFailed, DiskFull
from tausql.simulation.disk import SimulatedDisk


def disk_of(seed: int = 1, capacity: int = 1 << 20) -> SimulatedDisk:
    return SimulatedDisk(random.Random(seed), capacity)


def test_a_crash_keeps_synced_bytes_and_tears_the_rest():
    kept = set()
    for seed in range(60):
        disk = disk_of(seed)
        file = disk.open("log")
        file.append(b"synced")
        file.sync()
        file.append(b"waits")
        disk.crash()
        content = disk.open("log").read(0, 100)
        assert content.startswith(b"synced")
        assert b"syncedwaits".startswith(content)
        assert disk.used == len(content)
        kept.add(content)
    assert kept == {b"synced" + b"waits"[:size] for size in range(6)}


def test_a_truncation_that_was_not_synced_is_undone_by_a_crash():
    disk = disk_of()
    file = disk.open("log")
    file.append(b"abcdef")
    file.sync()
    file.truncate(2)
    file.append(b"X")
    disk.crash()
    assert disk.open("log").read(0, 100) == b"abcdef"


def test_a_truncation_that_was_synced_stays():
    disk = disk_of()
    file = disk.open("log")
    file.append(b"abcdef")
    file.sync()
    file.truncate(2)
    file.sync()
    disk.crash()
    assert disk.open("log").read(0, 100) == b"ab"
    assert disk.used == 2


def test_replace_is_durable_and_counts_once():
    disk = disk_of()
    disk.replace("log", b"one")
    disk.replace("log", b"three")
    disk.crash()
    assert disk.open("log").read(0, 100) == b"three"
    assert disk.free_bytes() == disk.capacity - 5


def test_a_full_disk_takes_nothing_of_an_append():
    disk = disk_of(capacity=4)
    file = disk.open("log")
    file.append(b"abc")
    with pytest.raises(DiskFull):
        file.append(b"de")
    assert file.size == 3
    disk.remove("log")
    assert disk.free_bytes() == 4


def test_a_failing_sync_fails_until_the_process_has_died():
    disk = disk_of()
    file = disk.open("log")
    file.append(b"a")
    disk.sync_fails = True
    with pytest.raises(DiskFailed):
        file.sync()
    disk.crash()
    disk.open("log").sync()


def test_a_twin_is_a_copy():
    disk = disk_of()
    disk.open("log").append(b"abc")
    disk.twin().open("log").append(b"def")
    assert disk.open("log").read(0, 100) == b"abc"


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_noticed_by_whoever_reads_the_log(seed):
    disk = disk_of(seed)
    store = Store(disk, reserve_bytes=0, spare_bytes=0)
    for number in range(1, 4):
        store.write(BaseEntry(0, (1, 1), number))
        store.flush()
    assert disk.flip()
    assert disk.damaged in disk.files
    with pytest.raises(DiskFailed):
        Store(disk, reserve_bytes=0, spare_bytes=0)


def test_no_bit_of_the_last_block_flips():
    disk = disk_of()
    store = Store(disk, reserve_bytes=0, spare_bytes=0)
    assert not disk.flip()
    store.write(BaseEntry(0, (1, 1), 1))
    store.flush()
    assert not disk.flip()
    store.write(BaseEntry(0, (1, 1), 2))
    store.flush()
    (name,) = (name for name in disk.names() if name.endswith(".log"))
    before = bytes(disk.files[name].content)
    last = [block.end for block in blocks.scan(before, name, None, True)][-2]
    assert disk.flip()
    assert disk.files[name].content[last:] == before[last:]
