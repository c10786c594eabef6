"""`python -m tausql.crossbar`: one crossbar process."""

from __future__ import annotations

from tausql.crossbar.app import create_app
from tausql.crossbar.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"crossbar": Part(build, create_app)})


if __name__ == "__main__":
    main()
