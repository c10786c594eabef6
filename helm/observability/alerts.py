"""The words that alerts are written in, and their files as Prometheus reads them.

An alert's condition is kept as what is measured and the bound it must not pass, so that a test can see that a healthy
fleet has the measure, although the alert itself then says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

RUNBOOKS = "https://github.com/tausql/tausql/blob/main/docs/runbooks/"
PLACE = "cluster, namespace"  # what every alert tells apart: labels of the scraper, absent where there are none
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Condition:
    """`measure` in PromQL, and the bound as `> 5`."""

    measure: str
    bound: str


@dataclass(frozen=True, slots=True)
class Alert:
    """`lasting`: for how long all conditions must hold. `summary` and `about` may use `{{ $labels.x }}`.

    elsewhere: why a fleet on one machine lacks the measures; empty where it has them.
    """

    name: str
    severity: str
    lasting: str
    when: tuple[Condition, ...]
    summary: str
    about: str
    elsewhere: str = ""

    @property
    def page(self) -> str:
        """The file of its runbook."""
        return _WORD.sub("-", self.name.removeprefix("Tausql")).lower() + ".md"

    @property
    def expression(self) -> str:
        parts = [f"{one.measure} {one.bound}" for one in self.when]
        return parts[0] if len(parts) == 1 else f" and on ({PLACE}) ".join(f"({part})" for part in parts)


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    alerts: tuple[Alert, ...]


def rules(group: Group) -> str:
    """The group's file."""
    made: dict[str, Any] = {
        "groups": [
            {
                "name": f"tausql-{group.name}",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expression,
                        "for": alert.lasting,
                        "labels": {"severity": alert.severity},
                        "annotations": {
                            "summary": alert.summary,
                            "description": alert.about,
                            "runbook_url": RUNBOOKS + alert.page,
                        },
                    }
                    for alert in group.alerts
                ],
            }
        ]
    }
    return "# Made by `python -m helm.observability`: change helm/observability/alerts_*.py.\n" + yaml.safe_dump(
        made, sort_keys=False, width=1_000, allow_unicode=True
    )


def worst(aggregate: str, metric: str, by: str = "") -> str:
    """`aggregate` of a metric over what nobody needs to tell apart."""
    return f"{aggregate} by ({PLACE}{', ' + by if by else ''}) ({metric})"


def p99(metric: str, window: str, by: str = "") -> str:
    """Of a histogram."""
    grouped = f"{PLACE}{', ' + by if by else ''}"
    return f"histogram_quantile(0.99, sum by ({grouped}, le) (rate({metric}_bucket[{window}])))"
