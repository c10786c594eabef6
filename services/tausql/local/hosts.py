"""Lines of /etc/hosts that lead endpoint names to the fleet on this machine.

Clients of Aurora DSQL find the region, and the cluster, in the host name, and TLS wants a certificate for it; but no
DNS knows the clusters of a laptop. Programs of libpq take PGHOSTADDR beside the name; all others need the name to
resolve. Lines of ours end with a mark that names the fleet's folder, so that they can be told apart from the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HOSTS = Path("/etc/hosts")
_MARK = "# tausql "


def hosts_lines(folder: Path, address: str, names: Iterable[str]) -> list[str]:
    """One line for each name."""
    return [f"{address} {name} {_MARK}{folder}" for name in names]


def without_ours(text: str, folder: Path) -> str:
    """The file without the lines of the fleet in `folder`."""
    mine = f"{_MARK}{folder}"
    return "".join(line for line in text.splitlines(keepends=True) if not line.rstrip().endswith(mine))


def with_ours(text: str, folder: Path, lines: list[str]) -> str:
    """The file with these lines instead of those that were there of this fleet."""
    kept = without_ours(text, folder)
    if kept and not kept.endswith("\n"):
        kept += "\n"
    return kept + "".join(f"{line}\n" for line in lines)


def rewrite(path: Path, text: str) -> bool:
    """Write where that changes anything; whether it did. In place: containers mount this file, so it cannot be replaced
    by another. Raises OSError."""
    if path.read_text() == text:
        return False
    path.write_text(text)
    return True
