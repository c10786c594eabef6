"""`python -m tausql.frontend`: a frontend in a process of its own."""

from __future__ import annotations

from tausql.frontend.app import create_app
from tausql.frontend.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"frontend": Part(build, create_app)})


if __name__ == "__main__":
    main()
