"""What control counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from tausql.control.wanted import Wanted
from tausql.runtime import metrics


class ControlMetrics:
    """Plain numbers, read at scrape time. `watch_ages` and `peer_ages` are asked then, in seconds."""

    def __init__(self) -> None:
        self.map_changes = 0
        self.members: Mapping[tuple[str, ...], float] = {}  # by service and region
        self.followers: Callable[[], int] = lambda: 0
        self.watch_ages: Callable[[], Mapping[str, float]] = dict
        self.peer_ages: Callable[[], Mapping[str, float]] = dict
        self.leading: Callable[[], bool] = lambda: False
        self.pool: Callable[[], PoolFigures] = PoolFigures
        self.planning: PlanFigures | None = None  # None: there is no plan to tell of
        self.conflicts = 0
        self.desired = 0
        self.replicas = 0
        self._relists: Counter[str] = Counter()
        self._api_errors: Counter[str] = Counter()
        self._scalings: Counter[str] = Counter({"out": 0, "in": 0})

    def relisted(self, resource: str) -> None:
        self._relists[resource] += 1

    def api_error(self, request: str) -> None:
        self._api_errors[request] += 1

    def scaled(self, direction: str) -> None:
        self._scalings[direction] += 1

    def collect(self) -> Iterator[metrics.Family]:
        counter, gauge = metrics.counter, metrics.gauge
        prefix = "tausql_control_"
        yield counter(prefix + "map_changes_total", "Maps published.", self.map_changes)
        yield gauge(prefix + "members", "Members of the map.", self.members, ("service", "region"))
        yield gauge(prefix + "followers", "Processes that follow the map here.", self.followers())
        yield gauge(
            prefix + "watch_age_seconds",
            "Time since the API server last answered a watch; up to a minute where nothing happens.",
            _labelled(self.watch_ages()),
            ("resource",),
        )
        yield counter(prefix + "lists_total", "Times all objects were listed.", _labelled(self._relists), ("resource",))
        yield counter(
            prefix + "api_errors_total",
            "Requests to the API server that failed.",
            _labelled(self._api_errors),
            ("request",),
        )
        yield gauge(
            prefix + "peer_age_seconds",
            "Time since another region's control was last connected; 0 while it is.",
            _labelled(self.peer_ages()),
            ("region",),
        )
        yield gauge(
            prefix + "conflicts", "Members of other regions left out: name or address is taken.", self.conflicts
        )
        yield gauge(prefix + "leader", "1 where this control plans, and scales the processors.", float(self.leading()))
        yield from self._collect_plan()
        pool = self.pool()
        yield gauge(prefix + "processors_desired", "Processors wished for; 0 unless leader.", self.desired)
        yield gauge(prefix + "processors_actual", "Replicas of their Deployment; 0 unless leader.", self.replicas)
        yield gauge(prefix + "processors_heard", "Processors whose load is known; 0 unless leader.", pool.heard)
        yield gauge(prefix + "idle_processors", "Processors without a session; 0 unless leader.", pool.idle)
        yield gauge(prefix + "sessions", "Sessions at all processors; 0 unless leader.", pool.sessions)
        yield gauge(prefix + "free_sessions", "Sessions to come until all are at their target.", pool.free)
        yield counter(
            prefix + "scalings_total",
            "Changes of the number of processors.",
            _labelled(self._scalings),
            ("direction",),
        )

    def _collect_plan(self) -> Iterator[metrics.Family]:
        counter, gauge = metrics.counter, metrics.gauge
        prefix = "tausql_control_"
        plan = self.planning
        wanted = plan.wanted if plan is not None else None
        yield counter(prefix + "plan_steps_total", "Steps planned since this control leads.", plan.steps if plan else 0)
        yield gauge(prefix + "plan_streams", "Streams wanted; 0: not known yet.", wanted.streams if wanted else 0)
        yield gauge(
            prefix + "plan_ranges", "Key ranges that streams should judge.", len(wanted.placement) if wanted else 0
        )
        yield gauge(prefix + "plan_shards", "Shards that storages should keep.", len(wanted.shards) if wanted else 0)
        yield gauge(
            prefix + "plan_waiting",
            "1 while the plan waits for something that moves or is not known.",
            {(what,): float(bool(why)) for what, why in (plan.waits if plan else {}).items()},
            ("of",),
        )


class PlanFigures(Protocol):
    """The planning, when somebody scrapes."""

    @property
    def wanted(self) -> Wanted | None: ...

    @property
    def steps(self) -> int: ...

    @property
    def waits(self) -> Mapping[str, str]: ...


class PoolFigures:
    """The warm pool, when somebody scrapes."""

    __slots__ = ("free", "heard", "idle", "sessions")

    def __init__(self, heard: int = 0, idle: int = 0, sessions: int = 0, free: int = 0) -> None:
        self.heard = heard
        self.idle = idle
        self.sessions = sessions
        self.free = free


def _labelled(values: Mapping[str, float]) -> metrics.Labelled:
    return {(name,): value for name, value in values.items()}
