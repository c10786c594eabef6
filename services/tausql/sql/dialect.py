"""Which SQL a cluster speaks: Aurora DSQL's of a certain month, and what its owner has switched on beyond it.

Aurora DSQL changes monthly, and an application tested against this cluster shall meet what it will meet there. So the
profile has a date, and whatever DSQL refuses is refused unless the owner asks for more. It is no parameter of a
session: an application that could switch it on by itself would pass here and fail there.

Statements carry the dialect they were parsed with; whoever binds, plans or runs them asks there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROFILES: Final = ("2026-09",)


@dataclass(frozen=True, slots=True)
class Dialect:
    """profile: the month whose DSQL is followed. extensions: what PostgreSQL has and DSQL has not. lenient: settings
    and functions that tools ask for and that change nothing are accepted. testing: conflicts and jobs on demand."""

    profile: str = PROFILES[-1]
    extensions: bool = False
    lenient: bool = False
    testing: bool = False


DSQL: Final = Dialect()
