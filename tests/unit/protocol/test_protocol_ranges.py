"""Set arithmetic on key ranges, against sets of keys."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.protocol.ranges import EVERYTHING, Lookup, common, complement, covers, united, without

BOUNDS = [b"", b"\x00", b"a", b"a\x00", b"b", b"c", b"\xff"]
KEYS = sorted({*BOUNDS, *(bound + b"\x00" for bound in BOUNDS), b"aa", b"bb", b"\xff\xff"})
ranges = st.lists(st.tuples(st.sampled_from(BOUNDS), st.sampled_from(BOUNDS)), max_size=4)


def keys_of(given_ranges) -> set[bytes]:
    return {key for key in KEYS for low, high in given_ranges if key >= low and (not high or key < high)}


@settings(max_examples=300, deadline=None)
@given(ranges, ranges)
def test_sets_of_ranges_are_sets_of_keys(one, other):
    first, second = keys_of(one), keys_of(other)
    assert keys_of(united(one)) == first
    assert keys_of(common(one, other)) == first & second
    assert keys_of(without(one, other)) == first - second
    assert keys_of(complement(one)) == set(KEYS) - first
    assert covers(one, other) == (not without(other, one))
    for made in (united(one), common(one, other), without(one, other), complement(one)):
        assert made == united(made), "sorted and apart: equal sets are equal tuples"
        assert all(before[1] and before[1] < after[0] for before, after in pairwise(made))


@settings(max_examples=300, deadline=None)
@given(ranges, st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_lookups_find_what_lies_where(one, key, last):
    lookup = Lookup(one)
    inside = keys_of(one)
    assert lookup.everything == (lookup.ranges == EVERYTHING)
    assert lookup.holds(key) == (key in inside)
    around = lookup.around(key)
    assert (around is not None) == (key in inside)
    assert around is None or (around in lookup.ranges and key in keys_of([around]))
    first = min(key, last)
    touched = any((not high or first < high) and max(key, last) >= low for low, high in lookup.ranges)
    assert lookup.touches(first, max(key, last)) == touched
    before = lookup.before(key)
    if not key:
        assert (before is not None) == bool(lookup.ranges and not lookup.ranges[-1][1])
    else:
        assert before == next((one for one in lookup.ranges if one[0] < key and (not one[1] or key <= one[1])), None)
