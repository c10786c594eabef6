"""Every guard's words are in the source, and what was taken out is put back."""

from __future__ import annotations

import pytest

from tausql.journal.acceptor import Acceptor
from tausql.simulation import scenario
from tausql.simulation.breaking import GUARDS, GuardNotFound, take_out, without
from tausql.simulation.guards import Edit, Guard


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_can_be_taken_out(name):
    assert scenario.run_seed
    take_out(GUARDS[name])()


def test_a_guard_is_back_afterwards():
    before = Acceptor.append
    with without("journal-fence"):
        assert Acceptor.append is not before
    assert Acceptor.append is before


def test_words_that_are_not_there_are_an_error():
    guard = Guard("none", "None.", (Edit("tausql.journal.acceptor:Acceptor.append", "no such words", ""),))
    with pytest.raises(GuardNotFound):
        take_out(guard)
