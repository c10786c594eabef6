"""How many files and sockets a process may have open, and what that allows.

Shells and service managers commonly start programs with a soft limit of 1,024, made for programs that use `select`;
what the machine really allows is the hard limit. So the soft one is raised to it. Above it accept() fails with a client
in the queue who is told nothing, so whoever promises connections promises no more than there are descriptors for: the
client after the last is refused in words.
"""

from __future__ import annotations

import contextlib
import resource
import sys

from tausql.runtime import logs

SPARE = 512  # for what is no client: files of the engines, logs, other processes, HTTP, clients on their way in
_USUAL_MAX = 65_536  # where the hard limit is none at all, the kernel may still refuse to be asked for that

log = logs.get("runtime")


def raise_limit() -> int:
    """Raise the soft limit as far as the kernel lets us; the limit then in force."""
    now = limit()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = hard == resource.RLIM_INFINITY
    for wanted in (hard, _USUAL_MAX) if endless else (hard,):
        if wanted > now or wanted == resource.RLIM_INFINITY:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                break
    return limit()


def limit() -> int:
    """The limit in force."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def affordable(what: str, wanted: int, each: int = 1) -> int:
    """How many of `wanted` there are descriptors for, if one takes `each`; a warning in the log if not all. One at
    least."""
    possible = max((limit() - SPARE) // each, 1)
    if possible >= wanted:
        return wanted
    log.warning(
        f"fewer {what} than the settings allow: too few file descriptors",
        wanted=wanted,
        possible=possible,
        descriptors=limit(),
        needed=wanted * each + SPARE,
        hint="raise the hard limit of open files (ulimit -Hn, LimitNOFILE)",
    )
    return possible
