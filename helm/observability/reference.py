"""docs/metrics.md: every metric with its sentence."""

from __future__ import annotations

from itertools import groupby

from helm.observability.catalogue import Metric

HEAD = """# Metrics

<!-- Made by `python -m helm.observability`; the sentences are in services/tausql/*/metrics.py. -->

Every process serves these at `/metrics` on its HTTP port; a process that runs several services serves all of theirs.
Each series carries two labels that say where it comes from: `process` (the process's name, on Kubernetes the pod's) and
`zone`. Other labels are listed with the metric. Times are seconds, sizes bytes. A histogram `x` is scraped as
`x_bucket`, `x_sum` and `x_count`.

Dashboards (`helm/tausql/dashboards`) and alerts (`helm/tausql/alerts`, explained one by one in `docs/runbooks`) are
made from these by `python -m helm.observability`. Metrics named `tausql_dsql_...` are those that Aurora DSQL publishes
in CloudWatch, by cluster (`cluster_id`), under the names their sentences begin with. StreamDPU is missing, as change
streams are; ClusterStorageSize is `sum(max by (shard) (tausql_storage_store_bytes))`.
"""


def reference(metrics: list[Metric]) -> str:
    """The page."""
    parts = [HEAD]
    for where, found in groupby(metrics, lambda metric: metric.where):
        title = where[0].upper() + where[1:]
        parts.append(f"\n## {title}\n\n| metric | labels | kind | what |\n| --- | --- | --- | --- |\n")
        parts += [_line(metric) for metric in sorted(found, key=lambda metric: metric.name)]
    return "".join(parts)


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {labels} | {metric.kind} | {metric.about} |\n"
