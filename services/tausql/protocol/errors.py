"""Every error a client can meet: class, SQLSTATE, HTTP status, whether a retry can help.

One table, from which the PostgreSQL protocol and the HTTP API both derive what they say:

    SqlError                                   the tree is one level deep: the SQLSTATE is the class
      code: Code                               a row of the table below
      message, detail, hint, position, ...     the fields of an ErrorResponse

Texts are PostgreSQL's, or Aurora DSQL's where it has its own.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class _Row(NamedTuple):
    sqlstate: str
    http: int
    retryable: bool


class Code(Enum):
    """A row: (SQLSTATE, HTTP status, retryable)."""

    successful_completion = _Row("00000", 200, False)
    warning_privilege_not_granted = _Row("01007", 200, False)
    warning_privilege_not_revoked = _Row("01006", 200, False)
    warning = _Row("01000", 200, False)
    connection_exception = _Row("08000", 503, False)
    connection_refused = _Row("08006", 401, False)
    protocol_violation = _Row("08P01", 400, False)
    feature_not_supported = _Row("0A000", 400, False)
    cardinality_violation = _Row("21000", 400, False)
    data_exception = _Row("22000", 400, False)
    string_data_right_truncation = _Row("22001", 400, False)
    string_data_length_mismatch = _Row("22026", 400, False)
    numeric_value_out_of_range = _Row("22003", 400, False)
    invalid_datetime_format = _Row("22007", 400, False)
    datetime_field_overflow = _Row("22008", 400, False)
    invalid_time_zone_displacement_value = _Row("22009", 400, False)
    division_by_zero = _Row("22012", 400, False)
    interval_field_overflow = _Row("22015", 400, False)
    substring_error = _Row("22011", 400, False)
    invalid_escape_sequence = _Row("22025", 400, False)
    character_not_in_repertoire = _Row("22021", 400, False)
    invalid_parameter_value = _Row("22023", 400, False)
    invalid_argument_for_width_bucket_function = _Row("2201G", 400, False)
    invalid_argument_for_logarithm = _Row("2201E", 400, False)
    invalid_argument_for_power_function = _Row("2201F", 400, False)
    invalid_preceding_or_following_size = _Row("22013", 400, False)
    invalid_argument_for_ntile_function = _Row("22014", 400, False)
    invalid_argument_for_nth_value_function = _Row("22016", 400, False)
    invalid_row_count_in_limit_clause = _Row("2201W", 400, False)
    invalid_row_count_in_result_offset_clause = _Row("2201X", 400, False)
    invalid_regular_expression = _Row("2201B", 400, False)
    duplicate_json_object_key_value = _Row("22030", 400, False)
    sql_json_item_cannot_be_cast_to_target_type = _Row("2203G", 400, False)
    invalid_argument_for_sql_json_datetime_function = _Row("22031", 400, False)
    invalid_sql_json_subscript = _Row("22033", 400, False)
    more_than_one_sql_json_item = _Row("22034", 400, False)
    no_sql_json_item = _Row("22035", 400, False)
    non_numeric_sql_json_item = _Row("22036", 400, False)
    singleton_sql_json_item_required = _Row("22038", 400, False)
    sql_json_array_not_found = _Row("22039", 400, False)
    sql_json_member_not_found = _Row("2203A", 400, False)
    sql_json_number_not_found = _Row("2203B", 400, False)
    sql_json_object_not_found = _Row("2203C", 400, False)
    invalid_text_representation = _Row("22P02", 400, False)
    invalid_binary_representation = _Row("22P03", 400, False)
    bad_copy_file_format = _Row("22P04", 400, False)
    untranslatable_character = _Row("22P05", 400, False)
    not_null_violation = _Row("23502", 409, False)
    foreign_key_violation = _Row("23503", 409, False)
    unique_violation = _Row("23505", 409, False)
    check_violation = _Row("23514", 409, False)
    active_sql_transaction = _Row("25001", 400, False)
    read_only_sql_transaction = _Row("25006", 400, False)
    no_active_sql_transaction = _Row("25P01", 400, False)
    in_failed_sql_transaction = _Row("25P02", 409, False)
    idle_in_transaction_session_timeout = _Row("25P03", 409, True)
    invalid_sql_statement_name = _Row("26000", 400, False)
    invalid_authorization_specification = _Row("28000", 401, False)
    invalid_password = _Row("28P01", 401, False)
    invalid_cursor_name = _Row("34000", 400, False)
    invalid_savepoint_specification = _Row("3B001", 400, False)
    invalid_catalog_name = _Row("3D000", 404, False)
    invalid_schema_name = _Row("3F000", 404, False)
    serialization_failure = _Row("40001", 409, True)
    statement_completion_unknown = _Row("40003", 503, False)
    syntax_error = _Row("42601", 400, False)
    insufficient_privilege = _Row("42501", 403, False)
    cannot_coerce = _Row("42846", 400, False)
    grouping_error = _Row("42803", 400, False)
    windowing_error = _Row("42P20", 400, False)
    datatype_mismatch = _Row("42804", 400, False)
    indeterminate_datatype = _Row("42P18", 400, False)
    undefined_column = _Row("42703", 400, False)
    undefined_function = _Row("42883", 400, False)
    undefined_table = _Row("42P01", 404, False)
    undefined_parameter = _Row("42P02", 400, False)
    undefined_object = _Row("42704", 400, False)
    invalid_name = _Row("42602", 400, False)
    duplicate_column = _Row("42701", 400, False)
    duplicate_cursor = _Row("42P03", 400, False)
    duplicate_object = _Row("42710", 409, False)
    duplicate_prepared_statement = _Row("42P05", 400, False)
    duplicate_schema = _Row("42P06", 409, False)
    duplicate_table = _Row("42P07", 409, False)
    duplicate_alias = _Row("42712", 400, False)
    invalid_foreign_key = _Row("42830", 400, False)
    ambiguous_column = _Row("42702", 400, False)
    ambiguous_function = _Row("42725", 400, False)
    invalid_column_reference = _Row("42P10", 400, False)
    invalid_table_definition = _Row("42P16", 400, False)
    wrong_object_type = _Row("42809", 400, False)
    disk_full = _Row("53100", 507, False)
    out_of_memory = _Row("53200", 507, False)
    too_many_connections = _Row("53300", 429, True)
    configuration_limit_exceeded = _Row("53400", 429, True)
    program_limit_exceeded = _Row("54000", 400, False)
    statement_too_complex = _Row("54001", 400, False)
    too_many_columns = _Row("54011", 400, False)
    too_many_arguments = _Row("54023", 400, False)
    object_not_in_prerequisite_state = _Row("55000", 409, False)
    query_canceled = _Row("57014", 409, False)
    admin_shutdown = _Row("57P01", 503, True)
    cannot_connect_now = _Row("57P03", 503, True)
    idle_session_timeout = _Row("57P05", 409, True)
    dependent_objects_still_exist = _Row("2BP01", 409, False)
    with_check_option_violation = _Row("44000", 400, False)
    duplicate_function = _Row("42723", 409, False)
    invalid_function_definition = _Row("42P13", 400, False)
    invalid_schema_definition = _Row("42P15", 400, False)
    invalid_object_definition = _Row("42P17", 400, False)
    invalid_grant_operation = _Row("0LP01", 400, False)
    reserved_name = _Row("42939", 400, False)
    invalid_recursion = _Row("42P19", 400, False)
    object_in_use = _Row("55006", 409, False)
    sequence_generator_limit_exceeded = _Row("2200H", 409, False)
    null_value_not_allowed = _Row("22004", 400, False)
    array_subscript_error = _Row("2202E", 400, False)
    generated_always = _Row("428C9", 400, False)
    internal_error = _Row("XX000", 500, False)

    @property
    def sqlstate(self) -> str:
        return self.value.sqlstate

    @property
    def http_status(self) -> int:
        return self.value.http

    @property
    def retryable(self) -> bool:
        return self.value.retryable


class SqlError(Exception):
    """An error that belongs to the client. `position` counts characters of the statement from 1."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        constraint: str | None = None,
        where: str | None = None,
        severity: str = "ERROR",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.schema = schema
        self.table = table
        self.column = column
        self.constraint = constraint
        self.where = where
        self.severity = severity

    @property
    def sqlstate(self) -> str:
        return self.code.sqlstate


def not_supported(what: str, hint: str | None = None) -> SqlError:
    """0A000, in the words given: what TauSQL (or Aurora DSQL) does not do."""
    return SqlError(Code.feature_not_supported, what, hint=hint)


def conflict() -> SqlError:
    """40001 OC000: a row this transaction writes was changed by another since its snapshot."""
    return SqlError(Code.serialization_failure, "change conflicts with another transaction (OC000)")


def schema_changed() -> SqlError:
    """40001 OC001: the schema this transaction used was changed by another."""
    return SqlError(Code.serialization_failure, "schema has been updated by another transaction (OC001)")


_JUDGED_ELSEWHERE = "transaction could not be committed: the adjudicator "


def is_schema_changed(error: SqlError) -> bool:
    """Whether it is an OC001."""
    return error.code is Code.serialization_failure and error.message.endswith("(OC001)")


def judged_elsewhere(why: str, detail: str = "") -> SqlError:
    """40001 that is no conflict: who judges the rows has changed since the transaction began. Nothing happened."""
    return SqlError(
        Code.serialization_failure,
        f"{_JUDGED_ELSEWHERE}{why}",
        detail=detail or None,
        hint="Nothing was changed. Retry the transaction.",
    )


def is_passing(error: SqlError) -> bool:
    """Whether the same statement, run again at once, is likely to pass: OC001, or it was judged elsewhere meanwhile."""
    if error.code is not Code.serialization_failure:
        return False
    return is_schema_changed(error) or error.message.startswith(_JUDGED_ELSEWHERE)


def lost_with_processor() -> SqlError:
    """40001: the processor is gone, and nothing of what was under way has happened."""
    return SqlError(
        Code.serialization_failure,
        "transaction was lost with its query processor",
        hint="Nothing was changed. Retry the transaction.",
    )


def unknown_with_processor() -> SqlError:
    """40003: the processor is gone, and nobody can tell how far it came."""
    return SqlError(
        Code.statement_completion_unknown,
        "statement completion unknown: its query processor was lost while it ran",
        hint="It may or may not have taken effect: look before doing it again.",
    )
