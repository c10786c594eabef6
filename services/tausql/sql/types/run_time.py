"""Types that values may have while a statement runs, but never columns: bit strings, addresses, ranges, text search.

They are apart from `builtin` because ranges are made of the types there.
"""

from __future__ import annotations

from typing import Final

from tausql.sql.types import bits, jsonpath, network, text_search
from tausql.sql.types import builtin as b
from tausql.sql.types.ranges import MultirangeType, RangeType
from tausql.sql.types.type import Type

BIT: Final = Type(1560, "bit", "bit", "V", -1, 1561, bits.BIT)
VARBIT: Final = Type(1562, "varbit", "bit varying", "V", -1, 1563, bits.VARBIT, preferred=True)
INET: Final = Type(869, "inet", "inet", "I", -1, 1041, network.INET, preferred=True)
CIDR: Final = Type(650, "cidr", "cidr", "I", -1, 651, network.CIDR)

INT4RANGE: Final = RangeType(3904, "int4range", 3905, b.INT4)
NUMRANGE: Final = RangeType(3906, "numrange", 3907, b.NUMERIC)
TSRANGE: Final = RangeType(3908, "tsrange", 3909, b.TIMESTAMP)
TSTZRANGE: Final = RangeType(3910, "tstzrange", 3911, b.TIMESTAMPTZ)
DATERANGE: Final = RangeType(3912, "daterange", 3913, b.DATE)
INT8RANGE: Final = RangeType(3926, "int8range", 3927, b.INT8)
RANGES: Final = (INT4RANGE, NUMRANGE, TSRANGE, TSTZRANGE, DATERANGE, INT8RANGE)
MULTIRANGES: Final = (
    MultirangeType(4451, "int4multirange", 6150, INT4RANGE),
    MultirangeType(4532, "nummultirange", 6151, NUMRANGE),
    MultirangeType(4533, "tsmultirange", 6152, TSRANGE),
    MultirangeType(4534, "tstzmultirange", 6153, TSTZRANGE),
    MultirangeType(4535, "datemultirange", 6155, DATERANGE),
    MultirangeType(4536, "int8multirange", 6157, INT8RANGE),
)
TSVECTOR: Final = Type(3614, "tsvector", "tsvector", "U", -1, 3643, text_search.TSVECTOR)
TSQUERY: Final = Type(3615, "tsquery", "tsquery", "U", -1, 3645, text_search.TSQUERY)
JSONPATH: Final = Type(4072, "jsonpath", "jsonpath", "U", -1, 4073, jsonpath.JSONPATH)
ANYRANGE: Final = b.pseudo(3831, "anyrange")
ANYMULTIRANGE: Final = b.pseudo(4537, "anymultirange")

TYPES: Final[tuple[Type, ...]] = (
    TSVECTOR,
    TSQUERY,
    JSONPATH,
    BIT,
    VARBIT,
    INET,
    CIDR,
    *RANGES,
    *MULTIRANGES,
    ANYRANGE,
    ANYMULTIRANGE,
)
ARRAYS: Final[tuple[Type, ...]] = tuple(b.array_type(t) for t in TYPES if t.array_oid)


def multirange_of(type: Type) -> MultirangeType | None:
    """The multirange type of a range type."""
    return next((multirange for multirange in MULTIRANGES if multirange.range is type), None)
