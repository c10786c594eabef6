"""What a parameter is, and which values it takes.

SHOW tells a value in one spelling, whatever spelling SET was given: `30000` and `30 s` are `30s`. That spelling is what
is kept, and what a session takes along when it moves to another processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.session_format import SessionFormat, checked_date_style, checked_interval_style

VALUE_CHARACTERS_MAX: Final = 8_192
NAME_CHARACTERS_MAX: Final = 63


class Settable(IntEnum):
    never = 0  # SET is refused
    lenient = 1  # taken where the cluster is lenient
    always = 2


class Parameter(NamedTuple):
    """kind: pg_settings.vartype. choices: of an enum, or the only values taken of another kind; low, high, unit: of a
    number (unit "ms" or "kB")."""

    name: str
    value: str
    description: str
    kind: str = "string"
    settable: Settable = Settable.never
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 2_147_483_647
    unit: str = ""
    category: str = "Preset Options"

    def checked(self, value: str | Sequence[str], current: str = "") -> str:
        """The value as SHOW tells it. `current`: the one it takes the place of; half a DateStyle leaves the other half
        of it. Raises 22023, 0A000 for a value that is PostgreSQL's but does nothing here."""
        special = _CHECKS.get(self.name)
        if self.name == "DateStyle":
            return checked_date_style(self._limited(value), current or self.value)
        if special is not None:
            return special(self, value)
        text = self._limited(value)
        if self.kind == "bool":
            return _checked_flag(self, text)
        if self.kind == "integer":
            return _checked_integer(self, text)
        if self.kind == "real":
            return _checked_real(self, text)
        if self.choices and text.lower() not in self.choices:
            raise invalid(self.name, text)
        return text.lower() if self.kind == "enum" else text

    def _limited(self, value: str | Sequence[str]) -> str:
        return limited(self.name, value if isinstance(value, str) else ", ".join(value))


def limited(name: str, text: str) -> str:
    if len(text) > VALUE_CHARACTERS_MAX:
        raise SqlError(Code.invalid_parameter_value, f'value for parameter "{name}" is too long')
    return text


def invalid(name: str, text: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f'invalid value for parameter "{name}": "{text}"')


# --- values ----------------------------------------------------------------------------------------------------------


def _checked_flag(parameter: Parameter, text: str) -> str:
    lower = text.lower()
    value = ""
    if lower in _ON:
        value = "on"
    elif lower in _OFF:
        value = "off"
    if not value:
        raise SqlError(Code.invalid_parameter_value, f'parameter "{parameter.name}" requires a Boolean value')
    if parameter.choices and value not in parameter.choices:
        raise invalid(parameter.name, text)
    return value


def milliseconds(text: str) -> int:
    """What SHOW tells of a time, as a number: `30s` is 30,000."""
    return _in_unit(text, "ms")


def _checked_integer(parameter: Parameter, text: str) -> str:
    try:
        number = _in_unit(text, parameter.unit) if parameter.unit else int(text.strip())
    except ValueError:
        raise invalid(parameter.name, text) from None
    if not parameter.low <= number <= parameter.high:
        unit = f" {parameter.unit}" if parameter.unit else ""
        raise SqlError(
            Code.invalid_parameter_value,
            f'{number}{unit} is outside the valid range for parameter "{parameter.name}" '
            f"({parameter.low:g}{unit} .. {parameter.high:.0f}{unit})",
        )
    return _with_unit(number, parameter.unit)


def _checked_real(parameter: Parameter, text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        raise invalid(parameter.name, text) from None
    if not parameter.low <= number <= parameter.high:
        raise SqlError(
            Code.invalid_parameter_value,
            f'{number:g} is outside the valid range for parameter "{parameter.name}" '
            f"({parameter.low:g} .. {parameter.high:g})",
        )
    return f"{number:g}"


# From the largest down: SHOW uses the largest in which the value is a whole number.
_UNITS: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType(
    {
        "ms": (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)),
        "kB": (("TB", 1 << 30), ("GB", 1 << 20), ("MB", 1 << 10), ("kB", 1)),
    }
)


def _in_unit(text: str, unit: str) -> int:
    """Raises ValueError."""
    text = text.strip()
    for name, factor in _UNITS[unit]:
        if text.endswith(name) and text[: -len(name)].rstrip()[-1:].isdigit():
            return round(float(text[: -len(name)]) * factor)
    return round(float(text)) if "." in text else int(text)


def _with_unit(number: int, unit: str) -> str:
    for name, factor in _UNITS.get(unit, ()):
        if number > 0 and number % factor == 0:
            return f"{number // factor}{name}"
    return str(number)


def _checked_path(parameter: Parameter, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        value = names_of(value) if "," in value else [value]
    return limited(parameter.name, ", ".join(_quoted(name) for name in value))


def _checked_encoding(parameter: Parameter, value: str | Sequence[str]) -> str:
    text = value if isinstance(value, str) else ", ".join(value)
    if "".join(letter for letter in text.lower() if letter.isalnum()) not in _UTF8:
        raise invalid(parameter.name, text)
    return "UTF8"


def _checked_zone(parameter: Parameter, value: str | Sequence[str]) -> str:
    text = limited(parameter.name, value if isinstance(value, str) else ", ".join(value))
    SessionFormat().set_timezone(text)
    return text


def _checked_interval_style(parameter: Parameter, value: str | Sequence[str]) -> str:
    text = limited(parameter.name, value if isinstance(value, str) else ", ".join(value))
    return checked_interval_style(text)


def _checked_application(parameter: Parameter, value: str | Sequence[str]) -> str:
    text = limited(parameter.name, value if isinstance(value, str) else ", ".join(value))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)[:NAME_CHARACTERS_MAX]


_CHECKS: Final = MappingProxyType(
    {
        "search_path": _checked_path,
        "client_encoding": _checked_encoding,
        "TimeZone": _checked_zone,
        "IntervalStyle": _checked_interval_style,
        "application_name": _checked_application,
    }
)


def names_of(text: str) -> list[str]:
    """The identifiers of a list as SHOW search_path has it."""
    names: list[str] = []
    for part in text.split(","):
        name = part.strip()
        if len(name) >= 2 and name[0] == name[-1] == '"':
            names.append(name[1:-1].replace('""', '"'))
        elif name:
            names.append(name.lower())
    return names


def _quoted(name: str) -> str:
    """An identifier as it must be written to mean `name`."""
    plain = all(letter == "_" or letter.isdigit() or "a" <= letter <= "z" for letter in name)
    if name and plain and not name[0].isdigit():
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


_UTF8 = frozenset(("utf8", "unicode"))
_ON = frozenset(("on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"))
_OFF = frozenset(("off", "false", "no", "0", "f", "n", "of", "fa", "fal", "fals"))
