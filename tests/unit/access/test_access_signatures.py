"""Signatures as botocore makes them are accepted, ours are botocore's, and nothing else is."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest
from access_keys import KEYS, NOW, PERMANENT, REGION, TEMPORARY, credentials
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from tausql.access import sigv4
from tausql.access.signatures import SignatureRefused, Signatures, SignedRequest

SCOPES = {("dsql", REGION)}
URLS = (
    "http://127.0.0.1:8081/cluster",
    "http://127.0.0.1:8081/cluster?max-results=1&next-token=a%2Fb%3D%3D",
    "https://dsql.us-east-1.api.aws/tags/arn%3Aaws%3Adsql%3Aus-east-1%3A000000000000%3Acluster%2Fabc?tagKeys=b&tagKeys=a",
    "http://localhost/a//b/../c/?x&y=%C3%A4%20b",
)


@pytest.fixture
def at_now(monkeypatch):
    """botocore's clock."""
    import datetime

    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment.replace(tzinfo=None))


def by_botocore(key, method, url, body, service="dsql", region=REGION):
    request = AWSRequest(method, url, headers={"Content-Type": "application/json"}, data=body)
    SigV4Auth(BotoCredentials(key.access_key_id, key.secret, key.session_token or None), service, region).add_auth(
        request
    )
    parts = urlsplit(url)
    headers = (("Host", parts.netloc), *((name, value) for name, value in request.headers.items() if name != "Host"))
    return SignedRequest(method, parts.path, parts.query, headers, hashlib.sha256(body).hexdigest())


def refusal(function):
    with pytest.raises(SignatureRefused) as caught:
        function()
    return caught.value


@pytest.fixture
def signatures():
    return Signatures(KEYS.get)


@pytest.mark.usefixtures("at_now")
class TestBotocore:
    @pytest.mark.parametrize("url", URLS)
    @pytest.mark.parametrize("key", [PERMANENT, TEMPORARY])
    def test_headers_botocore_signed_are_accepted(self, signatures, key, url):
        signed = signatures.of_headers(by_botocore(key, "POST", url, b'{"a":1}'), SCOPES, NOW)
        assert signed.key is key
        assert signed.scope.service == "dsql"

    def test_headers_we_sign_are_botocores(self):
        for key in (PERMANENT, TEMPORARY):
            theirs = dict(by_botocore(key, "PUT", URLS[1], b"body").headers)
            parts = urlsplit(URLS[1])
            ours = sigv4.signed_headers(
                credentials(key), "PUT", parts.path, parts.query,
                [("host", parts.netloc), ("content-type", "application/json")], b"body", "dsql", REGION, NOW,
            )  # fmt: skip
            assert ours["authorization"] == theirs["Authorization"]
            assert ours["x-amz-date"] == theirs["X-Amz-Date"]

    @pytest.mark.parametrize("key", [PERMANENT, TEMPORARY])
    def test_queries_botocore_presigned_are_accepted(self, signatures, key):
        request = AWSRequest("GET", "https://host.example/", params={"Action": "DbConnect"})
        boto = BotoCredentials(key.access_key_id, key.secret, key.session_token or None)
        SigV4QueryAuth(boto, "dsql", REGION, expires=60).add_auth(request)
        parameters = sigv4.parameters_of(urlsplit(request.url).query)
        assert signatures.of_query("GET", "host.example", "/", parameters, SCOPES, NOW).key is key

    def test_body_path_query_method_and_headers_are_signed(self, signatures):
        good = by_botocore(PERMANENT, "POST", URLS[1], b"body")
        import msgspec

        for other in (
            {"method": "GET"},
            {"path": "/clusters"},
            {"query": "max-results=2&next-token=a%2Fb%3D%3D"},
            {"query": good.query + "&more="},
            {"body_sha256": hashlib.sha256(b"Body").hexdigest()},
            {"headers": (("host", "127.0.0.1:8082"), *good.headers[1:])},
            {"headers": (*good.headers, ("content-type", "text/plain"))},
        ):
            altered = msgspec.structs.replace(good, **other)
            error = refusal(lambda altered=altered: signatures.of_headers(altered, SCOPES, NOW))
            assert error.code == "InvalidSignatureException", other
            assert error.message.startswith("The request signature we calculated does not match"), other

    def test_five_minutes_of_skew_are_tolerated(self, signatures):
        request = by_botocore(PERMANENT, "GET", URLS[0], b"")
        for seconds in (-300, 300):
            signatures.of_headers(request, SCOPES, NOW + seconds)
        assert refusal(lambda: signatures.of_headers(request, SCOPES, NOW + 301)).message == (
            "Signature expired: 20261123T220000Z is now earlier than 20261123T220001Z (20261123T220501Z - 5 min.)"
        )
        assert refusal(lambda: signatures.of_headers(request, SCOPES, NOW - 301)).message.startswith(
            "Signature not yet current: 20261123T220000Z is still later than"
        )

    def test_other_services_and_regions_are_refused(self, signatures):
        for service, region, word in (("rds-data", REGION, "service: 'dsql'"), ("dsql", "eu-west-1", "valid region")):
            request = by_botocore(PERMANENT, "GET", URLS[0], b"", service, region)
            assert word in refusal(lambda request=request: signatures.of_headers(request, SCOPES, NOW)).message

    def test_unknown_keys_and_wrong_session_tokens_are_refused_alike(self, signatures):
        stranger = by_botocore(KEYS["AKIAABCDEFGHIJKLMNOP"], "GET", URLS[0], b"")
        assert (
            refusal(lambda: Signatures({}.get).of_headers(stranger, SCOPES, NOW)).code == "UnrecognizedClientException"
        )
        import msgspec

        naked = msgspec.structs.replace(TEMPORARY, session_token="")
        error = refusal(lambda: signatures.of_headers(by_botocore(naked, "GET", URLS[0], b""), SCOPES, NOW))
        assert (error.code, error.message) == (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )

    def test_expired_temporary_key_is_refused(self, signatures):
        import msgspec

        expired = msgspec.structs.replace(TEMPORARY, expires_at=int(NOW))
        request = by_botocore(TEMPORARY, "GET", URLS[0], b"")
        error = refusal(lambda: Signatures({expired.access_key_id: expired}.get).of_headers(request, SCOPES, NOW))
        assert error.code == "ExpiredTokenException"

    def test_who_a_request_says_it_is_from_is_told_before_its_body_has_come(self, signatures):
        request = by_botocore(PERMANENT, "POST", URLS[0], b"body")
        assert signatures.announced(request.headers, NOW) is PERMANENT
        assert refusal(lambda: signatures.announced(request.headers, NOW + 301)).code == "InvalidSignatureException"
        assert refusal(lambda: signatures.announced(request.headers[:-1], NOW)).code.startswith(
            ("Missing", "Incomplete")
        )
        assert refusal(lambda: Signatures({}.get).announced(request.headers, NOW)).code == "UnrecognizedClientException"

    def test_a_hash_of_another_body_is_refused(self, signatures):
        body = b"body"
        parts = urlsplit(URLS[0])
        headers = [("host", parts.netloc), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]
        added = sigv4.signed_headers(credentials(PERMANENT), "POST", parts.path, "", headers, body, "dsql", REGION, NOW)
        request = SignedRequest("POST", parts.path, "", (*headers, *added.items()), hashlib.sha256(body).hexdigest())
        assert refusal(lambda: signatures.of_headers(request, SCOPES, NOW)).code == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "MissingAuthenticationTokenException"),
        ("Bearer abc", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=x", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/20261123/r/dsql/aws4_request, Signature=x", "IncompleteSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/dsql/aws4_request, SignedHeaders=host, Signature=x,"
            "Signature=y",
            "IncompleteSignatureException",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20261122/us-east-1/dsql/aws4_request, SignedHeaders=host, Signature=x",
            "InvalidSignatureException",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/dsql/aws4_request, SignedHeaders=x-amz-date, Signature=x",
            "InvalidSignatureException",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/dsql/aws4_request, SignedHeaders=host;none, Signature=x",
            "InvalidSignatureException",
        ),
    ],
)
def test_malformed_authorization_says_what_is_missing(signatures, header, code):
    headers = (("host", "h"), ("x-amz-date", "20261123T220000Z"), ("authorization", header))
    request = SignedRequest("GET", "/", "", headers, sigv4.EMPTY_SHA256)
    assert refusal(lambda: signatures.of_headers(request, SCOPES, NOW)).code == code


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=200), st.text(max_size=100))
def test_garbage_is_refused_and_breaks_nothing(authorization, date, path, query):
    headers = (("host", "h"), ("x-amz-date", date), ("authorization", authorization))
    request = SignedRequest("GET", path, query, headers, sigv4.EMPTY_SHA256)
    refusal(lambda: Signatures(KEYS.get).of_headers(request, SCOPES, NOW))


def test_derived_keys_are_kept_up_to_a_limit():
    keys = sigv4.SigningKeys(kept_max=2)
    scopes = [sigv4.Scope("a", f"2026112{day}", REGION, "dsql") for day in range(4)]
    for scope in scopes:
        assert keys.key("secret", scope) == sigv4.signing_key("secret", scope)
    assert len(keys) == 2
    assert keys.key("other", scopes[3]) != keys.key("secret", scopes[3])


@pytest.mark.parametrize(
    "date", ["", "20261123T220000", "20261323T220000Z", "2026-1-23T22:00:00Z", "x" * 16, "²0261123T220000Z"]
)
def test_what_is_no_date_is_none(date):
    assert sigv4.seconds_of(date) is None


def test_dates_go_there_and_back():
    assert sigv4.seconds_of(sigv4.date_of(NOW)) == NOW
