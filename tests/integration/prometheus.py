"""A Prometheus of the tests' own, scraping a local fleet every second."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from loadtest.ports import free_port
from loadtest.tausql_fleet import Fleet
from tests.tools.prometheus import program

from .waiting import until

SCRAPE_SECONDS = 1
EVALUATION_SECONDS = 5
STOP_SECONDS = 20.0


class QueryFailed(AssertionError):
    """Prometheus refused a query; the message is its own."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Asks one that runs, over one connection."""

    client: httpx.Client

    def over(self, expression: str, since: float, until_: float) -> list[dict[str, Any]]:
        """The series of `expression`, a sample a second; times are Unix seconds."""
        asked = {"query": expression, "start": f"{since}", "end": f"{until_}", "step": "1"}
        found: list[dict[str, Any]] = self.ask("query_range", asked)["result"]
        return found

    def now(self) -> float:
        return float(self.ask("query", {"query": "time()"})["result"][1])

    def ready(self) -> bool:
        """It listens before it can answer, and says 503 meanwhile."""
        return self.client.get("/-/ready").status_code == 200

    def targets_up(self) -> int:
        found = self.ask("query", {"query": "sum(up)"})["result"]
        return int(found[0]["value"][1]) if found else 0

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.ask("rules", {})["groups"] for rule in group["rules"]]

    def ask(self, what: str, parameters: dict[str, str]) -> Any:
        answer = self.client.get(f"/api/v1/{what}", params=parameters).json()
        if answer["status"] != "success":
            raise QueryFailed(f"{parameters.get('query', what)}: {answer['error']}")
        return answer["data"]


@contextlib.contextmanager
def scraping(fleet: Fleet, rule_files: list[Path]) -> Iterator[Prometheus]:
    """A Prometheus that has seen every process of `fleet`. Ended in the end, its data with it."""
    targets = [f"{fleet.host}:{entry['http_port']}" for entry in fleet.processes()]
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="tausql-prometheus-") as folder:
        every, seldom = f"{SCRAPE_SECONDS}s", f"{EVALUATION_SECONDS}s"
        settings = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": seldom},
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [{"job_name": "tausql", "static_configs": [{"targets": targets}]}],
        }
        path = Path(folder)
        (path / "prometheus.yml").write_text(yaml.safe_dump(settings))
        with (path / "out").open("wb") as output:
            process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={path / 'prometheus.yml'}",
                    f"--storage.tsdb.path={path / 'data'}",
                    f"--web.listen-address={address}",
                ],
                stdout=output,
                stderr=output,
            )
        client = httpx.Client(base_url=f"http://{address}", timeout=10)
        prometheus = Prometheus(client)
        try:
            until(lambda: _sees(prometheus, process, len(targets)), "all targets up", (path / "out").read_text)
            yield prometheus
        finally:
            client.close()
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _sees(prometheus: Prometheus, process: subprocess.Popen[bytes], targets: int) -> bool:
    assert process.poll() is None, f"prometheus has ended with status {process.returncode}"
    try:
        return prometheus.ready() and prometheus.targets_up() == targets
    except httpx.HTTPError:  # it is still starting
        return False
