"""`python -m tausql.journal`: one replica as a process of its own."""

from __future__ import annotations

from tausql.journal.app import create_app
from tausql.journal.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"journal": Part(build, create_app)})


if __name__ == "__main__":
    main()
