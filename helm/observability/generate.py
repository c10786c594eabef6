"""What belongs into which file, and whether it is there."""

from __future__ import annotations

from pathlib import Path

from helm.observability.alerts import Group, rules
from helm.observability.alerts_data import COMMITS, JOURNAL, STORAGE, TIME
from helm.observability.alerts_service import PROCESSES, SESSIONS
from helm.observability.boards import BOARDS
from helm.observability.catalogue import all_metrics
from helm.observability.grafana import dashboard
from helm.observability.reference import reference

GROUPS: tuple[Group, ...] = (COMMITS, TIME, JOURNAL, STORAGE, SESSIONS, PROCESSES)
FOLDERS = (("helm/tausql/dashboards", "*.json"), ("helm/tausql/alerts", "*.yaml"))


def files() -> dict[str, str]:
    """Text by path from the repository's root."""
    made = {f"helm/tausql/dashboards/{board.uid}.json": dashboard(board) for board in BOARDS}
    made |= {f"helm/tausql/alerts/tausql-{group.name}.yaml": rules(group) for group in GROUPS}
    made["docs/metrics.md"] = reference(all_metrics())
    return made


def differing(root: Path) -> list[str]:
    """Paths whose files are missing, are not what they should be, or should not be there."""
    made = files()
    there = {path.relative_to(root).as_posix() for folder, names in FOLDERS for path in (root / folder).glob(names)}
    wrong = [path for path, text in made.items() if not (root / path).is_file() or (root / path).read_text() != text]
    return sorted({*wrong, *(there - made.keys())})


def write(root: Path) -> list[str]:
    """Write all that differs, remove what should not be there; their paths."""
    made = files()
    paths = differing(root)
    for path in paths:
        if path in made:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(made[path])
        else:
            (root / path).unlink()
    return paths
