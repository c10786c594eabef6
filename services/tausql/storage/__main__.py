"""`python -m tausql.storage`: one storage replica."""

from __future__ import annotations

from tausql.runtime.process import Part, run
from tausql.storage.app import create_app
from tausql.storage.service import build


def main() -> None:
    run({"storage": Part(build, create_app)})


if __name__ == "__main__":
    main()
