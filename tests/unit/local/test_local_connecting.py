"""What `tausql env`, `token` and `hosts` tell a client: held against what AWS's own SDK makes and takes."""

from __future__ import annotations

import os
import shlex
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from control_double import IDENTIFIER, REGION, ControlDouble, control
from typer.testing import CliRunner

from tausql.access.connect_tokens import ConnectTokens
from tausql.local.cluster import load
from tausql.local.command import app
from tausql.local.credentials import ensure_credentials, ensure_fleet_key, read_credentials
from tausql.local.hosts import with_ours, without_ours
from tausql.local.trust import bundle_of
from tausql.protocol.clusters import ClusterRecord

__all__ = ["control"]  # a fixture

ENDPOINT = f"{IDENTIFIER}.dsql.{REGION}.on.aws"


def run(folder: Path, *words: str, **surroundings: str) -> tuple[int, str, str]:
    done = CliRunner(env=surroundings).invoke(app, [*words, "--data", str(folder)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def fleet(control: ControlDouble) -> Path:
    """The folder of a fleet with an authority and one cluster."""
    (control.folder / "tls").mkdir()
    own = ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    assert own, "this machine has no authorities to borrow one from"
    (control.folder / "tls" / "ca.pem").write_bytes(Path(own).read_bytes().partition(b"-----END")[0] + END)
    return control.folder


END = b"-----END CERTIFICATE-----\n"


def settings_of(folder: Path, *words: str, **surroundings: str) -> dict[str, str]:
    code, out, err = run(folder, "env", *words, **surroundings)
    assert (code, err) == (0, "")
    pairs = [line.removeprefix("export ").partition("=") for line in out.splitlines() if "PATH=" not in line]
    return {name: shlex.split(value)[0] for name, _, value in pairs}


def test_the_first_key_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    key = ensure_credentials(tmp_path)
    assert ensure_credentials(tmp_path) == key == read_credentials(tmp_path)
    fleet_key = ensure_fleet_key(tmp_path).read_bytes()
    assert ensure_fleet_key(tmp_path).read_bytes() == fleet_key
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "credentials.json": 0o600,
        "fleet.key": 0o600,
    }


@pytest.mark.parametrize("content", ["", "{}", '{"access_key_id": "", "secret_access_key": "x"}', '{"secret": 1}'])
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content)
    with pytest.raises(ValueError, match=r"credentials\.json"):
        ensure_credentials(tmp_path)


def test_tokens_are_what_boto3_makes(fleet: Path, control: ControlDouble) -> None:
    """Of the same moment, letter for letter but the order of parameters."""
    _, token, _ = run(fleet, "token", "--expires", "1234", "--user", "app")
    key = read_credentials(fleet)
    session = botocore.session.get_session()
    session.set_credentials(key.access_key_id, key.secret)
    client: Any = session.create_client("dsql", region_name=REGION)
    theirs = client.generate_db_connect_auth_token(ENDPOINT, REGION, 1234)
    ours = urlsplit("https://" + token.strip())
    names, expected = parse_qs(ours.query), parse_qs(urlsplit("https://" + theirs).query)
    assert (ours.netloc, ours.path) == (ENDPOINT, "/")
    assert names.keys() == expected.keys()
    assert names["Action"] == expected["Action"] == ["DbConnect"]
    assert names["X-Amz-Expires"] == ["1234"]
    cluster = ClusterRecord(IDENTIFIER, 1, "ACTIVE", "arn:aws:dsql:x:0:cluster/x", (ENDPOINT,))
    checks = ConnectTokens({key.access_key_id: control.record}.get, REGION)
    refused = checks.check(token.strip().encode(), cluster, "admin", "127.0.0.1", 2e9)
    assert "Signature expired" in refused.hint  # type: ignore[union-attr]


def test_env_names_everything_a_client_needs(fleet: Path) -> None:
    told = settings_of(fleet, SSL_CERT_FILE="")
    cluster = load(fleet)
    key = read_credentials(fleet)
    assert cluster is not None
    assert told.pop("PGPASSWORD").startswith(f"{ENDPOINT}/?Action=DbConnectAdmin&")
    api = f"http://127.0.0.1:{cluster.api_port}"
    authority = str(fleet / "tls" / "ca.pem")
    assert told == {
        "CLUSTER_ENDPOINT": ENDPOINT,
        "CLUSTER_USER": "admin",
        "REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_DSQL": api,
        "AWS_ENDPOINT_URL_IAM": api,
        "AWS_ENDPOINT_URL_STS": api,
        "AWS_ENDPOINT_URL_CLOUDTRAIL": api,
        "AWS_ENDPOINT_URL_RDS_DATA": "http://127.0.0.1:8080",
        "SSL_CERT_FILE": str(fleet / "tls" / "bundle.pem"),
        "NODE_EXTRA_CA_CERTS": authority,
        "PGHOST": ENDPOINT,
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": "5433",
        "PGUSER": "admin",
        "PGDATABASE": "postgres",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": authority,
        "TAUSQL_HTTP": "http://127.0.0.1:8080",
        "TAUSQL_CA": authority,
    }


def test_env_of_another_cluster_and_another_user(fleet: Path) -> None:
    other = "z" * 26
    told = settings_of(fleet, "--cluster", other, "--user", "app")
    assert (told["PGHOST"], told["PGUSER"]) == (f"{other}.dsql.{REGION}.on.aws", "app")
    assert "Action=DbConnect&" in told["PGPASSWORD"]


def test_the_oldest_cluster_is_the_one_that_is_the_oldest_now(fleet: Path, control: ControlDouble) -> None:
    """The one that was the oldest when the fleet started may have been deleted."""
    control.answer("GET /cluster", {"clusters": [{"identifier": "y" * 26}]})
    assert settings_of(fleet)["PGHOST"].startswith("y" * 26)
    control.answers["GET /cluster"] = [(503, "busy")]
    assert settings_of(fleet)["PGHOST"] == ENDPOINT


def test_a_fleet_without_clusters_says_so(fleet: Path, control: ControlDouble) -> None:
    cluster = load(fleet)
    assert cluster is not None
    cluster.identifier = ""
    cluster.save(fleet)
    control.answer("GET /cluster", {"clusters": []})
    told = "tausql: the fleet has no cluster: make one with `tausql cluster create`\n"
    assert run(fleet, "env") == run(fleet, "token") == (1, "", told)


def test_the_bundle_adds_to_what_was_trusted(fleet: Path, tmp_path: Path) -> None:
    """pip and curl of the same shell go on working: SSL_CERT_FILE replaces all that they trust."""
    folder = fleet / "tls"
    own = (folder / "ca.pem").read_bytes()
    system = bundle_of(folder / "ca.pem", "").read_bytes()
    assert system.endswith(own)
    assert system.count(b"BEGIN CERTIFICATE") > 1
    ssl.create_default_context(cafile=str(folder / "bundle.pem"))
    company = tmp_path / "company.pem"
    company.write_bytes(own.replace(b"BEGIN", b"BEGIN", 1))
    with_company = bundle_of(folder / "ca.pem", str(company)).read_bytes()
    assert with_company.count(b"BEGIN CERTIFICATE") == 2
    assert bundle_of(folder / "ca.pem", str(folder / "bundle.pem")).read_bytes() != b""
    with pytest.raises(FileNotFoundError):
        bundle_of(tmp_path / "nowhere" / "ca.pem", "")


def test_a_second_eval_keeps_what_the_first_one_found(fleet: Path, tmp_path: Path) -> None:
    company = tmp_path / "company.pem"
    company.write_text("-----BEGIN CERTIFICATE-----\ncompany\n-----END CERTIFICATE-----\n")
    first = settings_of(fleet, SSL_CERT_FILE=str(company))["SSL_CERT_FILE"]
    content = Path(first).read_bytes()
    assert settings_of(fleet, SSL_CERT_FILE=first)["SSL_CERT_FILE"] == first
    assert Path(first).read_bytes() == content
    assert content.count(b"company") == 1


def test_hosts_are_printed_installed_and_removed(fleet: Path, control: ControlDouble, tmp_path: Path) -> None:
    other = "b" * 26
    control.answer("GET /cluster", {"clusters": [{"identifier": IDENTIFIER}, {"identifier": other}]})
    lines = [f"127.0.0.1 {name}.dsql.{REGION}.on.aws # tausql {fleet}\n" for name in (IDENTIFIER, other)]
    assert run(fleet, "hosts") == (0, "".join(lines), "")
    file = tmp_path / "hosts"
    before = f"127.0.0.1 localhost\n127.0.0.1 x # tausql {fleet}-another\n::1 end"
    file.write_text(before)
    assert run(fleet, "hosts", "--install", "--file", str(file))[0] == 0
    assert file.read_text() == f"{before}\n{''.join(lines)}"
    code, _, err = run(fleet, "hosts", "--install", "--file", str(file))
    assert (code, err) == (0, f"{file} is as it should be\n")
    assert run(fleet, "hosts", "--remove", "--file", str(file))[0] == 0
    assert file.read_text() == f"{before}\n"
    assert run(fleet, "hosts", "--install", "--remove")[0] == 2


def test_hosts_without_control_are_those_that_are_known(fleet: Path, control: ControlDouble) -> None:
    control.answer("GET /cluster", "no", status=503)
    code, out, err = run(fleet, "hosts")
    assert (code, out) == (0, f"127.0.0.1 {ENDPOINT} # tausql {fleet}\n")
    assert err.startswith("tausql: only the oldest cluster")


def test_hosts_that_may_not_be_written_say_what_to_do(
    fleet: Path, control: ControlDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    control.answer("GET /cluster", {"clusters": []})

    def refuse(*_: object) -> None:
        raise PermissionError("no")

    file = tmp_path / "hosts"
    file.write_text(f"127.0.0.1 old # tausql {fleet}\n")
    monkeypatch.setattr(Path, "write_text", refuse)
    code, _, err = run(fleet, "hosts", "--install", "--file", str(file))
    assert code == 1
    assert err.startswith(f"tausql: {file} is not ours to write: sudo ")
    assert err.endswith(f" hosts --install --data {fleet}\n")
    assert run(fleet, "hosts", "--remove", "--file", str(tmp_path / "nowhere"))[0] == 1


def test_lines_of_others_are_left_alone() -> None:
    folder = Path("/data")
    text = "a\nb # tausql /data\nc # tausql /data2\n"
    assert without_ours(text, folder) == "a\nc # tausql /data2\n"
    assert with_ours("", folder, ["x"]) == "x\n"


def test_psql_gets_a_token_and_nothing_but_libpqs_names(fleet: Path, tmp_path: Path) -> None:
    program = tmp_path / "psql"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:], os.environ['PGHOST'], 'REGION' in os.environ)\n"
    )
    program.chmod(0o755)
    surroundings = {name: value for name, value in os.environ.items() if name != "REGION"}
    surroundings["PATH"] = f"{tmp_path}:{surroundings['PATH']}"
    script = "from tausql.local import command; command.main()"
    words = [sys.executable, "-c", script, "psql", "--data", str(fleet), "-At", "-c", "SELECT 'a b'"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=surroundings, check=False)
    assert (done.stderr, done.stdout) == ("", f"['-At', '-c', \"SELECT 'a b'\"] {ENDPOINT} False\n")


def test_the_environment_tells_of_a_fleet_where_there_is_no_folder(fleet: Path, tmp_path: Path) -> None:
    """What `tausql env` has set is enough for the other commands, from any folder."""
    told = settings_of(fleet)
    elsewhere = tmp_path / "elsewhere"
    code, token, _ = run(elsewhere, "token", **told)
    assert (code, token.partition("?")[0]) == (0, f"{ENDPOINT}/")
    code, hosts, _ = run(elsewhere, "env", **told)
    assert code == 0
    assert f"export PGHOST={ENDPOINT}" in hosts
    bare = {name: told[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
    assert "no fleet in" in run(elsewhere, "token", **bare)[2]
    assert run(elsewhere, "token", **told | {"PGPORT": "many"})[0] == 1


def test_in_a_controls_pod_its_settings_tell(control: ControlDouble, tmp_path: Path) -> None:
    cluster = load(control.folder)
    assert cluster is not None
    control.answer("GET /cluster", {"clusters": [{"identifier": IDENTIFIER}]})
    settings = {
        "TAUSQL_CONTROL_CREDENTIALS_FILE": str(control.folder / "credentials.json"),
        "TAUSQL_CONTROL_API_LISTEN": f"0.0.0.0:{cluster.api_port}",
        "TAUSQL_CONTROL_REGION": REGION,
    }
    told = settings_of(tmp_path / "nowhere", **settings)
    assert (told["PGHOST"], told["PGHOSTADDR"], told["PGPORT"]) == (ENDPOINT, "127.0.0.1", "5432")
    assert told["AWS_ENDPOINT_URL_DSQL"] == f"http://127.0.0.1:{cluster.api_port}"
    assert told["PGSSLMODE"] == "require"
    assert not {"SSL_CERT_FILE", "PGSSLROOTCERT", "TAUSQL_HTTP"} & told.keys()
    settings["TAUSQL_CONTROL_API_LISTEN"] = ""
    assert "this control serves no API" in run(tmp_path / "nowhere", "env", **settings)[2]
