"""`make test-kubernetes`: image, cluster, tests, and nothing left behind.

The tests run on the machine of zone a (in its network namespace), where the addresses of pods and services can be
reached as from any node.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cluster  # noqa: E402
import packing  # noqa: E402

CLUSTER_FOLDER = Path(os.environ.get("LAB_DIR", "/run/tausql-lab"))


def main(arguments: list[str]) -> int:
    """Arguments are pytest's. `TAUSQL_KEEP=1`: use a cluster that is up, and leave it up."""
    began = time.monotonic()
    keep = bool(os.environ.get("TAUSQL_KEEP"))
    running = (CLUSTER_FOLDER / "zones.json").exists()
    if running and not keep:
        print(f"a cluster is up already in {CLUSTER_FOLDER}: end it, or set TAUSQL_KEEP=1", file=sys.stderr)
        return 2
    try:
        if not running:
            with tempfile.TemporaryDirectory() as folder:
                image = Path(folder) / "tausql.tar"
                packing.pack(image, cluster.IMAGE, packing.lab_folder(), packing.cache_folder())
                _say(began, "image packed")
                cluster.up(image)
            _say(began, "cluster up")
        cluster.reach_services("a")
        environment = {
            **os.environ,
            "KUBECONFIG": str(CLUSTER_FOLDER / "admin.kubeconfig"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = cluster.inside(
            "a", sys.executable, "-m", "pytest", str(HERE), "-x", "-v", "--timeout=420", "--durations=0", *arguments
        )
        status = subprocess.run(command, env=environment, check=False).returncode
        _say(began, "tests done")
        return status
    finally:
        if not keep:
            cluster.down()


def _say(began: float, what: str) -> None:
    print(f"[{time.monotonic() - began:6.1f}s] {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
