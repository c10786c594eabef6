"""`tausql cluster` and `tausql key`, against a control that checks signatures and notes what it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from control_double import IDENTIFIER, ControlDouble, control
from typer.testing import CliRunner

from tausql.local import up as up_module
from tausql.local.api import ApiError, oldest_cluster
from tausql.local.cluster import load
from tausql.local.command import app
from tausql.local.reached import from_here

__all__ = ["control"]  # a fixture

ARN = f"arn:aws:dsql:eu-west-1:000000000000:cluster/{IDENTIFIER}"


def run(double: ControlDouble, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*words, "--data", str(double.folder)])
    return done.exit_code, done.stdout, done.stderr


def test_create_waits_until_the_cluster_is_there(control: ControlDouble, tmp_path: Path) -> None:
    control.answer("POST /cluster", {"identifier": IDENTIFIER, "status": "CREATING", "arn": ARN})
    control.answer(f"GET /cluster/{IDENTIFIER}", {"status": "CREATING"}, {"status": "ACTIVE", "endpoint": "there"})
    policy = tmp_path / "policy.json"
    policy.write_text('{"Version": "2012-10-17"}')
    words = ["--tag", "team=orders", "--tag", "of=a=b", "--deletion-protection", "--policy", str(policy)]
    code, out, err = run(control, "cluster", "create", *words)
    assert (code, err) == (0, "")
    assert json.loads(out) == {"identifier": IDENTIFIER, "status": "ACTIVE", "arn": ARN, "endpoint": "there"}
    first, *polls = control.asked
    sent = json.loads(first.body)
    assert len(sent.pop("clientToken")) == 36
    assert sent == {
        "tags": {"team": "orders", "of": "a=b"},
        "deletionProtectionEnabled": True,
        "policy": '{"Version": "2012-10-17"}',
    }
    assert [one.method for one in polls] == ["GET", "GET"]
    assert {one.service for one in control.asked} == {"dsql"}


def test_create_need_not_wait(control: ControlDouble) -> None:
    control.answer("POST /cluster", {"identifier": IDENTIFIER, "status": "CREATING"})
    code, out, _ = run(control, "cluster", "create", "--no-wait")
    assert (code, json.loads(out)["status"], len(control.asked)) == (0, "CREATING", 1)
    assert list(json.loads(control.asked[0].body)) == ["clientToken"]


def test_list_reads_every_page(control: ControlDouble) -> None:
    control.answer("GET /cluster", {"clusters": [{"identifier": "a"}], "nextToken": "x+/="}, {"clusters": [{"b": 1}]})
    code, out, _ = run(control, "cluster", "list")
    assert (code, json.loads(out)) == (0, {"clusters": [{"identifier": "a"}, {"b": 1}]})
    assert [one.path for one in control.asked] == [
        "/cluster?max-results=100",
        "/cluster?max-results=100&next-token=x%2B%2F%3D",
    ]


def test_delete_waits_until_the_cluster_is_gone(control: ControlDouble) -> None:
    control.answer(f"DELETE /cluster/{IDENTIFIER}", {"identifier": IDENTIFIER, "status": "DELETING"})
    control.answer(f"GET /cluster/{IDENTIFIER}", {"status": "DELETING"})
    gone = {"__type": "com.amazonaws.dsql#ResourceNotFoundException:http", "message": "not found"}
    control.answer(f"GET /cluster/{IDENTIFIER}", gone, status=404)
    code, out, _ = run(control, "cluster", "delete", f"{IDENTIFIER}.dsql.eu-west-1.on.aws")
    assert (code, json.loads(out)["status"], len(control.asked)) == (0, "DELETED", 3)


def test_change_protection_tags_and_policy(control: ControlDouble, tmp_path: Path) -> None:
    control.answer(f"POST /cluster/{IDENTIFIER}", {"status": "UPDATING"})
    control.answer(f"GET /cluster/{IDENTIFIER}", {"arn": ARN})
    encoded = ARN.replace(":", "%3A")
    control.answer(f"POST /tags/{encoded}", "")
    control.answer(f"DELETE /tags/{encoded}", "")
    for method in ("GET", "POST", "DELETE"):
        control.answer(f"{method} /cluster/{IDENTIFIER}/policy", {"policyVersion": "2"})
    policy = tmp_path / "policy.json"
    policy.write_text("{}")
    for words in (
        ["cluster", "update", ARN, "--no-deletion-protection"],
        ["cluster", "tag", IDENTIFIER, "a=1"],
        ["cluster", "untag", IDENTIFIER, "a", "b c"],
        ["cluster", "policy", "get", IDENTIFIER],
        ["cluster", "policy", "put", IDENTIFIER, "--policy", str(policy), "--expected-version", "1"],
        ["cluster", "policy", "delete", IDENTIFIER, "--expected-version", "2"],
    ):
        assert run(control, *words)[0] == 0, words
    assert json.loads(control.asked[0].body)["deletionProtectionEnabled"] is False
    said = [one.path for one in control.asked]
    assert f"/tags/{encoded}?tagKeys=a&tagKeys=b%20c" in said
    put = next(one for one in control.asked if one.method == "POST" and one.path.endswith("/policy"))
    assert json.loads(put.body)["expectedPolicyVersion"] == "1"
    assert "&expected-policy-version=2" in said[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cluster", "get", "short"], "'short' names no cluster"),
        (["cluster", "update", IDENTIFIER], "say what to change"),
        (["cluster", "tag", IDENTIFIER, "novalue"], "'novalue' is no tag"),
        (["cluster", "create", "--policy", "/nowhere"], "'/nowhere' does not exist"),
        (["token", "--expires", "604801"], "less than or equal to 604800"),
    ],
)
def test_bad_words_are_refused_before_anybody_is_asked(control: ControlDouble, words: list[str], told: str) -> None:
    code, out, err = run(control, *words)
    assert (code, out, control.asked) == (2, "", [])
    assert told in " ".join(err.replace("│", " ").split())


def test_what_the_api_refuses_is_said_in_its_words(control: ControlDouble) -> None:
    control.answer("POST /cluster", {"message": "You have reached the cluster limit."}, status=402)
    assert run(control, "cluster", "create") == (1, "", "tausql: HTTP 402: You have reached the cluster limit.\n")
    control.answer(f"GET /cluster/{IDENTIFIER}", "<html>a proxy's</html>", status=502)
    assert run(control, "cluster", "get", IDENTIFIER)[0] == 1
    (control.folder / "credentials.json").write_text('{"access_key_id": "AKIA", "secret_access_key": "x"}')
    code, _, err = run(control, "cluster", "list")
    assert code == 1
    assert err == (
        "tausql: UnrecognizedClientException: The security token included in the request is invalid.\n"
    )  # fmt: skip
    (control.folder / "credentials.json").write_text("{}")
    assert "holds no access key" in run(control, "cluster", "list")[2]


def test_without_control_it_says_where_it_asked(tmp_path: Path, control: ControlDouble) -> None:
    cluster = load(control.folder)
    assert cluster is not None
    cluster.api_port = 1
    cluster.save(control.folder)
    code, _, err = run(control, "cluster", "list")
    assert (code, err.startswith("tausql: no answer from http://127.0.0.1:1: ")) == (1, True)


def test_keys_speak_iam(control: ControlDouble, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"a": "<&>"}')
    space = 'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"'
    error = "<Error><Code>EntityAlreadyExists</Code><Message>b &amp; c</Message></Error>"
    taken = f"<ErrorResponse {space}>{error}</ErrorResponse>"
    made = (
        f"<CreateAccessKeyResponse {space}><CreateAccessKeyResult><AccessKey><UserName>app</UserName>"
        "<AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status><SecretAccessKey>s+/&amp;</SecretAccessKey>"
        "</AccessKey></CreateAccessKeyResult></CreateAccessKeyResponse>"
    )
    control.answer("POST /", taken, status=409)
    control.answer("POST /", f"<PutUserPolicyResponse {space}/>", made)
    code, out, err = run(control, "key", "create", "--user", "app", "--policy", str(policy))
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "UserName": "app",
        "AccessKeyId": "AKIA1",
        "SecretAccessKey": "s+/&",
        "Status": "Active",
    }
    forms = [parse_qs(one.body) for one in control.asked]
    assert [form["Action"] for form in forms] == [["CreateUser"], ["PutUserPolicy"], ["CreateAccessKey"]]
    assert forms[1]["PolicyDocument"] == ['{"a": "<&>"}']
    assert {one.service for one in control.asked} == {"iam"}
    control.answers.clear()
    control.answer("POST /", taken, status=409)
    assert run(control, "key", "delete", "AKIA1")[2] == "tausql: EntityAlreadyExists: b & c\n"
    control.answers.clear()
    control.answer("POST /", "not XML")
    assert "the answer is no XML" in run(control, "key", "list")[2]


def test_the_oldest_cluster_is_the_first_that_is_listed(control: ControlDouble) -> None:
    fleet = from_here(control.folder)
    assert fleet is not None
    control.answer("GET /cluster", {"clusters": [{"identifier": IDENTIFIER}], "nextToken": "x"}, {"clusters": []})
    assert oldest_cluster(fleet) == IDENTIFIER
    assert control.asked[0].path == "/cluster?max-results=1"
    assert oldest_cluster(fleet) == ""
    control.answers["GET /cluster"] = [(503, "busy")]
    with pytest.raises(ApiError, match="HTTP 503: busy"):
        oldest_cluster(fleet)


class _Supervisor:
    """Ends after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def step(self, _: float | None) -> bool:
        self.steps -= 1
        return self.steps >= 0


def test_up_asks_until_control_has_its_tables(control: ControlDouble) -> None:
    cluster = load(control.folder)
    assert cluster is not None
    cluster.identifier = ""
    control.answer("GET /cluster", "not yet", status=503)
    control.answer("GET /cluster", {"clusters": []}, {"clusters": [{"identifier": IDENTIFIER}]})
    up_module._learn_cluster(_Supervisor(9), control.folder, cluster)  # type: ignore[arg-type]
    assert len(control.asked) == 3
    again = load(control.folder)
    assert again is not None
    assert again.identifier == IDENTIFIER


def test_up_takes_it_that_all_clusters_are_deleted(control: ControlDouble) -> None:
    cluster = load(control.folder)
    assert cluster is not None
    control.answer("GET /cluster", {"clusters": []})
    up_module._learn_cluster(_Supervisor(9), control.folder, cluster)  # type: ignore[arg-type]
    assert (len(control.asked), cluster.identifier) == (1, "")


def test_up_keeps_what_it_knew_where_control_refuses_or_it_is_told_to_stop(
    control: ControlDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = load(control.folder)
    assert cluster is not None
    control.answer("GET /cluster", {"message": "no"}, status=403)
    up_module._learn_cluster(_Supervisor(9), control.folder, cluster)  # type: ignore[arg-type]
    assert "control did not tell which clusters there are: HTTP 403: no" in capsys.readouterr().err
    up_module._learn_cluster(_Supervisor(0), control.folder, cluster)  # type: ignore[arg-type]
    assert (len(control.asked), cluster.identifier) == (1, IDENTIFIER)
