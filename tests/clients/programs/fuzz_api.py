"""Control's API under made-up calls: everything its OpenAPI description allows, and much that it does not.

Whatever comes, the answer is one of the API: no status of 500 or above, an error with its type in the header and a
message in the body, never a page of some framework. Run by pytest, in schemathesis's own environment.
"""

from __future__ import annotations

import os
import time

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, settings

URL, REGION = os.environ["AWS_ENDPOINT_URL_DSQL"], os.environ["REGION"]
KEY = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
EXAMPLES = int(os.environ.get("EXAMPLES", "12"))

schema = schemathesis.openapi.from_url(f"{URL}/openapi.json")


class Signed(requests.auth.AuthBase):
    """As botocore signs."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        plain = AWSRequest(request.method, request.url, data=body if isinstance(body, bytes) else body.encode())
        SigV4Auth(KEY, "dsql", REGION).add_auth(plain)
        request.headers.update(dict(plain.headers))
        return request


def check(response: requests.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400 and response.request.method != "HEAD":
        told = response.json()
        assert "message" in told, told
        assert response.headers.get("x-amzn-errortype"), response.headers


@schema.exclude(path="/").parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation(case: schemathesis.Case) -> None:
    response = requests.request(auth=Signed(), timeout=20, **case.as_transport_kwargs(base_url=URL))
    check(response)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/cluster", {"data": b"x" * 2_000_000}, 413),
        ("POST", "/cluster", {"data": b"{"}, 400),
        ("POST", "/cluster", {"data": b"[1]"}, 400),
        ("POST", "/cluster", {"data": b'{"tags": ' + b"[" * 5000 + b"]" * 5000 + b"}"}, 400),
        ("POST", "/cluster", {"data": b'{"deletionProtectionEnabled": "\xff"}'}, 400),
        ("GET", "/cluster/" + "a" * 5000, {}, 400),
        ("GET", "/cluster/" + "a" * 26, {}, 404),
        ("GET", "/cluster/..%2f..%2fping", {}, 400),
        ("GET", "/cluster?max-results=0", {}, 400),
        ("GET", "/cluster?next-token=nonsense", {}, 400),
        ("PUT", "/cluster", {}, 400),
        ("GET", "/v1/plan", {}, 400),
        ("GET", "/metrics", {}, 400),
    ],
)
def test_by_hand(method: str, path: str, options: dict, status: int) -> None:
    response = requests.request(method, URL + path, auth=Signed(), timeout=20, **options)
    assert response.status_code == status, (response.status_code, response.text[:300])
    check(response)


def test_nothing_without_a_signature() -> None:
    for method, path in [("GET", "/cluster"), ("POST", "/cluster"), ("POST", "/"), ("DELETE", "/cluster/" + "a" * 26)]:
        response = requests.request(method, URL + path, timeout=20)
        assert response.status_code == 403, (method, path, response.status_code)


def asked(method: str, path: str, **options: object) -> requests.Response:
    """As an SDK asks: again where it was told that it asks too often."""
    for _ in range(50):
        response = requests.request(method, URL + path, auth=Signed(), timeout=20, **options)
        if response.status_code != 429:
            break
        time.sleep(0.2)
    check(response)
    return response


def test_it_is_all_there_afterwards() -> None:
    response = asked("GET", "/cluster")
    assert response.status_code == 200
    assert response.json()["clusters"]


def test_what_was_made_up_is_taken_away() -> None:
    """A fleet has a limit of clusters, and other clients come after this one."""
    own = os.environ["CLUSTER_ENDPOINT"].partition(".")[0]
    listed = asked("GET", "/cluster").json()["clusters"]
    for identifier in [one["identifier"] for one in listed if one["identifier"] != own]:
        asked("POST", f"/cluster/{identifier}", json={"deletionProtectionEnabled": False})
        asked("DELETE", f"/cluster/{identifier}")
    assert own in [one["identifier"] for one in asked("GET", "/cluster").json()["clusters"]]
