"""`python -m tausql.processor`: a processor in a process of its own."""

from __future__ import annotations

from tausql.processor.app import create_app
from tausql.processor.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"processor": Part(build, create_app)})


if __name__ == "__main__":
    main()
