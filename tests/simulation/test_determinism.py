"""The same seed is the same run, byte for byte: in another process, and whatever order sets and strings hash in."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import logging, sys
from hashlib import sha256
from tausql.simulation.scenario import run_seed
logging.disable(logging.CRITICAL)
for seed in (20, 21, 22, 23):
    verdict = run_seed(seed, 2.0, regions="mixed")
    lines = repr((verdict.timeline, sorted(verdict.marks.items()), verdict.failure))
    print(verdict.events, verdict.history, sha256(lines.encode()).hexdigest())
"""


def run(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    return finished.stdout


def test_a_seed_gives_the_same_run_in_another_process():
    first = run("1")
    assert first.count("\n") == 4
    assert run("4242") == first
