"""A Kubernetes cluster of three zones on this machine, and what the tests do with it.

The cluster itself (control plane, nodes, links between zones) is a tool beside the project; its folder is named by
`TAUSQL_LAB`, by default `../shared/lab` next to the repository. Nothing but these tests knows of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("TAUSQL_LAB", ROOT.parent / "shared" / "lab"))
ZONES = ("a", "b", "c")
RELEASE = "tausql"
IMAGE = "docker.io/tausql/tausql:test"


class CommandFailed(AssertionError):
    """A command of the cluster ended with an error; its output is the message."""


def run(
    command: Sequence[str], *, seconds: float = 120, check: bool = True, environment: dict[str, str] | None = None
) -> str:
    """What `command` prints (stdout; stderr too where it failed). Raises CommandFailed, or TimeoutExpired."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
    if check and done.returncode:
        raise CommandFailed(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout if not done.returncode else done.stdout + done.stderr


def lab(*arguments: str, seconds: float = 120, check: bool = True) -> str:
    return run([sys.executable, str(FOLDER / "lab.py"), *arguments], seconds=seconds, check=check)


def up(image: Path) -> None:
    """Start it with `image` on every node. It takes about 20 s."""
    run(["bash", str(FOLDER / "setup.sh")], seconds=300)
    lab("up", "--image", str(image), seconds=180)


def reach_services(zone: str) -> None:
    """Let programs on the machine of `zone` reach services by their cluster addresses, as pods there do: its rewriting
    of addresses happens only for packets that have a route to begin with."""
    network = cluster_ip("kubernetes").rpartition(".")[0] + ".0/24"
    run(inside(zone, "ip", "route", "replace", network, "dev", "eth0"))


def down() -> None:
    lab("down", seconds=120)


def kubectl(*arguments: str, seconds: float = 120, check: bool = True) -> str:
    return lab("kubectl", *arguments, seconds=seconds, check=check)


def helm(*arguments: str, seconds: float = 180) -> str:
    return lab("helm", *arguments, seconds=seconds)


def inside(zone: str, *command: str) -> list[str]:
    """The same command run on the machine of a zone, where services' addresses can be reached."""
    return [sys.executable, str(FOLDER / "lab.py"), "exec", zone, *command]


def link(one: str, other: str, delay_ms: float = 0, *, cut: bool = False) -> None:
    """Delay (one way) or cut what goes between two zones (`cp`: the control plane's)."""
    lab("link", one, other, str(delay_ms), "0", "0", "1" if cut else "0")


def cut_off(zone: str, *others: str) -> None:
    for other in others or (*(one for one in ZONES if one != zone), "cp"):
        link(zone, other, cut=True)


def heal(delay_ms: float = 0) -> None:
    """Every link as it was."""
    names = ("cp", *ZONES)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            link(one, other, delay_ms if "cp" not in (one, other) else 0)


def objects(kind: str, *, namespace: str = "default", selector: str = "") -> list[dict[str, Any]]:
    chosen = ("--selector", selector) if selector else ()
    items: list[dict[str, Any]] = json.loads(kubectl("get", kind, "-n", namespace, *chosen, "-o", "json"))["items"]
    return items


def pods(component: str = "", *, namespace: str = "default", release: str = RELEASE) -> list[dict[str, Any]]:
    selector = f"app.kubernetes.io/instance={release}"
    if component:
        selector += f",app.kubernetes.io/component={component}"
    return objects("pods", namespace=namespace, selector=selector)


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return "deletionTimestamp" not in pod["metadata"] and any(
        one["type"] == "Ready" and one["status"] == "True" for one in conditions
    )


def names(found: list[dict[str, Any]]) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in found)


def node_of(pod: dict[str, Any]) -> str:
    return str(pod["spec"].get("nodeName", ""))


def cluster_ip(service: str, *, namespace: str = "default") -> str:
    return kubectl("get", "service", service, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}").strip()


def secret(name: str, key: str, *, namespace: str = "default") -> bytes:
    import base64

    data = json.loads(kubectl("get", "secret", name, "-n", namespace, "-o", "json"))["data"]
    return base64.b64decode(data[key])


def wait(what: str, condition: Callable[[], Any], seconds: float = 60, every: float = 0.5) -> float:
    """Seconds until `condition` held. Raises AssertionError naming `what`."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds} s\n{kubectl('get', 'pods', '-A', '-o', 'wide')}")
        time.sleep(every)
    return time.monotonic() - began
