"""`python -m helm.observability [--check]`, from anywhere in the repository."""

from __future__ import annotations

import sys
from pathlib import Path

from helm.observability.generate import differing, write

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Writes what differs; with --check only names it, and then the exit status is 1."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    check = bool(arguments)
    paths = differing(ROOT) if check else write(ROOT)
    for path in paths:
        print(f"{'differs' if check else 'written'}: {path}")
    return int(check and bool(paths))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
