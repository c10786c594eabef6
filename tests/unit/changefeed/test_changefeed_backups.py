"""Backups: any history, read while it goes on, restored to any moment, is what was there then."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from backup_doubles import NEW, OLD, Cluster, MemoryStore, NewCluster, at, restoring, taking, tau_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.changefeed import backup_restoring, backup_taking
from tausql.changefeed.backup_following import Following
from tausql.changefeed.backup_format import Damaged, decode_manifest, encode_manifest
from tausql.changefeed.backup_restoring import RestoreFailed
from tausql.changefeed.backup_rewriting import Rewriting
from tausql.changefeed.backup_taking import BackupFailed
from tausql.protocol.keys import cluster_range, covering_value, relation_prefix
from tausql.protocol.rows import encode_stored
from tausql.sql.catalogue.system import (
    COUNTERS,
    JOBS,
    RELATIONS,
    SEQUENCES,
    JobRecord,
    decode_job,
    encode_row,
    system_keys,
)

RELATION_IDS = (RELATIONS, SEQUENCES, 16400, 16401)


def key_of(cluster: int, relation: int, number: int) -> bytes:
    return relation_prefix(cluster, relation) + bytes([1, number])


def value_of(cluster: int, form: int, number: int) -> bytes:
    """A row, an index entry, or one that covers."""
    row = encode_stored([number, "text"])
    target = key_of(cluster, 16400, number)
    return (row, target, covering_value(target, row))[form]


changes = st.lists(
    st.tuples(st.sampled_from(RELATION_IDS), st.integers(0, 6), st.one_of(st.none(), st.integers(0, 2))),
    min_size=1,
    max_size=4,
    unique_by=lambda change: change[:2],
)
histories = st.lists(changes, min_size=2, max_size=25)


def images_of(cluster: int, history):
    return [
        [
            (
                key_of(cluster, relation, number),
                None if form is None else value_of(cluster, form if relation >= 16400 else 0, step % 100),
            )
            for relation, number, form in one
        ]
        for step, one in enumerate(history)
    ]


@settings(max_examples=150, deadline=None)
@given(histories, st.integers(0, 30), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.data())
def test_any_history_restored_to_any_moment_is_what_was_there(history, before, page_rows, window, patience, data):
    lag, buffer = data.draw(st.integers(0, 6)), data.draw(st.sampled_from([1, 1 << 20]))
    old, new = images_of(OLD, history), images_of(NEW, history)
    stranger = (key_of(OLD + 1, 16400, 1), b"\x90")
    committed = [[*images, stranger] for images in old]
    cluster = Cluster(committed, min(before, len(old)), page_rows, window, patience, lag)
    store = MemoryStore()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_taking, "CHUNK_BYTES", 60)
        patch.setattr(backup_taking, "WAIT_SECONDS", 0.001)
        patch.setattr(backup_restoring, "BATCH_ROWS", 3)
        manifest = asyncio.run(taking(cluster, store, buffer=buffer).run())
        assert manifest.tau_last >= tau_of(min(before, len(old)))
        moments = [0, manifest.tau_first, manifest.tau_last]
        between = [tau_of(n) for n in range(len(old) + 1) if manifest.tau_first <= tau_of(n) <= manifest.tau_last]
        if between:
            moments.append(data.draw(st.sampled_from(between)))
        for moment in moments:
            copy = NewCluster()
            tau = asyncio.run(restoring(store, copy, moment).run())
            assert tau == (moment or manifest.tau_last)
            assert copy.rows == at(new, tau)
            assert copy.finished == 1
            assert max(copy.batches[:-1], default=0) <= 3


def backed_up(store: MemoryStore) -> None:
    history = images_of(OLD, [[(16400, 1, 0), (RELATIONS, 1, 0)], [(16400, 2, 1)]])
    asyncio.run(taking(Cluster(history, 1, 10, 5, 5), store).run())


def test_what_nobody_fetches_is_bounded_and_told_again_later():
    async def body() -> None:
        cluster = Cluster(images_of(OLD, [[(16400, number, 0)] for number in range(6)]), 6, 10, 5, 100, lag=6)
        following = Following(cluster.host, cluster, cluster_range(OLD), tau_of(0), (), 1)
        following.tend()
        cluster._step()
        assert cluster.subscription is None, "two transactions are above the limit"
        for _ in range(3):
            following.tend()
            assert cluster.subscription is None
        found = following.fetch()
        following.tend()
        while following.watermark < tau_of(6):
            cluster._step()
            found += following.fetch()
            following.tend()
        assert [tau for tau, _ in found] == [tau_of(number) for number in range(1, 7)]

    asyncio.run(body())


def test_a_file_that_was_changed_cut_or_lost_is_refused():
    store = MemoryStore()
    backed_up(store)
    whole = dict(store.files)
    name = next(name for name in whole if name != "manifest.json")
    for spoiled in (whole[name][:-1], whole[name] + b"x", bytes([whole[name][0] ^ 1]) + whole[name][1:]):
        store.files = whole | {name: spoiled}
        copy = NewCluster()
        with pytest.raises(Damaged, match="checksum"):
            asyncio.run(restoring(store, copy).run())
        assert not copy.finished
    store.files = {one: body for one, body in whole.items() if one != "manifest.json"}
    with pytest.raises(Damaged, match="no whole backup"):
        asyncio.run(restoring(store, NewCluster()).run())


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "job": 5}'])
def test_what_is_no_manifest_is_refused(manifest):
    store = MemoryStore()
    store.files["manifest.json"] = manifest
    with pytest.raises(Damaged, match="manifest"):
        asyncio.run(restoring(store, NewCluster()).run())


def test_a_file_with_a_right_checksum_and_wrong_content_is_refused():
    store = MemoryStore()
    backed_up(store)
    manifest = decode_manifest(store.files["manifest.json"])
    wrong = tuple(msgspec.structs.replace(file, items=file.items + 1) for file in manifest.files)
    store.files["manifest.json"] = encode_manifest(msgspec.structs.replace(manifest, files=wrong))
    with pytest.raises(Damaged, match="items"):
        asyncio.run(restoring(store, NewCluster()).run())


def test_moments_that_the_backup_has_not_are_refused():
    store = MemoryStore()
    backed_up(store)
    manifest = decode_manifest(store.files["manifest.json"])
    for tau, word in ((manifest.tau_first - 1, "before"), (manifest.tau_last + 1, "after")):
        with pytest.raises(RestoreFailed, match=word):
            asyncio.run(restoring(store, NewCluster(), tau).run())


def test_nobodys_backup_is_written_over_but_an_attempt_of_ones_own():
    store = MemoryStore()
    backed_up(store)
    backed_up(store)
    cluster = Cluster(images_of(OLD, [[(16400, 1, 0)]]), 1, 10, 5, 5)
    with pytest.raises(BackupFailed, match="already"):
        asyncio.run(taking(cluster, store, identifier="k" * 26).run())


def test_a_restore_that_was_finished_before_changes_nothing():
    store, copy = MemoryStore(), NewCluster()
    backed_up(store)
    copy.finished = 1
    asyncio.run(restoring(store, copy).run())
    assert copy.rows == {}


def test_jobs_go_on_in_the_new_cluster_and_a_restores_own_row_stays_behind():
    prefix = relation_prefix(OLD, 16400)
    job = JobRecord("j", "processing", "", "DROP", 1, 2, "t", 3, 4, prefix, prefix + b"\x01", "processor-a", 99)
    rewriting = Rewriting(OLD, NEW)
    image = rewriting.image(system_keys(OLD).job(("j",)), encode_row(job))
    assert image is not None
    key, value = image
    assert key == system_keys(NEW).job(("j",))
    assert key[4:8] == JOBS.to_bytes(4, "big")
    moved = decode_job(value)
    assert (moved.prefix, moved.progress) == (relation_prefix(NEW, 16400), relation_prefix(NEW, 16400) + b"\x01")
    assert (moved.worker, moved.lease) == ("", 0)
    assert rewriting.image(system_keys(OLD).counter(("restore",)), b"\x92\xff\xa1a") is None
    assert rewriting.image(system_keys(OLD).counter(("oid",)), b"\x91\x05") is not None
    assert key_of(OLD, COUNTERS, 1)[:8] == relation_prefix(OLD, COUNTERS)
