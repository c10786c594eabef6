"""A timekeeper in a process of its own."""

from __future__ import annotations

from tausql.runtime.process import Part, run
from tausql.timekeeper.app import create_app
from tausql.timekeeper.service import build


def main() -> None:
    run({"timekeeper": Part(build, create_app)})


if __name__ == "__main__":
    main()
