"""`python -m tausql.adjudicator`"""

from __future__ import annotations

from tausql.adjudicator.app import create_app
from tausql.adjudicator.service import build
from tausql.runtime.process import Part, run


def main() -> None:
    run({"adjudicator": Part(build, create_app)})


if __name__ == "__main__":
    main()
