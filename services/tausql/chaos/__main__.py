"""`python -m tausql.chaos`: what a Job runs."""

from __future__ import annotations

from tausql.chaos.command import main

if __name__ == "__main__":
    main()
