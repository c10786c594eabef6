"""What the chart tells processes is what they listen to: every variable is a field, and every value is one it takes."""

from __future__ import annotations

import re

import pytest
from helm.reference.schema import prefix_of, settings_class
from tests.unit.chart.rendering import SERVICES, SHAPES, environment, pods, render, service_of, workloads


def told(shape: str, service: str) -> dict[str, str]:
    """The variables of a service's pod; the first one's, where there are several sets of pods."""
    item = next(item for item in workloads(render(*SHAPES[shape])) if service_of(item) == service)
    return environment(item["spec"]["template"])


def runs(shape: str, service: str) -> bool:
    return shape != "witness" or service in ("journal", "timekeeper", "control")


CASES = [(shape, service) for shape in SHAPES for service in SERVICES if runs(shape, service)]


@pytest.mark.parametrize(("shape", "service"), CASES)
def test_every_variable_is_a_setting_and_every_value_parses(
    shape: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {name: value for name, value in told(shape, service).items() if name.startswith("TAUSQL_")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    known = set()
    for name in ("Process", service.capitalize()):
        settings = settings_class(name)()
        for field in type(settings).model_fields:
            variable = f"{prefix_of(name)}{field.upper()}"
            known.add(variable)
            if variable in variables:
                assert field in settings.model_fields_set, variable
    assert set(variables) <= known


@pytest.mark.parametrize(("shape", "service"), CASES)
def test_no_variable_is_there_twice(shape: str, service: str) -> None:
    for item in workloads(render(*SHAPES[shape])):
        if service_of(item) == service:
            names = [one["name"] for one in item["spec"]["template"]["spec"]["containers"][0]["env"]]
            assert len(names) == len(set(names))


def test_large_numbers_stay_numbers() -> None:
    assert told("everything", "frontend")["TAUSQL_FRONTEND_CONNECTIONS_MAX"] == "5000000"
    assert told("everything", "frontend")["TAUSQL_FRONTEND_DRAIN_GRACE_SECONDS"] == "2.5"
    assert told("everything", "frontend")["TAUSQL_CLOCK_ERROR_US_MAX"] == "2000000"
    assert told("everything", "adjudicator")["TAUSQL_ADJUDICATOR_HISTORY_BYTES_MAX"] == "1073741824"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_journals_names_and_addresses_are_what_its_pods_say_of_themselves(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in told(shape, "control").items():
        monkeypatch.setenv(name, value)
    control = settings_class("Control")()
    journal = next(item for item in workloads(render(*SHAPES[shape])) if service_of(item) == "journal")
    members = {member.name: member for member in control.journal}
    assert len(members) == (3 if shape in ("default", "three-zones", "everything") else 5)
    for ordinal in range(journal["spec"]["replicas"]):
        pod = f"{journal['metadata']['name']}-{ordinal}"
        address = environment(journal["spec"]["template"])["TAUSQL_ADDRESS"].replace("tausql-pod-0", pod)
        assert members[pod].address == address
        assert members[pod].region == control.region


@pytest.mark.parametrize("shape", SHAPES)
def test_only_control_does_without_control(shape: str) -> None:
    for item in workloads(render(*SHAPES[shape])):
        variables = environment(item["spec"]["template"])
        if service_of(item) == "control":
            assert "TAUSQL_CONTROL" not in variables
        else:
            assert re.fullmatch(r"tausql[a-z-]*-control\.db\.svc:7400", variables["TAUSQL_CONTROL"])


@pytest.mark.parametrize(("shape", "service"), CASES)
def test_what_a_process_does_while_draining_fits_into_the_drain(
    shape: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in told(shape, service).items():
        monkeypatch.setenv(name, value)
    drain = settings_class("Process")().drain_seconds
    own = settings_class(service.capitalize())()
    for field in ("drain_seconds", "drain_grace_seconds"):
        assert getattr(own, field, 0) < drain


def test_secrets_are_told_as_files() -> None:
    for shape in SHAPES:
        for name, template in pods(render(*SHAPES[shape])).items():
            assert "secretKeyRef" not in str(template), name
            assert not any("PASSWORD" in variable and "FILE" not in variable for variable in environment(template)), (
                name
            )
