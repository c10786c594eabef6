"""inet and cidr: an address with a number of network bits."""

from __future__ import annotations

import ipaddress
from typing import Any, Final, NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.scalars import Codec, binary_length_error, invalid_text
from tausql.sql.types.session_format import SessionFormat


class Inet(NamedTuple):
    """version: 4 or 6; address: as an integer; bits: of the network part."""

    version: int
    address: int
    bits: int

    @property
    def width(self) -> int:
        return 32 if self.version == 4 else 128

    def mask(self) -> int:
        full = (1 << self.width) - 1
        return full & ~((1 << (self.width - self.bits)) - 1)

    def network(self) -> Inet:
        return self._replace(address=self.address & self.mask())

    def host(self) -> str:
        if self.version == 4:
            return str(ipaddress.IPv4Address(self.address))
        if self.address >> 32 == 0xFFFF or (self.address >> 32 == 0 and self.address > 0xFFFF):
            prefix = "::ffff:" if self.address >> 32 else "::"
            return prefix + str(ipaddress.IPv4Address(self.address & 0xFFFFFFFF))
        return str(ipaddress.IPv6Address(self.address))


def order_key(value: Inet) -> tuple[Any, ...]:
    """IPv4 first; then by network, its length, and the whole address."""
    return value.version, value.network().address, value.bits, value.address


def inet_text(value: Inet) -> str:
    return value.host() if value.bits == value.width else f"{value.host()}/{value.bits}"


def cidr_text(value: Inet) -> str:
    return f"{value.host()}/{value.bits}"


def _address(text: str, sql_name: str, whole: str, short: bool) -> tuple[int, int, int]:
    """(version, address, bytes given); `short`: fewer than four bytes may be told, as cidr allows."""
    try:
        if ":" in text:
            return 6, int(ipaddress.IPv6Address(text)), 16
        parts = text.split(".")
        if not 1 <= len(parts) <= 4 or (len(parts) < 4 and not short):
            raise ValueError(text)
        numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= 3]
        if len(numbers) != len(parts) or any(number > 255 for number in numbers):
            raise ValueError(text)
    except ValueError as error:
        raise invalid_text(sql_name, whole) from error
    filled = numbers + [0] * (4 - len(numbers))
    return 4, int.from_bytes(bytes(filled), "big"), len(numbers)


def _read(text: str, sql_name: str) -> Inet:
    address, slash, mask = text.partition("/")
    version, number, given = _address(address, sql_name, text, sql_name == "cidr" or bool(slash))
    width = 32 if version == 4 else 128
    if slash:
        if not mask.isascii() or not mask.isdigit() or len(mask) > 3 or int(mask) > width:
            raise invalid_text(sql_name, text)
        bits = int(mask)
        if version == 4 and bits > given * 8 and sql_name == "inet" and given < 4:
            raise invalid_text(sql_name, text)
    elif sql_name == "cidr" and version == 4 and given < 4:
        first = number >> 24
        classful = 8 if first < 128 else 16 if first < 192 else 24 if first < 224 else 4 if first < 240 else 32
        bits = max(classful, given * 8)
    else:
        bits = width
    return Inet(version, number, bits)


def inet_in(text: str, _format: SessionFormat, _typmod: int = -1) -> Inet:
    return _read(text, "inet")


def cidr_in(text: str, _format: SessionFormat, _typmod: int = -1) -> Inet:
    value = _read(text, "cidr")
    if value.network() != value:
        raise SqlError(
            Code.invalid_text_representation,
            f'invalid cidr value: "{text}"',
            detail="Value has bits set to right of mask.",
        )
    return value


def _binary_in(data: bytes) -> Inet:
    if len(data) < 4 or data[0] not in (2, 3):
        raise binary_length_error('invalid address family in external "inet" value')
    version = 4 if data[0] == 2 else 6
    size = 4 if version == 4 else 16
    if data[3] != size or len(data) != 4 + size or data[1] > size * 8:
        raise binary_length_error('invalid length in external "inet" value')
    return Inet(version, int.from_bytes(data[4:], "big"), data[1])


def _binary_out(cidr: bool) -> Any:
    def out(value: Inet) -> bytes:
        size = value.width // 8
        head = bytes((2 if value.version == 4 else 3, value.bits, int(cidr), size))
        return head + value.address.to_bytes(size, "big")

    return out


INET: Final[Codec] = (inet_in, lambda value, _format: inet_text(value), _binary_in, _binary_out(False))
CIDR: Final[Codec] = (cidr_in, lambda value, _format: cidr_text(value), _binary_in, _binary_out(True))
