"""Breaks a release on Kubernetes, through its API and by commands of the user's for what the API cannot do.

    kill      delete a pod without grace: its name and address are free at once, the container may live a moment longer,
              so this makes zombies, too
    restart   delete a pod as Kubernetes does: preStop, SIGTERM, drain, end
    rollout   restart every pod of a service, as `kubectl rollout restart` does
    cordon    make a node unschedulable and delete the release's pods there; schedulable again afterwards
    node      `--node-kill-command`, later `--node-start-command`, with {node} and {zone} filled in

Pods are found by their labels, never by name.
"""

from __future__ import annotations

import datetime
import shlex
import subprocess
from collections.abc import Callable

from tausql.chaos.faults import BackendError, Blow, Fault, Victim
from tausql.chaos.kubernetes_api import COMPONENT, KubernetesApi, Pod
from tausql.chaos.observed import holds_stream, moved_sessions

SERVICES = (
    "journal",
    "adjudicator",
    "crossbar",
    "storage",
    "timekeeper",
    "processor",
    "frontend",
    "control",
    "changefeed",
)
COMMAND_SECONDS = 120.0


class KubernetesBackend:
    """One release. `tell` hears once when pods cannot be asked how they are."""

    def __init__(
        self,
        api: KubernetesApi,
        release: str,
        tell: Callable[[str], None],
        node_kill_command: str = "",
        node_start_command: str = "",
    ) -> None:
        self.name = f"release {release} in namespace {api.namespace}"
        self.api = api
        self._labels = f"app.kubernetes.io/name=tausql,app.kubernetes.io/instance={release}"
        self._tell = tell
        self._kill_command = node_kill_command
        self._start_command = node_start_command
        self._told = False

    # what there is

    def _of(self, component: str) -> str:
        return f"{self._labels},{COMPONENT}={component}"

    def pods(self, component: str = "") -> list[Pod]:
        """Of one service, or of all, by name. Not those that have run to their end."""
        listed = self.api.pods(self._of(component) if component else self._labels)
        ours = [pod for pod in listed if pod.component in SERVICES and pod.status.phase not in ("Succeeded", "Failed")]
        return sorted(ours, key=lambda pod: pod.name)

    def whole(self, components: set[str]) -> bool:
        """Whether each service has as many ready pods as it wants."""
        for component in components:
            labels = self._of(component)
            workloads = self.api.deployments(labels) + self.api.stateful_sets(labels)
            if sum(pod.ready for pod in self.pods(component)) < sum(workload.spec.replicas for workload in workloads):
                return False
        return True

    def nodes(self) -> list[str]:
        """Where the release's pods run."""
        return sorted({pod.spec.node_name for pod in self.pods() if pod.spec.node_name})

    # what can be done

    def offers(self) -> list[Fault]:
        present = {pod.component for pod in self.pods()}
        components = [service for service in SERVICES if service in present]
        offered = [Fault(kind, component) for kind in ("kill", "restart", "rollout") for component in components]
        for kind in ("cordon", "node") if self._kill_command else ("cordon",):
            offered += [Fault(kind), *(Fault(kind, node) for node in self.nodes())]
        return offered

    def strike(self, fault: Fault, turn: int) -> Blow:
        if fault.kind == "rollout":
            return self._roll_out(fault.component)
        if fault.kind in ("cordon", "node"):
            nodes = [node for node in self.nodes() if fault.component in ("", node)]
            if not nodes:
                raise BackendError("no pod of the release runs there")
            return self._strike_node(fault.kind, nodes[turn % len(nodes)])
        pod = self._choose(fault.component, turn)
        self.api.delete_pod(pod, 0 if fault.kind == "kill" else None)
        return PodsBlow(self, [pod])

    def _choose(self, component: str, turn: int) -> Pod:
        """Each in turn; but of adjudicators the one at work, if that can be told."""
        running = [pod for pod in self.pods(component) if not pod.ending]
        if not running:
            raise BackendError(f"no pod of {component} runs")
        if component == "adjudicator":
            for pod in running:
                if holds_stream(self._ask(pod, "status")):
                    return pod
        return running[turn % len(running)]

    def _roll_out(self, component: str) -> Blow:
        victims = self.pods(component)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        labels = self._of(component)
        for workload in self.api.deployments(labels):
            self.api.restart_deployment(workload.metadata.name, now)
        for workload in self.api.stateful_sets(labels):
            self.api.restart_stateful_set(workload.metadata.name, now)
        return PodsBlow(self, victims)

    def _strike_node(self, kind: str, node: str) -> Blow:
        pods = [pod for pod in self.pods() if pod.spec.node_name == node]
        if kind == "cordon":
            self._empty(node, pods)
            return NodeBlow(self, node, pods, undo=lambda: self.api.set_schedulable(node, True), down=False)
        zone = self.api.node(node).zone
        _run(self._kill_command, node, zone)
        start = self._start_command
        return NodeBlow(self, node, pods, undo=(lambda: _run(start, node, zone)) if start else None, down=True)

    def _empty(self, node: str, pods: list[Pod]) -> None:
        self.api.set_schedulable(node, False)
        try:
            for pod in pods:
                if not pod.ending:
                    self.api.delete_pod(pod, None)
        except BackendError:
            self.api.set_schedulable(node, True)
            raise

    # what its processes tell

    def moved_sessions(self) -> dict[str, float]:
        counted = {
            pod.name: moved_sessions(self._ask(pod, "metrics").decode()) for pod in self.pods("frontend") if pod.ready
        }
        return {name: value for name, value in counted.items() if value is not None}

    def _ask(self, pod: Pod, path: str) -> bytes:
        """Empty where it cannot be asked: this only makes a better choice or report."""
        try:
            return self.api.ask_pod(pod, path)
        except BackendError as error:
            if not self._told:
                self._told = True
                self._tell(f"pods cannot be asked for /{path} (needs `get` on pods/proxy): {error}")
            return b""


def _uids(pods: list[Pod]) -> frozenset[str]:
    return frozenset(pod.metadata.uid for pod in pods)


def _run(command: str, node: str, zone: str) -> None:
    """Raises BackendError when the command fails."""
    words = [word.replace("{node}", node).replace("{zone}", zone) for word in shlex.split(command)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"{shlex.join(words)}: {error}") from error
    if done.returncode:
        raise BackendError(f"{shlex.join(words)}: status {done.returncode}: {done.stderr.strip()[-300:]}")


class PodsBlow:
    """Pods were deleted, or are being replaced a few at a time."""

    held = False
    heals = True

    def __init__(self, backend: KubernetesBackend, pods: list[Pod]) -> None:
        self._backend = backend
        self._uids = _uids(pods)
        self._components = {pod.component for pod in pods}
        self.victims: tuple[Victim, ...] = tuple(Victim(pod.name, (pod.component,)) for pod in pods)

    def undo(self) -> None:
        return

    def gone(self) -> bool:
        return not any(self._uids & _uids(self._backend.pods(component)) for component in self._components)

    def ready(self) -> bool:
        return self.gone() and self._backend.whole(self._components)


class NodeBlow:
    """A node is down, or was emptied. `undo`: None where it stays so."""

    def __init__(
        self, backend: KubernetesBackend, node: str, pods: list[Pod], undo: Callable[[], None] | None, down: bool
    ) -> None:
        self._backend = backend
        self._node = node
        self._uids = _uids(pods)
        self._components = {pod.component for pod in pods}
        self._undo = undo
        self._down = down
        self.held = self.heals = undo is not None
        self.victims: tuple[Victim, ...] = (Victim(node, tuple(sorted(self._components))),)

    def undo(self) -> None:
        if self._undo is not None:
            self._undo()

    def gone(self) -> bool:
        if self._down:
            return not self._node_ready()
        return not self._uids & _uids(self._backend.pods())

    def ready(self) -> bool:
        return self._node_ready() and self._backend.whole(self._components)

    def _node_ready(self) -> bool:
        return self._backend.api.node(self._node).status.ready
