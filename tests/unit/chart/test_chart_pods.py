"""Every pod is one that may run beside others: limited, probed, without rights it does not need."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chart.rendering import (
    SERVICES,
    SHAPES,
    Object,
    of_kind,
    pods,
    render,
    service_of,
    workloads,
)

MAKERS = ("certificates", "uninstall", "test", "prometheus")  # besides control: who may ask the Kubernetes API
MADE_BY_JOB = ("tausql-ca", "tausql-tls", "tausql-edge-ca", "tausql-edge")


def containers(template: Object) -> list[Object]:
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def component(template: Object) -> str:
    return str(template["metadata"]["labels"]["app.kubernetes.io/component"])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pod_is_restricted(shape: str) -> None:
    for name, template in pods(render(*SHAPES[shape])).items():
        pod = template["spec"]["securityContext"]
        assert pod["runAsNonRoot"], name
        assert pod["runAsUser"] == 10001, name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert template["spec"]["enableServiceLinks"] is False, name
        for container in containers(template):
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"], name
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name


@pytest.mark.parametrize("shape", SHAPES)
def test_every_container_is_limited(shape: str) -> None:
    for name, template in pods(render(*SHAPES[shape])).items():
        for container in containers(template):
            resources = container["resources"]
            assert set(resources["requests"]) == {"cpu", "memory"}, name
            assert set(resources["limits"]) == {"memory"}, f"{name}: a CPU limit throttles"


@pytest.mark.parametrize("shape", SHAPES)
def test_what_serves_is_probed(shape: str) -> None:
    for item in render(*SHAPES[shape]):
        if item["kind"] in ("Deployment", "StatefulSet"):
            (container,) = item["spec"]["template"]["spec"]["containers"]
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["port"] in ports
            if service_of(item) in SERVICES:
                assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
                assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("shape", SHAPES)
def test_only_who_asks_the_api_has_a_token(shape: str) -> None:
    for name, template in pods(render(*SHAPES[shape])).items():
        asks = component(template) in ("control", *MAKERS)
        assert template["spec"]["automountServiceAccountToken"] is asks, name


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pod_has_time_to_drain_before_it_is_killed(shape: str) -> None:
    for item in workloads(render(*SHAPES[shape])):
        spec = item["spec"]["template"]["spec"]
        variables = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
        pause = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert spec["terminationGracePeriodSeconds"] >= pause + float(variables["TAUSQL_DRAIN_SECONDS"]) + 5


def test_a_frontend_goes_on_while_proxies_forget_it() -> None:
    def hook(version: str) -> Any:
        frontend = of_kind(render(version=version), "Deployment")["tausql-frontend"]
        return frontend["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]

    assert hook("1.33.0") == {"sleep": {"seconds": 3}}
    assert hook("1.20.2") == {"exec": {"command": ["python", "-c", "import time; time.sleep(3)"]}}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_mounted_is_there(shape: str) -> None:
    objects = render(*SHAPES[shape])
    fullname = next(name for name in of_kind(objects, "StatefulSet") if name.endswith("-journal"))[: -len("-journal")]
    secrets = set(of_kind(objects, "Secret")) | {made.replace("tausql", fullname, 1) for made in MADE_BY_JOB}
    secrets.add("kinesis")  # which values say is there
    configurations = set(of_kind(objects, "ConfigMap"))
    for name, template in pods(objects).items():
        volumes = {volume["name"] for volume in template["spec"].get("volumes", ())}
        for volume in template["spec"].get("volumes", ()):
            assert volume.get("secret", {}).get("secretName", fullname + "-tls") in secrets, name
            assert "configMap" not in volume or volume["configMap"]["name"] in configurations, name
        for container in containers(template):
            mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
            claimed = {"data"} if "journal" in name or "storage" in name else set()
            assert mounted <= volumes | claimed, name
            assert not [
                mount
                for mount in container.get("volumeMounts", ())
                if mount["name"] in ("tls", "edge") and "subPath" in mount
            ]


@pytest.mark.parametrize("shape", SHAPES)
def test_accounts_are_there_and_roles_are_bound_to_them(shape: str) -> None:
    objects = render(*SHAPES[shape])
    accounts = of_kind(objects, "ServiceAccount")
    for name, template in pods(objects).items():
        if component(template) != "grafana":
            assert template["spec"]["serviceAccountName"] in accounts, name
    for kind in ("Role", "ClusterRole"):
        for binding in of_kind(objects, f"{kind}Binding").values():
            assert binding["roleRef"]["name"] in of_kind(objects, kind)
            assert {subject["name"] for subject in binding["subjects"]} <= set(accounts)


@pytest.mark.parametrize("shape", SHAPES)
def test_rights_are_the_least(shape: str) -> None:
    for role in [item for item in render(*SHAPES[shape]) if item["kind"] in ("Role", "ClusterRole")]:
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            changes = set(rule["verbs"]) - {"get", "list", "watch", "create"}
            claims = rule["resources"] == ["persistentvolumeclaims"]  # of the release; deleted by label
            assert not changes or "resourceNames" in rule or claims, role["metadata"]["name"]
            assert rule["resources"] != ["secrets"] or "list" not in rule["verbs"]


@pytest.mark.parametrize("shape", SHAPES)
def test_selectors_find_their_pods_and_no_others(shape: str) -> None:
    objects = render(*SHAPES[shape])
    sets = {item["metadata"]["name"]: item for item in workloads(objects)}
    for name, item in sets.items():
        wanted = item["spec"]["selector"]["matchLabels"].items()
        found = [
            other for other, one in sets.items() if wanted <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [name]
    for service in of_kind(objects, "Service").values():
        wanted = service["spec"]["selector"].items()
        matching = [one for one in pods(objects).values() if wanted <= one["metadata"]["labels"].items()]
        assert matching, service["metadata"]["name"]
        offered = {port["name"] for one in matching for port in one["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered


@pytest.mark.parametrize("shape", SHAPES)
def test_every_service_is_protected_from_drains(shape: str) -> None:
    objects = render(*SHAPES[shape])
    budgets = {service_of(item): item for item in of_kind(objects, "PodDisruptionBudget").values()}
    assert set(budgets) == {service_of(item) for item in workloads(objects)}
    assert budgets["journal"]["spec"]["maxUnavailable"] == 1


def test_the_journal_never_scales_and_keeps_its_names() -> None:
    for shape in SHAPES:
        objects = render(*SHAPES[shape])
        journal = next(item for item in workloads(objects) if service_of(item) == "journal")
        assert journal["spec"]["podManagementPolicy"] == "Parallel"
        headless = of_kind(objects, "Service")[journal["spec"]["serviceName"]]
        assert headless["spec"]["clusterIP"] == "None"
        assert headless["spec"]["publishNotReadyAddresses"]
        targets = {
            item["spec"]["scaleTargetRef"]["name"] for item in of_kind(objects, "HorizontalPodAutoscaler").values()
        }
        assert journal["metadata"]["name"] not in targets


def test_what_loads_a_service_scales_it() -> None:
    hpas = of_kind(render(), "HorizontalPodAutoscaler")
    assert set(hpas) == {f"tausql-{one}" for one in ("frontend", "processor", "adjudicator", "crossbar", "storage")}
    assert set(of_kind(render(*SHAPES["three-zones"]), "HorizontalPodAutoscaler")) >= {
        f"tausql-storage-zone-{zone}" for zone in "abc"
    }
    adapted = of_kind(render("--set", "autoscaling.source=adapter"), "HorizontalPodAutoscaler")
    (_, sessions) = adapted["tausql-processor"]["spec"]["metrics"]
    assert sessions["pods"]["metric"]["name"] == "tausql_processor_sessions"
    scaled = [item for item in render("--set", "autoscaling.source=keda") if item["kind"] == "ScaledObject"]
    query = next(item for item in scaled if item["metadata"]["name"] == "tausql-processor")["spec"]["triggers"][1]
    assert query["metadata"]["query"] == 'sum(tausql_processor_sessions{namespace="db"}) + 100'  # one warm processor
    assert query["metadata"]["threshold"] == "100"


def test_volumes_stay_unless_told_otherwise() -> None:
    def policy(*flags: str) -> Any:
        return of_kind(render(*flags), "StatefulSet")["tausql-journal"]["spec"]["persistentVolumeClaimRetentionPolicy"]

    assert policy() == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    gone = ("--set", "persistence.deleteOnUninstall=true")
    assert policy(*gone) == {"whenDeleted": "Delete", "whenScaled": "Retain"}
    assert "Job/tausql-uninstall" not in pods(render(*gone))
    assert "Job/tausql-uninstall" in pods(render(*gone, version="1.20.2"))


def test_pods_do_not_roll_for_a_new_version_of_the_chart() -> None:
    for item in workloads(render()):
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(item["spec"]["template"]["metadata"]["labels"])
