"""How many processors there should be, so that a connection never waits for a pod.

An autoscaler that looks at CPU starts a pod when those there are are busy already: the sessions that made them busy
have waited by then, and wait on for as long as a pod takes to start. So there is always room for more than are there,
and the room is made anew the moment it is used. The number is counted from what the processors say of themselves, as
an absolute: said twice, or by two controls at once, it is the same number.

Out at once, in slowly: the wish is the largest need of the last `scale_in_seconds`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What the need is counted with."""

    target_sessions: int
    warm_processors: int
    warm_sessions: int
    least: int
    most: int
    scale_in_seconds: float


class Scale(NamedTuple):
    """What Kubernetes says there should be."""

    replicas: int  # of the Deployment's spec
    least: int | None = None  # the autoscaler's minReplicas; None: there is no autoscaler
    most: int | None = None  # its maxReplicas


class Plan(NamedTuple):
    """What to write; None: nothing."""

    replicas: int | None = None
    least: int | None = None


def need(sessions: int, limits: PoolLimits) -> int:
    """Processors for so many sessions and those about to come."""
    target = limits.target_sessions
    busy = -(-sessions // target) + limits.warm_processors
    roomy = -(-(sessions + limits.warm_sessions) // target)
    return min(limits.most, max(limits.least, busy, roomy))


class WarmPool:
    """The wish over time, about the number that control writes: the autoscaler's floor, or where there is none, the
    Deployment's replicas.

    Begins with as many as there are: a control that has just taken over takes none away before it has looked on for
    `scale_in_seconds`.
    """

    __slots__ = ("_limits", "_replicas", "_window")

    def __init__(self, limits: PoolLimits, replicas: int, now: float) -> None:
        self._limits = limits
        self._replicas = replicas
        # (when, need), needs falling and times rising: the first is the largest. As long as `most` at the longest.
        self._window: deque[tuple[float, int]] = deque([(now, min(replicas, limits.most))])

    def wish(self, now: float, sessions: int | None) -> int:
        """How many there should be now. `sessions` None: nobody knows, so nothing changes for the while."""
        self._add(now, self._window[0][1] if sessions is None else need(sessions, self._limits))
        return self._window[0][1]

    def wrote(self, replicas: int) -> None:
        """The number is ours."""
        self._replicas = replicas

    def seen(self, now: float, replicas: int) -> None:
        """The number is `replicas`. Somebody else's raise counts as a need of that moment."""
        if replicas > self._replicas:
            self._add(now, min(replicas, self._limits.most))
        self._replicas = replicas

    def _add(self, now: float, value: int) -> None:
        window = self._window
        oldest = now - self._limits.scale_in_seconds
        while len(window) > 1 and window[-1][1] <= value:
            window.pop()
        if window[-1][1] <= value:
            window.clear()
        window.append((now, value))
        while len(window) > 1 and window[0][0] <= oldest:
            window.popleft()


def plan(wish: int, scale: Scale) -> Plan:
    """What to write so that there are `wish`.

    Where an autoscaler is, it alone takes away, and may want more for reasons of its own: its floor is moved, and the
    Deployment only ever raised, which saves the 15 s until the autoscaler looks. A Deployment scaled to 0 was turned
    off by somebody and stays so.
    """
    if scale.replicas == 0:
        return Plan()
    if scale.least is None:
        return Plan(replicas=wish if wish != scale.replicas else None)
    if scale.most is not None:
        wish = min(wish, scale.most)
    return Plan(
        replicas=wish if wish > scale.replicas else None,
        least=wish if wish != scale.least else None,
    )
