"""Which peer's checkpoint is taken, and whose is not."""

from __future__ import annotations

from tausql.protocol.storage import CheckpointPart
from tausql.simulation.world import World
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.peers import CheckpointFetcher
from tausql.storage.versions import DATA


class Peer:
    """Answers with one whole checkpoint at `watermark`."""

    def __init__(self, watermark: int) -> None:
        self.watermark = watermark
        self.asked = 0

    def take_checkpoint(self, replica, on_part, on_end):
        self.asked += 1
        on_part(CheckpointPart([(DATA + b"key", b"value")], True, "fleet-1", self.watermark, []))
        return self

    def cancel(self) -> None:
        pass


def test_a_peer_that_is_no_further_is_passed_over():
    world = World(1)
    peers = {"behind": Peer(90), "level": Peer(100), "further": Peer(110)}
    taken: list[int] = []
    done: list[str] = []
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(b"mine", b"")
    engine.write(batch)

    def build(process):
        fetcher = CheckpointFetcher(
            process,
            engine,
            "storage-a",
            "fleet-1",
            list(peers.items()),
            lambda part: taken.append(part.watermark),
            lambda: done.append("done"),
            3.0,
            above=100,
        )
        fetcher.start()
        return fetcher

    world.add("storage-a", "a", build).start()
    assert engine.get(b"mine") is not None, "nothing is given away for what would be of no help"
    world.run(5.0)
    assert taken == [110]
    assert done == ["done"]
    assert engine.get(b"mine") is None
    assert [peer.asked for peer in peers.values()] == [1, 1, 1]
