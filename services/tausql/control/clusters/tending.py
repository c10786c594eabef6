"""What happens to clusters by itself: they become active, fall asleep, wake up; what is left of deleted ones goes.

Every control does all of it whenever it is due; two that do it at once decide one after the other, and the second finds
nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from tausql.control.clusters import backups
from tausql.control.clusters.records import Cluster, Leftover, Status
from tausql.control.clusters.tokens import outlived
from tausql.control.identities.records import Session
from tausql.control.system.state import Decision, Image

AGAIN_SECONDS = 600.0  # twice what a transaction may last
BATCH_MAX = 100  # records that one change puts or removes
_SETTLING = {Status.creating: Status.active, Status.updating: Status.active}


class Sleep(NamedTuple):
    """How long nobody must have been there."""

    idle_seconds: float
    inactive_seconds: float

    @property
    def note_seconds(self) -> float:
        """A cluster in use is noted as such so often: writes must not follow every connection."""
        return min(self.idle_seconds, self.inactive_seconds) / 6


def settle(image: Image) -> Decision[None]:
    """What is being made or changed is ready."""
    unready = backups.restoring(image)
    settling = [
        cluster
        for cluster in image.of(Cluster).values()
        if cluster.status in _SETTLING and cluster.identifier not in unready
    ]
    return Decision(None, [replace(one, status=_SETTLING[one.status]) for one in settling[:BATCH_MAX]])


def sleep(image: Image, used: Mapping[str, float], now: float, limits: Sleep) -> Decision[None]:
    """used: when somebody was there last, as the own frontends say."""
    puts: list[Cluster] = []
    for cluster in image.of(Cluster).values():
        if cluster.status not in (Status.active, Status.idle, Status.inactive):
            continue
        at = max(cluster.used_at, used.get(cluster.identifier, 0.0))
        status = Status.active
        if now - at >= limits.inactive_seconds:
            status = Status.inactive
        elif now - at >= limits.idle_seconds:
            status = Status.idle
        if status is not cluster.status or at - cluster.used_at >= limits.note_seconds:
            puts.append(replace(cluster, status=status, used_at=at))
    return Decision(None, puts[:BATCH_MAX])


def forget(image: Image, now: float) -> Decision[None]:
    """Answers nobody asks for again, and credentials that have run out."""
    old = [*outlived(image, now), *(one for one in image.of(Session).values() if one.expires_at <= now)]
    return Decision(None, (), old[:BATCH_MAX])


def unwanted(image: Image, now: float) -> list[int]:
    """Numbers whose data is to be removed: all their clusters are being deleted, or are gone."""
    clusters = image.of(Cluster).values()
    alive = {cluster.number for cluster in clusters if cluster.status is not Status.deleting}
    numbers = {cluster.number for cluster in clusters if cluster.status is Status.deleting} - alive
    again = {left.number for left in image.of(Leftover).values() if left.again_at <= now}
    return sorted(numbers | again)


def shared(image: Image) -> Decision[None]:
    """Deleted clusters whose data another cluster has as well: nothing but the record goes."""
    clusters = image.of(Cluster).values()
    alive = {cluster.number for cluster in clusters if cluster.status is not Status.deleting}
    gone = [one for one in clusters if one.status is Status.deleting and one.number in alive]
    return Decision(None, (), gone[:BATCH_MAX])


def removed(image: Image, number: int, now: float) -> Decision[None]:
    """Nothing is left of that number; its clusters are gone. A transaction that was under way may still bring
    something: it is looked for once more."""
    gone = [one for one in image.of(Cluster).values() if one.number == number and one.status is Status.deleting]
    left = image.of(Leftover).get(str(number))
    if left is not None and left.again_at <= now:
        return Decision(None, (), (left,))
    return Decision(None, (Leftover(number, now + AGAIN_SECONDS),) if gone else (), gone)
