"""The values of a session's parameters, nearly all of which are everybody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class SessionValues(Mapping[str, str]):
    """Values by lower-case name: `own` where they are not those of `base`, which all sessions share. Ten thousand
    sessions that have changed nothing keep nothing."""

    __slots__ = ("_base", "_own")

    def __init__(self, base: Mapping[str, str], own: dict[str, str]) -> None:
        self._base = base
        self._own = own

    def put(self, name: str, value: str) -> None:
        if self._base.get(name) == value:
            self._own.pop(name, None)
        else:
            self._own[name] = value

    def __getitem__(self, name: str) -> str:
        value = self._own.get(name)
        return value if value is not None else self._base[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from (name for name in self._own if name not in self._base)

    def __len__(self) -> int:
        return sum(1 for _ in self)
