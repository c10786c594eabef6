"""A crash keeps what was synced, and of the rest at most a beginning."""

from __future__ import annotations

import random

import pytest

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
