"""The API server is asked whose a ServiceAccount's token is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import NAMESPACE

from tausql.control.asking import Trouble
from tausql.control.identities.web_identity import Reviewed
from tausql.control.kubernetes_api import KubernetesApi


@pytest.fixture
def server() -> Iterator[ApiServer]:
    running = ApiServer()
    running.start()
    yield running
    running.stop()


def test_what_the_server_says_of_a_token_counts(server: ApiServer):
    server.tokens["good"] = "system:serviceaccount:shop:orders"
    api = KubernetesApi(server.url, NAMESPACE, "tausql")
    assert api.review_token("good", "sts.amazonaws.com") == Reviewed(
        True, "system:serviceaccount:shop:orders", ("sts.amazonaws.com",)
    )
    assert not api.review_token("bad", "sts.amazonaws.com").authenticated
    server.refusals.append(403)
    with pytest.raises(Trouble) as caught:
        api.review_token("good", "sts.amazonaws.com")
    assert caught.value.forbidden
