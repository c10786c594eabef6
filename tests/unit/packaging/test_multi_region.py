"""k8s/overlays/multi-region: three releases that agree on one database, and the scripts that install them."""

from __future__ import annotations

import datetime
import functools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from tests.unit.chart import tools

from tausql.access.key_material import fleet_key, is_access_key_id
from tausql.control import certificates_plan as plan

ROOT = Path(__file__).resolve().parents[3]
OVERLAY = ROOT / "k8s" / "overlays" / "multi-region"
REGIONS = ("east", "west", "witness")
FULL = ("east", "west")
SERVICES = {
    "frontend",
    "processor",
    "adjudicator",
    "journal",
    "crossbar",
    "storage",
    "timekeeper",
    "control",
    "changefeed",
}
REGION_LABEL = "topology.kubernetes.io/region"

Object = dict[str, Any]


def load(text: str) -> tuple[Object, ...]:
    return tuple(item for item in yaml.load_all(text, yaml.CSafeLoader) if item)


@functools.cache
def render(region: str, *flags: str) -> tuple[Object, ...]:
    """One region as install.sh installs it."""
    command = [tools.helm(), "template", f"tausql-{region}", str(ROOT / "helm" / "tausql")]
    command += ["--namespace", f"tausql-{region}"]
    for name in ("database", region):
        command += ["--values", str(OVERLAY / f"{name}.yaml")]
    flags = flags or ("--values", str(OVERLAY / f"{region}-nodes.yaml"))
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return load(done.stdout)


def workloads(objects: tuple[Object, ...]) -> dict[str, Object]:
    """Deployments and StatefulSets by service."""
    found = [item for item in objects if item["kind"] in ("Deployment", "StatefulSet")]
    return {item["metadata"]["labels"]["app.kubernetes.io/component"]: item for item in found}


def environment(region: str, service: str) -> dict[str, str]:
    (container,) = workloads(render(region))[service]["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_full_regions_have_every_service_and_the_witness_only_votes() -> None:
    for region in FULL:
        assert set(workloads(render(region))) == SERVICES
    assert set(workloads(render("witness"))) == {"journal", "timekeeper", "control"}


def test_all_regions_have_one_list_of_journal_replicas() -> None:
    lists = [json.loads(environment(region, "control")["TAUSQL_CONTROL_JOURNAL"]) for region in REGIONS]
    assert lists[0] == lists[1] == lists[2]
    members = lists[0]
    assert Counter(member["region"] for member in members) == {"east": 2, "west": 2, "witness": 1}
    for key in ("name", "address"):
        assert len({member[key] for member in members}) == len(members)


def test_no_region_is_a_majority_and_any_two_are() -> None:
    members = json.loads(environment("east", "control")["TAUSQL_CONTROL_JOURNAL"])
    count = Counter(member["region"] for member in members)
    for region in REGIONS:
        assert count[region] * 2 < len(members)
        assert (len(members) - count[region]) * 2 > len(members)


@pytest.mark.parametrize("region", REGIONS)
def test_journal_replicas_are_the_pods_that_will_run(region: str) -> None:
    members = json.loads(environment(region, "control")["TAUSQL_CONTROL_JOURNAL"])
    stateful = workloads(render(region))["journal"]
    pods = [f"{stateful['metadata']['name']}-{number}" for number in range(stateful["spec"]["replicas"])]
    told = environment(region, "journal")["TAUSQL_ADDRESS"]
    expected = {(pod, told.replace("$(POD_NAME)", pod)) for pod in pods}
    assert {(one["name"], one["address"]) for one in members if one["region"] == region} == expected
    assert environment(region, "control")["TAUSQL_CONTROL_REGION"] == region


def test_every_region_follows_the_control_of_every_other() -> None:
    where = {}
    for region in REGIONS:
        (service,) = [
            item
            for item in render(region)
            if item["kind"] == "Service" and item["metadata"]["name"].endswith("-control")
        ]
        assert "rpc" in [port["name"] for port in service["spec"]["ports"]]
        where[region] = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:7400"
    for region in REGIONS:
        peers = json.loads(environment(region, "control")["TAUSQL_CONTROL_PEERS"])
        assert {peer["region"]: peer["address"] for peer in peers} == {
            other: address for other, address in where.items() if other != region
        }


def test_all_agree_who_should_hold_the_streams() -> None:
    orders = {environment(region, "control")["TAUSQL_CONTROL_ADJUDICATOR_REGIONS"] for region in REGIONS}
    assert {tuple(json.loads(order)) for order in orders} == {FULL}


def test_names_are_unique_in_one_cluster() -> None:
    # Pods of StatefulSets carry the name of theirs into the fleet's map: those must differ whatever the namespace.
    everything = [item for region in REGIONS for item in render(region)]
    kinds = ("StatefulSet", "ClusterRole", "ClusterRoleBinding", "PriorityClass")
    names = [(item["kind"], item["metadata"]["name"]) for item in everything if item["kind"] in kinds]
    assert len(set(names)) == len(names)
    for item in everything:
        namespace = item["metadata"].get("namespace")
        assert namespace is None or namespace in {f"tausql-{region}" for region in REGIONS}


@pytest.mark.parametrize("region", REGIONS)
def test_pods_stay_in_their_region(region: str) -> None:
    for item in workloads(render(region)).values():
        assert item["spec"]["template"]["spec"]["nodeSelector"] == {REGION_LABEL: region}


@pytest.mark.parametrize("region", REGIONS)
def test_regions_may_be_zones_where_nodes_have_no_other_label(region: str) -> None:
    for item in workloads(render(region, "--set", "placement.zones={zone-1,zone-2}")).values():
        pod = item["spec"]["template"]["spec"]
        assert "nodeSelector" not in pod
        required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = required["nodeSelectorTerms"]
        (expression,) = term["matchExpressions"]
        assert expression["key"] == "topology.kubernetes.io/zone"
        assert expression["values"] == ["zone-1", "zone-2"]


def test_one_access_key_opens_both_endpoints() -> None:
    for region in FULL:
        secrets = [item["metadata"]["name"] for item in render(region) if item["kind"] == "Secret"]
        assert not [name for name in secrets if "credentials" in name]
        volumes = workloads(render(region))["control"]["spec"]["template"]["spec"]["volumes"]
        assert "tausql-credentials" in [volume.get("secret", {}).get("secretName") for volume in volumes]


@pytest.mark.parametrize("region", REGIONS)
def test_journals_let_the_other_regions_in(region: str) -> None:
    (policy,) = [
        item
        for item in render(region)
        if item["kind"] == "NetworkPolicy" and item["metadata"]["name"] == f"tausql-{region}-journal"
    ]
    for other in set(REGIONS) - {region}:
        assert f"tausql-{other}" in json.dumps(policy["spec"]["ingress"])
        assert f"tausql-{other}" in json.dumps(policy["spec"]["egress"])


def test_small_is_one_pod_of_each_besides_the_journal() -> None:
    for region in REGIONS:
        objects = render(region, "--values", str(OVERLAY / "small.yaml"))
        for service, item in workloads(objects).items():
            expected = {"east": 2, "west": 2, "witness": 1}[region] if service == "journal" else 1
            assert item["spec"].get("replicas", 1) == expected
        assert not [item for item in objects if item["kind"] == "HorizontalPodAutoscaler"]


def test_manifests_for_kustomize_are_the_same_regions() -> None:
    command = [tools.kubectl(), "kustomize", "--enable-helm", "--helm-command", tools.helm(), str(OVERLAY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    objects = load(done.stdout)
    namespaces = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    assert namespaces == {f"tausql-{region}" for region in REGIONS}
    for region in REGIONS:
        own = tuple(item for item in objects if item["metadata"].get("namespace") == f"tausql-{region}")
        expected = workloads(render(region))
        assert workloads(own).keys() == expected.keys()
        for service, item in workloads(own).items():
            assert item["metadata"]["name"] == expected[service]["metadata"]["name"]
            assert item["spec"]["template"]["spec"]["nodeSelector"] == {REGION_LABEL: region}
        assert not [item for item in own if item["kind"] in ("Job", "CronJob", "Pod")]


# The scripts, with clients that remember what they were asked.

KUBECTL = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
state = pathlib.Path(os.environ["STATE"])
context = arguments[arguments.index("--context") + 1] if "--context" in arguments else ""
namespace = arguments[arguments.index("--namespace") + 1]
words = [word for word in arguments[arguments.index(namespace) + 1:]]
objects = json.loads(state.read_text()) if state.exists() else {}
before = json.dumps(objects)
if words[0] == "get" and words[1] in ("secret", "namespace"):
    key = "/".join(("", namespace, *words[1:3])) if words[1] == "secret" else "/" + words[2]
    found = objects.get(context + key)
    output = words[words.index("--output") + 1]
    if found is None:
        assert "--ignore-not-found" in words
    elif output == "name":
        print("x")
    elif "range" in output:
        print(*found)
    else:
        print(found[output.split('"')[1]], end="")
elif words[0] == "create" and words[1] == "namespace":
    objects[context + "/" + words[2]] = {}
elif words[:3] == ["create", "secret", "generic"]:
    files = [words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "--from-file"]
    key = f"{context}/{namespace}/secret/{words[3]}"
    made = {name: pathlib.Path(path).read_text() for name, path in files}
    if "--dry-run=client" in words:
        print(json.dumps({key: made}))
    else:
        assert key not in objects
        objects[key] = made
elif words[0] == "replace":
    (new,) = json.load(sys.stdin).items()
    objects = json.loads(state.read_text())
    assert new[0] in objects
    objects[new[0]] = new[1]
elif words[0] == "get":
    print("deployment.apps/one")
elif words[0] == "rollout":
    pass
else:
    sys.exit(f"not understood: {words}")
if json.dumps(objects) != before:  # whole or not at all: the other end of a pipe may be reading
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps(objects))
    fresh.rename(state)
"""
HELM = """
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
"""


class Clients:
    def __init__(self, folder: Path) -> None:
        self.state = folder / "state.json"
        self.calls = folder / "calls"
        self.environment = {**os.environ, "STATE": str(self.state), "CALLS": str(self.calls)}
        for name, code in (("kubectl", KUBECTL), ("helm", HELM)):
            (folder / f"{name}.py").write_text(code)
            self.environment[name.upper()] = (
                f"{sys.executable} -I -S {folder / name}.py"  # bare: they are run a hundred times
            )

    def run(self, script: str, *arguments: str, **environment: str) -> str:
        command = [str(OVERLAY / script), *arguments]
        given = {**self.environment, **environment}
        done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(self.state.read_text())
        return found

    def installs(self) -> list[list[str]]:
        return [json.loads(line) for line in self.calls.read_text().splitlines()]


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    return Clients(tmp_path)


def test_prepare_gives_all_regions_one_access_key_and_one_authority_each_for_fleet_and_edge(clients: Clients) -> None:
    clients.run("prepare.sh")
    objects = clients.objects()
    secrets = {key: value for key, value in objects.items() if "/secret/" in key}
    assert set(secrets) == {
        *(f"/tausql-{region}/secret/tausql-{region}-ca" for region in REGIONS),
        *(f"/tausql-{region}/secret/tausql-{region}-edge-ca" for region in FULL),
        *(f"/tausql-{region}/secret/tausql-credentials" for region in FULL),
    }
    fleet = [secrets[f"/tausql-{region}/secret/tausql-{region}-ca"] for region in REGIONS]
    edge = [secrets[f"/tausql-{region}/secret/tausql-{region}-edge-ca"] for region in FULL]
    credentials = [secrets[f"/tausql-{region}/secret/tausql-credentials"] for region in FULL]
    for same in (fleet, edge, credentials):
        assert all(one == same[0] for one in same)
    assert fleet[0] != edge[0]
    assert set(fleet[0]) == {"ca.crt", "tls.crt", "tls.key"}
    key = {name: credentials[0][name] for name in ("access_key_id", "secret_access_key")}
    assert json.loads(credentials[0]["credentials.json"]) == key
    assert is_access_key_id(key["access_key_id"])
    assert len(key["secret_access_key"]) == 40
    assert len(fleet_key(credentials[0]["fleet.key"])) == 32
    assert {key for key in objects if "/secret/" not in key} == {f"/tausql-{region}" for region in REGIONS}


def test_the_job_of_a_region_takes_the_authority_that_was_prepared(clients: Clients) -> None:
    clients.run("prepare.sh")
    secret = clients.objects()["/tausql-east/secret/tausql-east-ca"]
    authority = {name: text.encode() for name, text in secret.items()}
    now = datetime.datetime.now(datetime.UTC)
    wanted = plan.Wanted("fleet", (), client=True)
    planned = plan.next_authority(now, wanted, authority, {}, False)
    assert planned == {name: authority[name] for name in ("tls.crt", "tls.key")}
    bundle = plan.bundle_of(planned, ())
    assert bundle == authority["ca.crt"]
    leaf = plan.next_leaf(now, wanted, planned, bundle, {})
    certificate = x509.load_pem_x509_certificate(leaf["tls.crt"])
    signer = x509.load_pem_x509_certificate(authority["tls.crt"])
    certificate.verify_directly_issued_by(signer)
    assert signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert signer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_prepare_again_changes_nothing_and_a_new_region_gets_what_is_there(clients: Clients) -> None:
    clients.run("prepare.sh")
    first = clients.objects()
    clients.run("prepare.sh")
    assert clients.objects() == first
    lost = {key: value for key, value in first.items() if not key.startswith("/tausql-east")}
    clients.state.write_text(json.dumps(lost))
    clients.run("prepare.sh")
    assert clients.objects() == first


def test_what_one_region_has_can_replace_what_the_others_have(clients: Clients) -> None:
    clients.run("prepare.sh")
    objects = clients.objects()
    changed = {"ca.crt": "both", "tls.crt": "present", "tls.key": "secret", "next.crt": "coming", "next.key": "next"}
    objects["/tausql-west/secret/tausql-west-ca"] = changed
    clients.state.write_text(json.dumps(objects))
    clients.run("prepare.sh", "--from", "west")
    for region in REGIONS:
        assert clients.objects()[f"/tausql-{region}/secret/tausql-{region}-ca"] == changed
    everything = clients.objects()
    clients.run("prepare.sh", "--from", "witness")  # which has neither an access key nor an edge
    assert clients.objects() == everything
    name = "/tausql-east/secret/tausql-credentials"
    assert everything[name] == objects[name]


def test_regions_may_be_clusters_of_their_own(clients: Clients) -> None:
    contexts = {f"{region.upper()}_CONTEXT": f"at-{region}" for region in REGIONS}
    clients.run("install.sh", **contexts)
    assert all(key.startswith(tuple(f"at-{region}/tausql-{region}" for region in REGIONS)) for key in clients.objects())
    for call, region in zip(clients.installs(), REGIONS, strict=True):
        assert call[call.index("--kube-context") + 1] == f"at-{region}"


def test_install_passes_on_values_zones_and_arguments(clients: Clients) -> None:
    told = clients.run("install.sh", "--set", "image.tag=test", WEST_ZONES="zone-a,zone-b")
    calls = clients.installs()
    assert [call[2] for call in calls] == [f"tausql-{region}" for region in REGIONS]
    for call, region in zip(calls, REGIONS, strict=True):
        values = [Path(call[i + 1]) for i, word in enumerate(call) if word == "--values"]
        names = ["database.yaml", f"{region}.yaml", *([] if region == "west" else [f"{region}-nodes.yaml"])]
        assert [path.name for path in values] == names
        assert all(path.exists() for path in values)
        assert call[call.index("--namespace") + 1] == f"tausql-{region}"
        assert call[-2:] == ["--set", "image.tag=test"]
        assert ("placement.zones={zone-a,zone-b}" in call) == (region == "west")
    for region in FULL:
        assert f"tausql-{region}-frontend.tausql-{region}.svc:5432" in told
