"""The log on disk: what a crash, a flipped bit, a full disk and trimming may and may not do to it."""

from __future__ import annotations

import errno
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.journal import store as store_module
from tausql.journal.entries import BaseEntry, LogEntry, MemberEntry
from tausql.journal.store import Store, segment_name
from tausql.protocol.journal import Record
from tausql.runtime.check import InvariantViolation
from tausql.runtime.disk import DiskFailed, DiskFull, FolderDisk
from tausql.simulation.disk import SimulatedDisk

EPOCH = (1, 7)


def record(seq, epoch=EPOCH, size=20):
    return Record(epoch, seq, 100 * epoch[0] + seq, 3, bytes([seq % 256]) * size)


def open_store(disk, **options):
    return Store(disk, **{"reserve_bytes": 0, "spare_bytes": 0, **options})


def append(store, stream, first, count, epoch=EPOCH, keep=None, limit=0, size=20):
    state = store.stream(stream)
    records = [record(seq, epoch, size) for seq in range(first, first + count)]
    limit = max(limit, state.limit)
    store.write(LogEntry(stream, max(epoch, state.promised), limit, first - 1 if keep is None else keep, records))


def contents(store):
    """Everything the store says, to compare."""
    return (
        store.member,
        {
            stream: (state.summary(), store.read(stream, state.trim_seq + 1, 1 << 30))
            for stream, state in sorted(store.streams.items())
            if not state.blank
        },
    )


def written_log():
    """Promises, cuts and two streams in several flushes: (bytes, [(size, contents) after each flush])."""
    disk = SimulatedDisk(random.Random(1))
    store = open_store(disk)
    states = [(0, contents(store))]

    def flush():
        store.flush()
        states.append((disk.files[segment_name(1)].size, contents(store)))

    store.write(MemberEntry("a", ("a", "b"), 5, (), False, (5, 0)))
    flush()
    append(store, 0, 1, 3, limit=900)
    append(store, 4, 1, 2)
    flush()
    store.write(LogEntry(0, (2, 9), 900, 3, []))
    flush()
    append(store, 0, 3, 2, epoch=(2, 9), keep=2)
    append(store, 0, 5, 1, epoch=(2, 9))
    flush()
    return bytes(disk.files[segment_name(1)].content), states


def disk_with(data):
    disk = SimulatedDisk(random.Random(2))
    disk.replace(segment_name(1), data)
    return disk


def test_crash_at_every_byte_leaves_a_prefix_with_all_that_was_synced():
    data, states = written_log()
    for size in range(len(data) + 1):
        store = open_store(disk_with(data[:size]))
        synced = max((at, number) for number, (at, _) in enumerate(states) if at <= size)[1]
        assert contents(store) == states[synced][1]
        append(store, 9, 1, 2)
        store.flush()
        again = open_store(store._disk)
        assert contents(again) == contents(store)


def test_every_flipped_bit_before_the_last_block_is_found():
    data, states = written_log()
    last = states[-2][0]
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        disk = disk_with(bytes(flipped))
        if place < last:
            with pytest.raises(DiskFailed):
                open_store(disk)
        else:
            assert contents(open_store(disk)) == states[-2][1]


def test_a_record_that_rots_under_a_running_store_is_found():
    disk = SimulatedDisk(random.Random(1))
    store = open_store(disk, cache_bytes_max=0)
    append(store, 0, 1, 3)
    store.flush()
    disk.files[segment_name(1)].content[-5] ^= 4
    with pytest.raises(DiskFailed, match="bad checksum"):
        store.read(0, 1, 100)


def test_a_missing_segment_is_found():
    disk = SimulatedDisk(random.Random(1))
    store = open_store(disk, segment_bytes_max=200)
    for seq in range(1, 20):
        append(store, 0, seq, 1)
        store.flush()
    assert len(store.segments) > 3
    disk.remove(segment_name(2))
    with pytest.raises(DiskFailed, match="missing"):
        open_store(disk, segment_bytes_max=200)


def test_a_failed_sync_is_fatal():
    disk = SimulatedDisk(random.Random(1))
    store = open_store(disk)
    append(store, 0, 1, 1)
    disk.sync_fails = True
    with pytest.raises(DiskFailed):
        store.flush()


def test_full_disk_refuses_records_yet_takes_promises():
    disk = SimulatedDisk(random.Random(1), capacity=70_000)
    store = open_store(disk, reserve_bytes=20_000, spare_bytes=10_000)
    seq = 0
    while store.has_room(1000):
        seq += 1
        append(store, 0, seq, 1, size=1000)
        store.flush()
    assert 30 < seq < 45
    filler = disk.open("other")
    filler.append(bytes(disk.free_bytes()))  # somebody else takes the rest
    for counter in range(2, 50):
        store.write(LogEntry(0, (counter, 7), 0, seq, []))
        store.flush()
    assert not store.has_room(1)
    filler.truncate(0)
    disk.capacity += 5000
    assert store.has_room(1000)  # the reserve is laid by again first
    assert disk.files["reserve"].size == 20_000
    assert open_store(disk).streams[0].promised == (49, 7)


def test_nothing_left_at_all_is_fatal():
    disk = SimulatedDisk(random.Random(1), capacity=2000)
    store = open_store(disk)
    append(store, 0, 1, 1, size=3000)
    with pytest.raises(DiskFailed, match="no room"):
        store.flush()


def rolled_store(disk, streams=(0, 5)):
    store = open_store(disk, segment_bytes_max=400, cache_bytes_max=500)
    for seq in range(1, 41):
        for stream in streams:
            append(store, stream, seq, 1, limit=seq)
        store.flush()
    return store


def test_trimming_drops_whole_segments_and_a_replay_agrees(monkeypatch):
    monkeypatch.setattr(store_module, "_CARRY_RECORDS_MAX", 0)
    disk = SimulatedDisk(random.Random(1))
    store = rolled_store(disk)
    segments = len(store.segments)
    store.trim({0: 25})
    store.flush()
    assert store.streams[0].trim_seq == 0  # stream 5 still wants them all
    store.trim({0: 25, 5: 12})
    store.flush()
    assert 5 < store.streams[5].trim_seq <= 12
    assert store.streams[0].trim_seq <= 25
    assert len(store.segments) < segments
    assert len([name for name in disk.names() if name.endswith(".log")]) == len(store.segments)
    before = contents(store)
    disk.crash()
    reopened = open_store(disk, segment_bytes_max=400)
    assert contents(reopened) == before
    assert reopened.streams[0].limit == 40
    first = reopened.streams[5].trim_seq + 1
    assert [r.seq for r in reopened.read(5, first, 1 << 30)] == list(range(first, 41))


def test_crash_between_trim_points_and_removal_loses_nothing():
    disk = SimulatedDisk(random.Random(1))
    store = rolled_store(disk)
    remove, disk.remove = disk.remove, lambda name: None
    store.trim({0: 40, 5: 40})
    store.flush()
    before = contents(store)
    disk.remove = remove
    disk.crash()
    assert contents(open_store(disk, segment_bytes_max=400)) == before


def test_a_log_behind_the_trim_point_begins_anew():
    disk = SimulatedDisk(random.Random(1))
    store = open_store(disk)
    append(store, 0, 1, 5)
    store.write(LogEntry(0, (4, 7), 0, 5, []))
    store.write(BaseEntry(0, (4, 7), 30))
    append(store, 0, 31, 2, epoch=(4, 7))
    store.flush()
    state = open_store(disk).streams[0]
    assert (state.trim_epoch, state.trim_seq, state.last_seq) == ((4, 7), 30, 32)
    assert state.history() == (((4, 7), 31),)


def test_a_promise_or_a_limit_that_falls_is_a_broken_invariant():
    store = open_store(SimulatedDisk(random.Random(1)))
    store.write(LogEntry(0, (4, 7), 50, 0, []))
    with pytest.raises(InvariantViolation, match="I12"):
        store.write(LogEntry(0, (3, 7), 50, 0, []))
    with pytest.raises(InvariantViolation, match="I12"):
        store.write(LogEntry(0, (4, 7), 49, 0, []))


@pytest.mark.parametrize(
    "records",
    [[record(2)], [record(1), record(3)], [record(1), Record(EPOCH, 2, 5, 3, b"")], [record(1, (2, 0)), record(2)]],
)
def test_records_out_of_order_are_a_broken_invariant(records):
    store = open_store(SimulatedDisk(random.Random(1)))
    with pytest.raises(InvariantViolation, match="I1"):
        store.write(LogEntry(0, (2, 0), 0, 0, records))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_store_agrees_with_a_list_over_crashes_cuts_and_trims(data):
    disk = SimulatedDisk(random.Random(data.draw(st.integers(0, 1 << 30))))
    options = {"segment_bytes_max": data.draw(st.sampled_from([100, 500, 5000])), "cache_bytes_max": 300}
    store = open_store(disk, **options)
    logs: dict[int, list[Record]] = {0: [], 1: []}
    synced = {stream: list(log) for stream, log in logs.items()}
    epoch = 1
    for _ in range(data.draw(st.integers(1, 30))):
        stream = data.draw(st.integers(0, 1))
        log = logs[stream]
        trimmed = store.stream(stream).trim_seq
        move = data.draw(st.sampled_from(["append", "append", "cut", "trim", "flush", "crash"]))
        if move == "append" or (move == "cut" and len(log) == trimmed):
            count = data.draw(st.integers(1, 3))
            append(store, stream, len(log) + 1, count, (epoch, 1))
            log += [record(seq, (epoch, 1)) for seq in range(len(log) + 1, len(log) + 1 + count)]
        elif move == "cut":
            epoch += 1
            keep = data.draw(st.integers(trimmed, len(log)))
            append(store, stream, keep + 1, 1, (epoch, 1), keep=keep)
            logs[stream] = [*log[:keep], record(keep + 1, (epoch, 1))]
        elif move == "trim":
            store.flush()
            synced = {number: list(one) for number, one in logs.items()}
            store.trim({number: data.draw(st.integers(0, len(one))) for number, one in logs.items()})
        elif move == "flush":
            store.flush()
            synced = {number: list(one) for number, one in logs.items()}
        else:
            attempted = {number: list(one) for number, one in logs.items()}
            disk.crash()
            store = open_store(disk, **options)
            for number in logs:
                state = store.stream(number)
                found = store.read(number, state.trim_seq + 1, 1 << 30)
                assert found in (attempted[number][state.trim_seq :], synced[number][state.trim_seq :])
                logs[number] = [*attempted[number][: state.trim_seq], *found]
            synced = {number: list(one) for number, one in logs.items()}
        for number, one in logs.items():
            state = store.stream(number)
            assert store.read(number, state.trim_seq + 1, 1 << 30) == one[state.trim_seq :]


def test_a_folder_of_real_files_keeps_the_log(tmp_path):
    disk = FolderDisk(tmp_path)
    store = open_store(disk, segment_bytes_max=400, reserve_bytes=1000)
    for seq in range(1, 31):
        append(store, 0, seq, 1)
        store.flush()
    store.trim({0: 20})
    store.flush()
    before = contents(store)
    disk.close()
    with (tmp_path / segment_name(store.segments[-1])).open("ab") as file:
        file.write(b"torn")
    disk = FolderDisk(tmp_path)
    store = open_store(disk, segment_bytes_max=400, reserve_bytes=1000)
    assert store.torn_bytes == 4
    assert contents(store) == before
    assert (tmp_path / "reserve").stat().st_size == 1000
    assert disk.free_bytes() > 0
    disk.close()


def test_a_write_that_finds_no_room_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    disk = FolderDisk(tmp_path)
    file = disk.open("f")
    file.append(b"kept")
    write = os.pwrite
    calls = []

    def short(descriptor, data, offset):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "no room")
        return write(descriptor, data[:3], offset)

    monkeypatch.setattr(os, "pwrite", short)
    with pytest.raises(DiskFull):
        file.append(b"too much")
    assert (file.size, (tmp_path / "f").read_bytes()) == (4, b"kept")
    calls.clear()
    with pytest.raises(DiskFull):
        disk.replace("f", b"something else")
    assert disk.names() == ["f"]
    monkeypatch.undo()
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: write(-1, b"", 0))
    with pytest.raises(DiskFailed):
        file.sync()
    file.close()
    disk.close()


def test_a_read_is_never_larger_than_asked_but_for_one_entry():
    store = open_store(SimulatedDisk(random.Random(1)))
    for seq in range(1, 9):
        record = Record((1, 1), seq, 100 * seq, 3, bytes(1000 if seq != 5 else 5000))
        store.write(LogEntry(0, (1, 1), 0, seq - 1, [record]))
    store.flush()
    sizes = [[len(record.payload) for record in store.read(0, seq, 2500)] for seq in range(1, 9)]
    assert sizes == [[1000, 1000]] * 3 + [[1000], [5000], [1000, 1000], [1000, 1000], [1000]]


def test_a_torn_record_that_holds_what_looks_like_a_block_is_cut():
    other, disk = SimulatedDisk(random.Random(1)), SimulatedDisk(random.Random(1))
    store = open_store(other)
    append(store, 0, 1, 1)
    store.flush()
    block = bytes(other.files[segment_name(1)].content)
    store = open_store(disk)
    append(store, 0, 1, 1)
    store.flush()
    synced = contents(store)
    whole = len(disk.files[segment_name(1)].content)
    store.write(LogEntry(0, EPOCH, 0, 1, [Record(EPOCH, 2, 10_000_000, 3, block)]))
    store.flush()
    data = bytes(disk.files[segment_name(1)].content)
    for size in range(whole, len(data)):
        assert contents(open_store(disk_with(data[:size]))) == synced
