"""A change of the templates shows in what they make."""

from __future__ import annotations

import pytest
from tests.unit.chart.goldens import FOLDER, golden, path_of
from tests.unit.chart.rendering import SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_the_templates_make_what_is_written_down(shape: str) -> None:
    assert golden(shape) == path_of(shape).read_text(), "if it is meant: make chart"


def test_there_are_no_goldens_of_nothing() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {path_of(shape).name for shape in SHAPES}
