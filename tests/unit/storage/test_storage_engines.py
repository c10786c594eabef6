"""Both engines keep the contract: batches are atomic, in order, and survive what they promise to survive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from storage_model import make_engine

from tausql.crossbar.app import create_app as create_crossbar_app
from tausql.storage.app import create_app as create_storage_app
from tausql.storage.engine import EngineFailed
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.store import RocksEngine

WRITER = """
import os, sys
from pathlib import Path
from tausql.storage.store import RocksEngine
engine = RocksEngine(Path(sys.argv[1]), write_buffer_bytes=1 << 16)
for number in range(2000):
    batch = engine.batch()
    batch.put(b"d%06d" % number, b"x" * 50)
    batch.put(b"m", b"%d" % number)
    engine.write(batch)
os._exit(9)
"""


def put(engine, **entries: bytes) -> None:
    batch = engine.batch()
    for key, value in entries.items():
        batch.put(key.encode(), value)
    engine.write(batch)


@pytest.mark.parametrize("kind", ["memory", "rocks"])
def test_iterators_walk_both_ways(kind, tmp_path):
    engine = make_engine(kind, tmp_path)
    put(engine, a=b"1", b=b"2", d=b"4")
    iterator = engine.iterate()
    iterator.seek(b"b")
    assert (iterator.key(), iterator.value()) == (b"b", b"2")
    iterator.seek(b"c")
    assert iterator.key() == b"d"
    iterator.next()
    assert not iterator.valid()
    iterator.status()
    iterator.seek_for_prev(b"c")
    assert iterator.key() == b"b"
    iterator.prev()
    assert iterator.key() == b"a"
    iterator.prev()
    assert not iterator.valid()
    batch = engine.batch()
    batch.delete(b"a")
    batch.put(b"b", b"3")
    engine.write(batch)
    assert (engine.get(b"a"), engine.get(b"b")) == (None, b"3")
    engine.flush()
    assert engine.size_bytes() > 0
    engine.clear()
    assert engine.get(b"b") is None
    engine.close()


def test_an_iterator_of_the_memory_engine_is_not_used_after_a_write():
    engine = MemoryEngine()
    put(engine, a=b"1")
    iterator = engine.iterate()
    put(engine, b=b"1")
    with pytest.raises(RuntimeError, match="after a write"):
        iterator.seek(b"a")


def test_crashes_of_the_memory_engine_leave_a_prefix_with_everything_flushed():
    lost = set()
    for seed in range(60):
        engine = MemoryEngine()
        for number in range(10):
            put(engine, n=b"%d" % number, **{f"k{number}": b"x"})
            if number == 4:
                engine.flush()
        engine.crash(Random(seed))
        last = int(engine.get(b"n") or b"-1")
        assert last >= 4
        assert [engine.get(b"k%d" % number) is not None for number in range(10)] == [n <= last for n in range(10)]
        lost.add(9 - last)
    assert lost == {0, 1, 2, 3, 4, 5}


def test_what_was_written_survives_the_process(tmp_path):
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "db")], check=False, timeout=60)
    assert done.returncode == 9
    engine = RocksEngine(tmp_path / "db")
    assert engine.get(b"m") == b"1999"
    assert all(engine.get(b"d%06d" % number) == b"x" * 50 for number in range(2000))
    engine.close()


def test_a_store_that_cannot_be_opened_says_so(tmp_path):
    engine = RocksEngine(tmp_path)
    with pytest.raises(EngineFailed, match="cannot open"):
        RocksEngine(Path(tmp_path))
    engine.close()


def test_both_apps_have_the_routes_every_service_has():
    class Service:
        class metrics:
            @staticmethod
            def collect():
                return []

        @staticmethod
        def ready():
            return True, ""

        @staticmethod
        def status():
            return {}

    for create in (create_crossbar_app, create_storage_app):
        paths = {getattr(route, "path", "") for route in create(Service()).routes}
        assert {"/livez", "/readyz", "/metrics", "/status"} <= paths
