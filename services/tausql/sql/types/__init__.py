"""SQL types: how values are read, written, compared and cast. Values are plain Python ("datums")."""

from tausql.sql.types.encoders import decoder, encoder
from tausql.sql.types.ordering import hash_key, is_identity_key, is_orderable, sort_key, sort_rows_key
from tausql.sql.types.registry import all_types, array_of, element_of, find_type, type_by_name, type_by_oid
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

__all__ = [
    "SessionFormat",
    "Type",
    "all_types",
    "array_of",
    "decoder",
    "element_of",
    "encoder",
    "find_type",
    "hash_key",
    "is_identity_key",
    "is_orderable",
    "sort_key",
    "sort_rows_key",
    "type_by_name",
    "type_by_oid",
]
