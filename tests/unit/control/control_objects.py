"""Pods and nodes, as values and as Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tausql.control.cluster import COMPONENT_LABEL, INSTANCE_LABEL, NAME_LABEL, ZONE_LABEL, Pod

NAMESPACE = "db"


def pod(service: str, name: str, node: str = "n1", ip: str = "", **facts: Any) -> Pod:
    number = sum(name.encode()) % 250
    return Pod(name, f"uid-{name}", service, node, ip or f"10.0.{len(name)}.{number}", "Running", 1000, **facts)


def pod_json(
    service: str, name: str, *, node: str = "n1", ip: str = "", uid: str = "", created: int = 1000, **facts: Any
) -> dict[str, Any]:
    """facts: subdomain (of a StatefulSet), phase, deleting, http (port), release."""
    spec: dict[str, Any] = {
        "nodeName": node,
        "containers": [
            {
                "name": service,
                "image": "tausql/tausql",
                "ports": [
                    {"name": "rpc", "containerPort": facts.get("rpc", 7400), "protocol": "TCP"},
                    {"name": "http", "containerPort": facts.get("http", 8080)},
                ],
            },
            {"name": "sidecar"},
        ],
    }
    if "subdomain" in facts:
        spec |= {"hostname": name, "subdomain": facts["subdomain"]}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid or f"uid-{name}",
        "creationTimestamp": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "labels": {
            NAME_LABEL: "tausql",
            INSTANCE_LABEL: facts.get("release", "tausql"),
            COMPONENT_LABEL: service,
        },
    }
    if facts.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status: dict[str, Any] = {"phase": facts.get("phase", "Running"), "conditions": [{"type": "Ready"}]}
    if ip:
        status["podIP"] = ip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def node_json(name: str, zone: str = "") -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name} | ({ZONE_LABEL: zone} if zone else {})
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels, "annotations": {}}}
