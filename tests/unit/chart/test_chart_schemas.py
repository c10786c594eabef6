"""Every object is one that Kubernetes would take, by its own schemas, old and new."""

from __future__ import annotations

import pytest
from tests.unit.chart.rendering import SHAPES, VERSIONS, Refused, of_kind, pods, render, service_of
from tests.unit.chart.schemas import wrong

MORE = (
    ("--set", "tls.mode=none", "--set", "tls.edge.mode=none"),
    ("--set", "tls.mode=secret,tls.secretName=a", "--set", "tls.edge.mode=secret,tls.edge.secretName=b"),
    ("--set", "tls.mode=certManager,tls.issuer.name=a", "--set", "tls.edge.mode=certManager,tls.edge.issuer.name=b"),
    ("--set", "autoscaling.source=keda"),
    ("--set", "persistence.takeOwnership=true", "--set", "networkPolicy.enabled=false"),
)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_valid(shape: str, version: str) -> None:
    assert not list(wrong(render(*SHAPES[shape], version=version), version))


@pytest.mark.parametrize("flags", MORE)
def test_every_mode_is_valid(flags: tuple[str, ...]) -> None:
    assert not list(wrong(render(*flags), "1.33.0"))


def test_the_schemas_would_notice() -> None:
    (bad,) = (
        dict(item) for item in render() if item["kind"] == "Deployment" and item["metadata"]["name"] == "tausql-control"
    )
    bad["spec"] = {**bad["spec"], "replica": 3}
    assert "'replica' was unexpected" in next(wrong((bad,), "1.33.0"))


def test_old_kubernetes_gets_old_apis_and_none_of_the_new_fields() -> None:
    old = render(*SHAPES["everything"], version="1.20.2")
    assert {item["apiVersion"] for item in old if item["kind"] in ("HorizontalPodAutoscaler",)} == {
        "autoscaling/v2beta2"
    }
    assert {item["apiVersion"] for item in old if item["kind"] == "PodDisruptionBudget"} == {"policy/v1beta1"}
    assert {item["apiVersion"] for item in old if item["kind"] == "CronJob"} == {"batch/v1beta1"}
    told = str(old)
    for field in (
        "nodeTaintsPolicy",
        "matchLabelKeys",
        "unhealthyPodEvictionPolicy",
        "persistentVolumeClaimRetentionPolicy",
        "trafficDistribution",
        "'sleep'",
    ):
        assert field not in told
        assert field in str(render(*SHAPES["everything"], version="1.33.0"))


def test_vendors_versions_count_as_what_they_are() -> None:
    objects = render(version="v1.27.3-gke.100")
    assert {item["apiVersion"] for item in objects if item["kind"] == "PodDisruptionBudget"} == {"policy/v1"}
    assert "nodeTaintsPolicy" in str(objects)


def test_a_chart_for_newer_clusters_is_refused_by_older_ones() -> None:
    with pytest.raises(Refused, match=r"requires kubeVersion"):
        render(version="1.19.0")


@pytest.mark.parametrize(("version", "meant"), [("1.20.2", "ScheduleAnyway"), ("1.33.0", "DoNotSchedule")])
def test_spreading_is_required_only_where_dead_zones_do_not_count(version: str, meant: str) -> None:
    journal = of_kind(render(*SHAPES["three-zones"], version=version), "StatefulSet")["tausql-journal"]
    zones, nodes = journal["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert zones["topologyKey"] == "topology.kubernetes.io/zone"
    assert zones["whenUnsatisfiable"] == nodes["whenUnsatisfiable"] == meant


def test_operators_kinds_are_made_where_the_cluster_knows_them() -> None:
    kinds = {item["kind"] for item in render()}
    assert not kinds & {"PodMonitor", "PrometheusRule"}
    assert "PodMonitor" in {item["kind"] for item in render(operators=True)}
    never = render("--set", "monitoring.podMonitor.enabled=never,monitoring.rules.enabled=never", operators=True)
    assert not {item["kind"] for item in never} & {"PodMonitor", "PrometheusRule"}


def test_a_witness_only_votes() -> None:
    objects = render(*SHAPES["witness"])
    assert {service_of(item) for item in objects} - {"all"} == {"journal", "timekeeper", "control", "certificates"}
    assert not any("processor" in name for name in pods(objects))
