"""Prometheus and promtool, as `make test` provides them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Raises FileNotFoundError, saying how to get it."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=str(beside)) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not there: run `tests/tools/prometheus.sh {beside}`, as `make test` does")
    return found
