"""What operators look at, made from one list: Grafana dashboards, alert rules, and the reference of all metrics.

Dashboards written by hand drift away from the code: a metric is renamed, and a panel stays empty until the night it is
needed. So panels and alerts are plain Python values here (`boards_*.py`, `alerts_*.py`), every metric they name is
looked up among those the services really have (`catalogue.py`), and the files of the chart are written by
`python -m helm.observability`; with `--check` it only says whether they are up to date.
"""
