"""Secrets of authorities and certificates over the years: made, renewed, replaced, fought over."""

from __future__ import annotations

import datetime
import ssl
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import NAMESPACE

from tausql.control.certificates import Contended, ensure_pair, main
from tausql.control.certificates_plan import Wanted
from tausql.control.certificates_secrets import Data, Secret
from tausql.runtime.issuing import Issued, covers, issue, issue_authority, read_issued, signed_by
from tausql.runtime.tls import Tls

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
FLEET = Wanted("TauSQL fleet", (), True)
EDGE = Wanted("TauSQL edge", ("localhost", "db.example"), False)


class MemorySecrets:
    """Secrets with versions, and an enemy that writes between a read and a write."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}
        self.versions: dict[str, int] = {}
        self.writes = 0
        self.enemy: list[str] = []  # names it changes before the next writes
        self.dies_after: int | None = None

    def read(self, name: str) -> Secret:
        if name not in self.kept:
            return Secret(name, {})
        return Secret(name, dict(self.kept[name]), {"version": self.versions[name]})

    def write(self, secret: Secret, data: Data) -> bool:
        name = secret.name
        if self.enemy:
            other = self.enemy.pop()
            self.put(other, self.kept.get(other, {}))
        if self.dies_after is not None and self.writes >= self.dies_after:
            raise InterruptedError("the pod is gone")
        if secret.whole is None and name in self.kept:
            return False
        if secret.whole is not None and secret.whole["version"] != self.versions[name]:
            return False
        self.writes += 1
        self.put(name, dict(data))
        return True

    def put(self, name: str, data: dict[str, bytes]) -> None:
        self.kept[name] = data
        self.versions[name] = self.versions.get(name, 0) + 1

    def issued(self, name: str) -> Issued:
        return read_issued(self.kept[name]["tls.crt"], self.kept[name]["tls.key"])

    def trusted(self, name: str) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.kept[name]["ca.crt"])


def run(secrets: MemorySecrets, now: datetime.datetime = NOW, wanted: Wanted = FLEET, **more: object) -> list[str]:
    return ensure_pair(secrets, "ca", "leaf", wanted, now, **more)  # type: ignore[arg-type]


def usable(folder: Path, data: dict[str, bytes]) -> Tls:
    folder.mkdir(exist_ok=True)
    for name, content in data.items():
        (folder / name).write_bytes(content)
    host: object = None
    return Tls(host, folder)  # type: ignore[arg-type]  # not started: needs none


def test_what_is_missing_is_made_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    secrets = MemorySecrets()
    assert run(secrets) == ["ca: made", "leaf: made"]
    assert run(secrets, NOW + DAY) == ["ca: unchanged", "leaf: unchanged"]
    usable(tmp_path, secrets.kept["leaf"])
    assert set(secrets.kept["leaf"]) == {"ca.crt", "tls.crt", "tls.key"}


def test_the_edge_certificate_has_its_names_and_cannot_connect_as_a_member(tmp_path: Path) -> None:
    secrets = MemorySecrets()
    run(secrets, wanted=EDGE)
    assert covers(secrets.issued("leaf").certificate, EDGE.names)
    with pytest.raises(ssl.SSLError):
        usable(tmp_path, secrets.kept["leaf"])
    more = EDGE._replace(names=(*EDGE.names, "10.0.0.1"))
    assert run(secrets, wanted=more) == ["ca: unchanged", "leaf: changed tls.crt, tls.key"]
    assert covers(secrets.issued("leaf").certificate, more.names)


@pytest.mark.parametrize(("day", "renewed"), [(1, False), (59, False), (60, True), (120, True)])
def test_a_certificate_is_renewed_when_a_third_is_left(day: int, renewed: bool) -> None:
    secrets = MemorySecrets()
    run(secrets)
    before = secrets.issued("leaf").certificate
    run(secrets, NOW + day * DAY)
    assert (secrets.issued("leaf").certificate != before) is renewed
    assert secrets.issued("leaf").days_left(NOW + day * DAY) >= 30


def test_an_authority_is_replaced_in_steps_and_every_neighbouring_pair_of_states_agrees() -> None:
    secrets = MemorySecrets()
    run(secrets)
    first = secrets.issued("ca").certificate
    states = [dict(secrets.kept["leaf"])]
    run(secrets, NOW + DAY, rotate=True)
    for hours in range(25, 24 * 8, 6):
        states.append(dict(secrets.kept["leaf"]))
        run(secrets, NOW + datetime.timedelta(hours=hours), rotate=hours < 30)
    states.append(dict(secrets.kept["leaf"]))
    last = secrets.issued("ca").certificate
    assert last != first
    assert secrets.trusted("leaf") == secrets.trusted("ca") == [last]
    assert set(secrets.kept["ca"]) == {"ca.crt", "tls.crt", "tls.key"}
    bundles = [x509.load_pem_x509_certificates(state["ca.crt"]) for state in states]
    shown = [x509.load_pem_x509_certificate(state["tls.crt"]) for state in states]
    steps = {(len(bundle), signed_by(one, first)) for bundle, one in zip(bundles, shown, strict=True)}
    assert steps == {(1, True), (2, True), (2, False), (1, False)}
    for ours, theirs in zip(range(len(states)), range(1, len(states)), strict=False):
        for one, other in ((ours, theirs), (theirs, ours)):
            assert any(signed_by(shown[one], trusted) for trusted in bundles[other])


def test_an_authority_that_ends_soon_is_replaced_by_itself() -> None:
    secrets = MemorySecrets()
    run(secrets)
    first = secrets.issued("ca").certificate
    late = NOW + 3300 * DAY
    for day in range(4):
        run(secrets, late + day * DAY)
    assert secrets.issued("ca").certificate != first
    assert secrets.issued("ca").days_left(late) > 3600


@pytest.mark.parametrize("writes", range(8))
def test_a_run_that_dies_anywhere_is_finished_by_the_next(tmp_path: Path, writes: int) -> None:
    secrets = MemorySecrets()
    secrets.dies_after = writes
    for day in range(12):
        try:
            run(secrets, NOW + (day - 12) * DAY, rotate=day == 2)
        except InterruptedError:
            secrets.dies_after = None
            run(secrets, NOW + (day - 12) * DAY, rotate=day == 2)
        usable(tmp_path, secrets.kept["leaf"])
    assert len(secrets.trusted("leaf")) == 1


def test_two_runs_at_once_agree() -> None:
    secrets = MemorySecrets()
    run(secrets)
    secrets.enemy = ["leaf", "ca", "leaf"]
    run(secrets, NOW + 70 * DAY)
    assert signed_by(secrets.issued("leaf").certificate, secrets.issued("ca").certificate)
    assert run(secrets, NOW + 70 * DAY) == ["ca: unchanged", "leaf: unchanged"]
    secrets.enemy = ["leaf"] * 100
    with pytest.raises(Contended):
        run(secrets, NOW + 140 * DAY)


def test_one_that_makes_an_authority_first_wins() -> None:
    secrets, ours = MemorySecrets(), MemorySecrets()
    run(ours)
    read = secrets.read

    def late(name: str) -> Secret:
        secret = read(name)
        if name == "leaf" and "ca" not in secrets.kept:
            secrets.put("ca", ours.kept["ca"])
        return secret

    secrets.read = late  # type: ignore[method-assign]
    run(secrets)
    assert secrets.kept["ca"] == ours.kept["ca"]
    assert signed_by(secrets.issued("leaf").certificate, ours.issued("ca").certificate)


def test_a_given_authority_is_used_and_another_regions_trusted() -> None:
    secrets = MemorySecrets()
    given, other = issue_authority("given", NOW, 1000), issue_authority("other", NOW, 1000)
    secrets.put("ca", {"tls.crt": given.pem(), "tls.key": given.key_pem()})
    secrets.put("region-b", {"ca.crt": other.pem()})
    run(secrets, trust=("region-b", "region-c"))
    assert signed_by(secrets.issued("leaf").certificate, given.certificate)
    assert secrets.trusted("leaf") == [given.certificate, other.certificate]


def test_an_authority_that_cannot_be_read_is_not_thrown_away() -> None:
    secrets = MemorySecrets()
    secrets.put("ca", {"tls.crt": b"", "tls.key": b"something"})
    with pytest.raises(ValueError, match=r".+"):
        run(secrets)
    assert secrets.writes == 0


def test_a_damaged_certificate_is_made_anew() -> None:
    secrets = MemorySecrets()
    run(secrets)
    stranger = issue(issue_authority("x", NOW, 10), "x", [], NOW, 10)
    for damaged in ({"tls.crt": b"?"}, {"tls.key": stranger.key_pem()}, {"tls.crt": stranger.pem()}):
        secrets.put("leaf", {**secrets.kept["leaf"], **damaged})
        assert run(secrets)[0] == "ca: unchanged"
        assert signed_by(secrets.issued("leaf").certificate, secrets.issued("ca").certificate)


def test_half_a_pair_on_the_command_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["ensure", "--ca-secret", "ca"])
    assert left.value.code == 1
    assert "together" in capsys.readouterr().err


def test_the_command_against_an_api_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    server = ApiServer()
    server.start()
    arguments = ["--url", server.url, "--namespace", NAMESPACE, "--label", "app=tausql", "--edge-name", "db.example"]
    arguments += ["--ca-secret", "a", "--secret", "b", "--edge-ca-secret", "c", "--edge-secret", "d"]
    try:
        main(["ensure", *arguments])
        assert capsys.readouterr().out.split("\n")[:4] == ["a: made", "b: made", "c: made", "d: made"]
        main(["ensure", *arguments])
        assert capsys.readouterr().out.count("unchanged") == 4
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        server.records[f"{path}/b"]["metadata"]["annotations"] = {"kept": "yes"}
        main(["rotate-ca", *arguments])
        assert "a: changed ca.crt, next.crt, next.key" in capsys.readouterr().out
        secret = server.records[f"{path}/b"]
        assert secret["type"] == "kubernetes.io/tls"
        assert secret["metadata"]["labels"] == {"app": "tausql"}
        assert secret["metadata"]["annotations"] == {"kept": "yes"}
        usable(tmp_path, {name: b64decode(value) for name, value in secret["data"].items()})
        verbs = {(method, path.removeprefix("/api/v1/namespaces/")) for method, path, _, _ in server.requests}
        assert {method for method, _ in verbs} == {"GET", "POST", "PUT"}
        server.refusals = [403]
        with pytest.raises(SystemExit):
            main(["ensure", *arguments])
        assert "403" in capsys.readouterr().err
    finally:
        server.stop()
