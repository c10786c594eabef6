"""Functions and operators of inet and cidr."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, aggregate, declare, operator
from tausql.sql.types.network import Inet, cidr_text, inet_text, order_key


def _inside(a: Inet, b: Inet) -> bool:
    """a is contained in or equals b."""
    return a.version == b.version and a.bits >= b.bits and a.address & b.mask() == b.address & b.mask()


def _moved(value: Inet, by: int) -> Inet:
    address = value.address + by
    if not 0 <= address < 1 << value.width:
        raise SqlError(Code.numeric_value_out_of_range, "result is out of range")
    return value._replace(address=address)


def _distance(a: Inet, b: Inet) -> int:
    if a.version != b.version:
        raise SqlError(Code.invalid_parameter_value, "cannot subtract inet values of different sizes")
    found = a.address - b.address
    if not -(2**63) <= found < 2**63:
        raise SqlError(Code.numeric_value_out_of_range, "result is out of range")
    return found


def _both(a: Inet, b: Inet, what: str, address: int) -> Inet:
    if a.version != b.version:
        raise SqlError(Code.invalid_parameter_value, f"cannot {what} inet values of different sizes")
    return Inet(a.version, address, max(a.bits, b.bits))


def _inverted(value: Inet) -> Inet:
    return value._replace(address=~value.address & ((1 << value.width) - 1))


def _broadcast(value: Inet) -> Inet:
    full = (1 << value.width) - 1
    return value._replace(address=value.address | (full & ~value.mask()))


def _with_bits(value: Inet, bits: int) -> Inet:
    if bits == -1:
        bits = value.width
    if not 0 <= bits <= value.width:
        raise SqlError(Code.invalid_parameter_value, f"invalid mask length: {bits}")
    return value._replace(bits=bits)


def _merged(a: Inet, b: Inet) -> Inet:
    if a.version != b.version:
        raise SqlError(Code.invalid_parameter_value, "cannot merge addresses from different families")
    bits = min(a.bits, b.bits)
    while bits and not _inside(b._replace(bits=b.width), a._replace(bits=bits)):
        bits -= 1
    return a._replace(bits=bits).network()


def _abbreviated(value: Inet) -> str:
    """cidr without the bytes beyond its mask."""
    if value.version == 6:
        words = [format(value.address >> 112 - 16 * at & 0xFFFF, "x") for at in range(max((value.bits + 15) // 16, 1))]
        return cidr_text(value) if "0" in words or len(words) < 2 else f"{':'.join(words)}/{value.bits}"
    count = max((value.bits + 7) // 8, 1)
    return ".".join(value.host().split(".")[:count]) + f"/{value.bits}"


def _nothing() -> None:
    return None


def _greater(state: Inet | None, value: Inet) -> Inet:
    return value if state is None or order_key(value) > order_key(state) else state


def _less(state: Inet | None, value: Inet) -> Inet:
    return value if state is None or order_key(value) < order_key(state) else state


def _same(state: Inet | None) -> Inet | None:
    return state


def functions() -> Iterator[Function]:
    yield aggregate("max(inet) inet", _nothing, _greater, _same)
    yield aggregate("min(inet) inet", _nothing, _less, _same)
    yield operator("<<", "inet", "inet", "bool", lambda a, b: _inside(a, b) and a.bits > b.bits)
    yield operator("<<=", "inet", "inet", "bool", _inside)
    yield operator(">>", "inet", "inet", "bool", lambda a, b: _inside(b, a) and b.bits > a.bits)
    yield operator(">>=", "inet", "inet", "bool", lambda a, b: _inside(b, a))
    yield operator("&&", "inet", "inet", "bool", lambda a, b: _inside(a, b) or _inside(b, a))
    yield operator("+", "inet", "int8", "inet", _moved)
    yield operator("+", "int8", "inet", "inet", lambda by, value: _moved(value, by))
    yield operator("-", "inet", "int8", "inet", lambda value, by: _moved(value, -by))
    yield operator("-", "inet", "inet", "int8", _distance)
    yield operator("&", "inet", "inet", "inet", lambda a, b: _both(a, b, "AND", a.address & b.address))
    yield operator("|", "inet", "inet", "inet", lambda a, b: _both(a, b, "OR", a.address | b.address))
    yield operator("~", None, "inet", "inet", _inverted)
    yield declare("abbrev(inet) text", inet_text)
    yield declare("abbrev(cidr) text", _abbreviated)
    yield declare("broadcast(inet) inet", _broadcast)
    yield declare("family(inet) int4", lambda value: value.version)
    yield declare("host(inet) text", Inet.host)
    yield declare("hostmask(inet) inet", lambda v: Inet(v.version, ((1 << v.width) - 1) & ~v.mask(), v.width))
    yield declare("masklen(inet) int4", lambda value: value.bits)
    yield declare("netmask(inet) inet", lambda value: Inet(value.version, value.mask(), value.width))
    yield declare("network(inet) cidr", Inet.network)
    yield declare("set_masklen(inet, int4) inet", _with_bits)
    yield declare("set_masklen(cidr, int4) cidr", lambda value, bits: _with_bits(value, bits).network())
    yield declare("text(inet) text", cidr_text)
    yield declare("inet_same_family(inet, inet) bool", lambda a, b: a.version == b.version)
    yield declare("inet_merge(inet, inet) cidr", _merged)
