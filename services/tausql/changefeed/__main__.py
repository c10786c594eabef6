"""A changefeed in a process of its own."""

from __future__ import annotations

from tausql.changefeed.app import create_app
from tausql.changefeed.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"changefeed": Part(build, create_app)})


if __name__ == "__main__":
    main()
