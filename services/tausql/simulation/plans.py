"""What the map asks for changes at random: ranges between streams, streams, preferred holders, storage shards.

Whoever plans (control does) knows only what was so a while ago, and may be wrong or be two who disagree; so the plans
here are not clever, and services must make them true as far as that is safe, whatever they say.
"""

from __future__ import annotations

from tausql.protocol.fleet import Placed, Shard
from tausql.protocol.keys import relation_prefix
from tausql.simulation.clients import RELATION, key_of
from tausql.simulation.faults import Kind
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import World

STREAMS_MAX = 4
TABLES = 7  # of a workload through SQL, and their indexes
PLACES_MAX = 6


class Plans:
    """`kinds`: as of `Faults`. `cuts`: keys at which ranges may begin; a workload adds its own."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self.cuts: list[bytes] = [relation_prefix(1, 16_384 + number) for number in range(TABLES)]
        self._keys = [relation_prefix(1, RELATION), *(key_of((f"k{number}",)) for number in range(1, 6))]
        self.cuts += self._keys
        self.kinds: list[Kind] = [
            ("ranges move", self._move_ranges, 4),
            ("a stream is added", self._add_stream, 1),
            ("a stream is sealed", self._seal_stream, 1),
            ("preferred holders change", self._prefer, 1),
            ("shards change", self._change_shards, 3),
        ]

    def begin(self) -> None:
        """Draw what is wanted of a new fleet."""
        chance = self._world.random
        if chance.random() < 0.8:
            self._move_ranges()
        if chance.random() < 0.75:  # else one process soon holds all streams, and votes are given within it
            self._deal()
        if chance.random() < 0.6:
            self._change_shards()

    def _pieces(self, most: int) -> list[tuple[bytes, bytes]]:
        """All keys, cut at random."""
        chance = self._world.random
        among = sorted(set(self.cuts if chance.random() < 0.5 else self._keys))  # tables, or keys of one
        cuts = sorted(chance.sample(among, chance.randint(0, min(most, len(among)) - 1)))
        return list(zip([b"", *cuts], [*cuts, b""], strict=True))

    def _move_ranges(self) -> bool:
        streams = self._streams()
        if len(streams) < 2:
            return False
        chance = self._world.random.choice
        self._fleet.want(placement=tuple(Placed(low, high, chance(streams)) for low, high in self._pieces(PLACES_MAX)))
        self._say("placement", [f"{_short(one.low)} -> {one.stream}" for one in self._fleet.wanted.placement])
        return True

    def _streams(self) -> list[int]:
        """Those that are registered, or, now and then, that may never be."""
        wanted = list(range(self._fleet.wanted.streams))
        registered = self._fleet.streams_registered()
        return registered if len(registered) > 1 and self._world.random.random() < 0.8 else wanted

    def _add_stream(self) -> bool:
        if self._fleet.wanted.streams >= STREAMS_MAX:
            return False
        self._fleet.want(streams=self._fleet.wanted.streams + 1)
        self._say("streams", [str(self._fleet.wanted.streams)])
        self._world.at(self._world.random.choice((0.0, 0.5)), None, self._follow)
        return True

    def _follow(self) -> None:
        """The new stream may get something."""
        self._move_ranges()

    def _seal_stream(self) -> bool:
        """One less; what it owns is to go to the others."""
        streams = self._fleet.wanted.streams - 1
        if streams < 1:
            return False
        left = self._streams()[:streams]
        chance = self._world.random.choice
        placement = self._fleet.wanted.placement or (Placed(b"", b"", 0),)
        self._fleet.want(
            streams=streams,
            placement=tuple(
                one if one.stream in left else Placed(one.low, one.high, chance(left)) for one in placement
            ),
        )
        self._say("streams", [str(streams)])
        return True

    def _deal(self) -> None:
        """Streams to processes by turns."""
        names = [member.name for member in self._fleet.members["adjudicator"]]
        turns = {stream: stream % len(names) for stream in range(self._fleet.wanted.streams)}
        self._fleet.want(preferred={stream: (*names[at:], *names[:at]) for stream, at in turns.items()})

    def _prefer(self) -> bool:
        names = [member.name for member in self._fleet.members["adjudicator"]]
        chance = self._world.random
        self._fleet.want(
            preferred={
                stream: tuple(chance.sample(names, len(names)))
                for stream in range(self._fleet.wanted.streams)
                if chance.random() < 0.8
            }
        )
        self._say("preferred", [f"{stream}: {names[0]}" for stream, names in self._fleet.wanted.preferred.items()])
        return True

    def _change_shards(self) -> bool:
        """Each shard on two replicas at least, in two zones, in a fleet that has as many."""
        members = self._fleet.members["storage"]
        chance = self._world.random
        if len({member.zone for member in members}) < 2:
            return False
        shards: list[Shard] = []
        for low, high in self._pieces(PLACES_MAX):
            order = chance.sample(members, len(members))
            other = next(one for one in order if one.zone != order[0].zone)
            rest = [one for one in order[1:] if one is not other]
            replicas = [order[0], other, *rest[: chance.choice((0, 1, 1, len(rest)))]]
            shards.append(Shard(low, high, tuple(sorted(one.name for one in replicas))))
        self._fleet.want(shards=tuple(shards))
        self._say("shards", [f"{_short(one.low)} -> {' '.join(one.replicas)}" for one in shards])
        return True

    def forget(self, name: str) -> None:
        """No plan names this storage process any more."""
        others = [member.name for member in self._fleet.members["storage"] if member.name != name]
        shards = tuple(
            Shard(one.low, one.high, tuple(sorted({*(set(one.replicas) - {name}), *others[:2]})))
            for one in self._fleet.wanted.shards
        )
        self._fleet.want(shards=shards)

    def _say(self, what: str, parts: list[str]) -> None:
        self._world.note(f"wanted: {what} {', '.join(parts)}")


def _short(key: bytes) -> str:
    return key.hex() or "first"
