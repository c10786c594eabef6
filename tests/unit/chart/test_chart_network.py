"""Network policies say what docs/architecture.md says: who talks to whom, and nobody else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.chart.rendering import SERVICES, SHAPES, environment, of_kind, render, service_of, workloads

DOCUMENT = Path(__file__).parents[3] / "docs" / "architecture.md"
RPC, HTTP, SESSION, POSTGRES, WEBSOCKET, API = 7400, 8080, 7500, 5432, 8443, 8081
Edge = tuple[str, str, int]  # caller, callee, port


def documented() -> set[Edge]:
    """The edges of the architecture between services, read from its own sentence."""
    text = DOCUMENT.read_text().split("## Who talks to whom, and nobody else\n\n")[1].split("\n\n")[0]
    sentence = re.sub(r"\([^)]*\)", "", text.replace("\n", " ")).rstrip(". ")
    edges: set[Edge] = {(one, "processor", SESSION) for one in ("frontend", "control")}  # a port of their own
    for part in sentence.split(";"):
        caller, callees = (side.strip() for side in part.split("→"))
        for callee in (name.strip() for name in re.split(r",| and ", callees)):
            if callee == "everyone's HTTP port":
                edges |= {(caller, other, HTTP) for other in SERVICES if other != caller}
            elif callee != "the controls of other regions":
                assert callee in SERVICES, f"what is {callee!r}?"
                callers = [one for one in SERVICES if one != callee] if caller == "everyone" else [caller]
                edges |= {(one, callee, RPC) for one in callers}
    return edges


def clocked() -> set[str]:
    """Who asks timekeepers: not they themselves, and not control, which needs no time of the cluster."""
    return {
        service_of(item)
        for item in workloads(render())
        if environment(item["spec"]["template"])["TAUSQL_CLOCK"] == "timekeeper"
    }


def component(peer: dict[str, Any]) -> str | None:
    """The service of this release that a peer of a policy is."""
    if set(peer) != {"podSelector"}:
        return None
    labels = peer["podSelector"]["matchLabels"]
    assert labels["app.kubernetes.io/instance"] == "tausql"
    found: str = labels["app.kubernetes.io/component"]
    return found


def allowed(shape: str, direction: str) -> set[Edge]:
    """Edges that the policies of a shape allow, by what they say of `ingress` or of `egress`."""
    edges: set[Edge] = set()
    for policy in of_kind(render(*SHAPES[shape]), "NetworkPolicy").values():
        own = service_of(policy)
        for rule in policy["spec"].get(direction) or ():
            for peer in rule.get("from" if direction == "ingress" else "to", ()):
                other = component(peer)
                if other in SERVICES:
                    pair = (other, own) if direction == "ingress" else (own, other)
                    edges |= {(*pair, port["port"]) for port in rule["ports"]}
    return edges


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_policies_are_exactly_the_edges_of_the_architecture(direction: str) -> None:
    expected = {edge for edge in documented() if edge[1] != "timekeeper" or edge[0] in clocked() or edge[2] == HTTP}
    assert allowed("default", direction) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ends_of_an_edge_allow_it(shape: str) -> None:
    assert allowed(shape, "ingress") == allowed(shape, "egress")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_service_has_a_policy_for_both_directions(shape: str) -> None:
    policies = of_kind(render(*SHAPES[shape]), "NetworkPolicy")
    assert {service_of(item) for item in policies.values()} == {
        service_of(item) for item in workloads(render(*SHAPES[shape]))
    }
    for policy in policies.values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("shape", ["default", "witness"])
def test_only_the_frontend_and_the_api_are_open_to_everybody(shape: str) -> None:
    opened = {}
    for policy in of_kind(render(*SHAPES[shape]), "NetworkPolicy").values():
        unlimited = [rule for rule in policy["spec"]["ingress"] if "from" not in rule]
        if unlimited:
            opened[service_of(policy)] = [[port["port"] for port in rule["ports"]] for rule in unlimited]
    expected = {"frontend": [[POSTGRES, WEBSOCKET, HTTP]], "control": [[API]]}
    assert opened == (expected if shape == "default" else {})


def test_clients_can_be_limited() -> None:
    for service, port in (("frontend", POSTGRES), ("control", API)):
        policy = of_kind(render(*SHAPES["everything"]), "NetworkPolicy")[f"tausql-{service}"]
        (rule,) = [rule for rule in policy["spec"]["ingress"] if {"port": port, "protocol": "TCP"} in rule["ports"]]
        assert {"ipBlock": {"cidr": "192.168.0.0/16"}} in rule["from"]
        assert "test" in [component(peer) for peer in rule["from"]]  # `helm test` is a client too


def test_only_names_and_the_kubernetes_api_are_called_outside() -> None:
    for policy in of_kind(render(), "NetworkPolicy").values():
        unlimited = [rule for rule in policy["spec"]["egress"] if "to" not in rule]
        ports = [{port["port"] for port in rule["ports"]} for rule in unlimited]
        more = {"control": [{443, 6443}], "changefeed": [{80, 443}]}.get(service_of(policy), [])
        assert ports == [{53}, *more]


def test_other_regions_reach_what_the_protocol_needs_of_them_and_no_more() -> None:
    policies = of_kind(render(*SHAPES["region"]), "NetworkPolicy")
    reached = {}
    for policy in policies.values():
        for rule in policy["spec"]["ingress"]:
            foreign = [peer for peer in rule.get("from", ()) if peer.get("namespaceSelector")]
            if foreign:
                assert [port["port"] for port in rule["ports"]] == [RPC]
                assert {"ipBlock": {"cidr": "10.32.0.0/16"}} in rule["from"]
                (services,) = [
                    set(peer["podSelector"]["matchExpressions"][0]["values"])
                    for peer in foreign
                    if peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "tausql-west"}
                ]
                reached[service_of(policy)] = services
    assert reached == {
        "journal": {"adjudicator", "crossbar", "journal"},
        "adjudicator": {"processor", "crossbar", "adjudicator"},
        "crossbar": {"storage", "changefeed"},
        "storage": {"processor", "storage", "changefeed"},
        "control": {"control"},
    }
