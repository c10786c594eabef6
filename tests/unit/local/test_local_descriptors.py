"""What `tausql up` says where too few files may be open."""

from __future__ import annotations

import pytest

from tausql.local import up


def allow(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(up, "raise_limit", lambda: limit)


def test_far_too_few_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 256)
    with pytest.raises(up.StartError, match=r"256 files and sockets open here, TauSQL needs 1024"):
        up._check_descriptors()


@pytest.mark.parametrize(("limit", "said"), [(4_096, "room for some 3584 connections"), (20_000, "")])
def test_too_few_for_a_full_fleet_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: int, said: str
) -> None:
    allow(monkeypatch, limit)
    up._check_descriptors()
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) == bool(said)
