"""Values that sessions share until they change them."""

from __future__ import annotations

import pytest

from tausql.processor.parameters import SessionParameters
from tausql.processor.session_values import SessionValues


def test_own_values_hide_those_of_all() -> None:
    base = {"timezone": "UTC", "role": "none"}
    values = SessionValues(base, {"session_authorization": "admin"})
    values.put("timezone", "Europe/Paris")
    assert values["timezone"] == "Europe/Paris"
    assert dict(values) == {"timezone": "Europe/Paris", "role": "none", "session_authorization": "admin"}
    assert len(values) == 3
    values.put("timezone", "UTC")
    assert dict(values) == base | {"session_authorization": "admin"}
    assert values.get("nothing") is None
    with pytest.raises(KeyError):
        values["nothing"]
    assert base == {"timezone": "UTC", "role": "none"}


def test_what_one_session_sets_no_other_sees() -> None:
    one, other = SessionParameters("admin"), SessionParameters("admin")
    one.start({"application_name": "one"})
    before = dict(other.values)
    one.set("TimeZone", "Europe/Paris", False)
    one.set("application_name", "local", True)
    assert one.durable()["TimeZone"] == "UTC"
    one.committed()
    assert one.values["application_name"] == "one"
    assert one.durable()["TimeZone"] == "Europe/Paris"
    one.reported()
    one.reset("all")
    assert one.news() == [("TimeZone", "UTC")]
    one.rolled_back()
    assert one.news() == [("TimeZone", "Europe/Paris")]
    assert dict(other.values) == before
    assert other.durable() == SessionParameters("admin").durable()
