"""`python -m tausql.control`: one control process."""

from __future__ import annotations

from tausql.control.app import create_app
from tausql.control.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"control": Part(build, create_app)})


if __name__ == "__main__":
    main()
