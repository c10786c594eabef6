"""Which peer's checkpoint is taken, and whose is not."""

from __future__ import annotations

from tausql.protocol.storage import CheckpointPart
from tausql.simulation.world import World
from tausql.storage.checkpoint import CheckpointTaker
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.peers import CheckpointFetcher
from tausql.storage.versions import DATA


class Peer:
    """Answers with one whole checkpoint at `watermark`."""

    def __init__(self, watermark: int) -> None:
        self.watermark = watermark
        self.asked = 0

    def take_checkpoint(self, request, on_part, on_end):
        self.asked += 1
        on_part(CheckpointPart([(DATA + b"key", b"value")], True, "fleet-1", self.watermark, []))
        return self

    def cancel(self) -> None:
        pass


def fetched(above: int, watermark: int) -> tuple[list[str], MemoryEngine]:
    world = World(1)
    told: list[str] = []
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(b"mine", b"")
    engine.write(batch)

    def build(process):
        fetcher = CheckpointFetcher(
            process,
            "storage-a",
            "fleet-1",
            (b"", b""),
            ("peer", Peer(watermark)),
            CheckpointTaker(engine),
            lambda part: told.append(f"part {part.watermark}"),
            lambda: told.append("done"),
            told.append,
            3.0,
            above=above,
        )
        fetcher.start()
        return fetcher

    world.add("storage-a", "a", build).start()
    world.run(5.0)
    return told, engine


def test_a_peer_that_is_no_further_is_of_no_help():
    for watermark in (90, 100):
        told, engine = fetched(100, watermark)
        assert told == ["the peer is no further than this replica"]
        assert engine.get(b"mine") is not None, "nothing is given away for what would be of no help"


def test_a_first_checkpoint_takes_the_place_of_all_there_is():
    told, engine = fetched(100, 110)
    assert told == ["part 110", "done"]
    assert engine.get(b"mine") is None
    assert engine.get(DATA + b"key") == b"value"
