"""values.yaml is the one source: README and schema follow from it, and a typo is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helm.reference.__main__ import made
from helm.reference.values import read
from tests.unit.chart.rendering import CHART, SERVICES, SHAPES, Refused, render

VALUES = read(CHART / "values.yaml")


def test_readme_and_schema_follow_from_values() -> None:
    stale = [path.name for path, text in made().items() if path.read_text() != text]
    assert not stale, f"run `make chart`: {stale}"


def test_every_service_has_the_same_keys_in_the_same_order() -> None:
    services = {value.key: value for value in VALUES if value.key in SERVICES}
    assert tuple(services) == SERVICES
    shared = [leaf.path[1:] for leaf in services["timekeeper"].leaves()]  # it has no key of its own
    for service in services.values():
        assert [leaf.path[1:] for leaf in service.leaves()][: len(shared)] == shared, service.key


def test_services_keys_mean_the_same() -> None:
    """No service says `replicas` and means something else: types agree."""
    kinds: dict[tuple[str, ...], set[type]] = {}
    for service in (value for value in VALUES if value.key in SERVICES):
        for leaf in service.leaves():
            kinds.setdefault(leaf.path[1:], set()).add(type(leaf.default))
    assert not {path for path, types in kinds.items() if len(types) > 1}


def test_an_undescribed_key_is_refused(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("# just a note\nreplicas: 1\n")
    with pytest.raises(ValueError, match="nothing describes replicas"):
        read(values)


@pytest.mark.parametrize(
    "flag",
    [
        "procesor.replicas=1",
        "processor.replica=1",
        "processor.autoscaling.max=1",
        "processor.settings.session_max=1",
        "processor.settings.session_listen=x",  # the chart's own
        "processor.settings.sessions_max=0",
        "processor.replicas=many",
        "settings.log_level=loud",
        "tls.mode=maybe",
        "tls.edge.names=one",
        "journal.autoscaling.enabled=true",
        "journal.persistence.size=big",
        "clock.assumedErrorMicros=some",
        "frontend.service.type=Magic",
        "storage.zones={Zone_A}",
        "regions.peers[0].region=west",
        "monitoring.bundled.prometheus.images=x",
    ],
)
def test_a_typo_is_refused(flag: str) -> None:
    with pytest.raises(Refused, match="don't meet the specifications"):
        render("--set", flag)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--set", "tls.mode=secret"), "tls.secretName is missing"),
        (("--set", "tls.edge.mode=certManager"), "tls.edge.issuer.name is missing"),
        (("--set", "processor.replicas=9"), r"more than autoscaling.maxReplicas \(8\)"),
        (
            (*SHAPES["region"], "--set", "journal.replicas=3"),
            "tausql-east-journal-2, a pod of this release, is missing",
        ),
        ((*SHAPES["region"], "--set", "journal.replicas=1"), "2 of region east, but journal.replicas says 1"),
        ((*SHAPES["region"], "--set", "journal.members[1].name=tausql-east-journal-0"), "is there twice|is missing"),
    ],
)
def test_what_cannot_work_is_refused_in_words(flags: tuple[str, ...], words: str) -> None:
    with pytest.raises(Refused, match=words):
        render(*flags)


def test_comments_of_values_are_sentences() -> None:
    for leaf in (leaf for value in VALUES for leaf in value.leaves()):
        assert leaf.description[0].isupper() or leaf.description[0] in "`0123456789", leaf.path
        assert leaf.description.endswith((".", ")")), leaf.path


def test_values_files_are_valid_yaml_without_duplicate_keys() -> None:
    for path in CHART.glob("values*.yaml"):
        root = yaml.compose(path.read_text())
        assert isinstance(root, yaml.MappingNode)
        pending = [root]
        while pending:
            node = pending.pop()
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{path.name}: {keys}"
            pending += [child for _, child in node.value if isinstance(child, yaml.MappingNode)]
