"""What PostgreSQL's dialect can do, less what Aurora DSQL does not have.

The suite's own defaults suit the smallest database there is: whatever stays closed is not tested at all. So everything
that SQLAlchemy tests on PostgreSQL is open here, and each thing that is closed says by whose rule.
"""

from __future__ import annotations

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

OPEN = """
autocommit binary_literals boolean_col_expressions cast_precision_numerics_many_significant_digits
check_constraint_reflection comment_reflection comment_reflection_full_unicode computed_columns
computed_columns_default_persisted computed_columns_reflect_persisted computed_columns_stored
constraint_comment_reflection cross_schema_fk_reflection ctes ctes_on_dml ctes_with_update_delete ctes_with_values
date_historic datetime_historic datetime_interval datetime_literals datetime_timezone deferrable_fks
delete_from except_ expression_server_defaults fetch_expression fetch_first
fetch_no_order_by fetch_offset_with_options fetch_ties fk_constraint_option_reflection_ondelete_noaction
fk_constraint_option_reflection_ondelete_restrict fk_constraint_option_reflection_onupdate_restrict
float_or_double_precision_behaves_generically foreign_key_constraint_name_reflection
foreign_key_constraint_option_reflection_ondelete foreign_key_constraint_option_reflection_onupdate
implicit_default_schema index_ddl_if_exists index_reflects_included_columns
indexes_check_column_order indexes_with_expressions infinity_floats inline_check_constraint_reflection intersect
json_array_indexes json_deserializer_binary json_type nullsordering percent_schema_names
precision_numerics_enotation_small precision_numerics_many_significant_digits
precision_numerics_retains_significant_digits reflect_indexes_with_expressions reflect_tables_no_columns
reflects_pk_names regexp_match regexp_replace schema_create_delete server_defaults supports_bitwise_and
supports_bitwise_not supports_bitwise_or supports_bitwise_shift supports_bitwise_xor supports_distinct_on
table_ddl_if_exists table_value_constructor time_timezone tuple_in tuple_in_w_empty unicode_ddl
unique_constraints_reflect_as_index update_from uuid_data_type view_column_reflection view_reflection views
window_functions schemas schema_reflection default_schema_name_switch skip_autocommit_rollback
legacy_unconditional_json_extract identity_columns identity_columns_standard
""".split()

CLOSED = {
    "array_type": "DSQL: no array columns",
    "isolation_level": "DSQL: REPEATABLE READ only",
    "get_isolation_level_values": "DSQL: REPEATABLE READ only",
    "dialect_level_isolation_level_param": "DSQL: REPEATABLE READ only",
    "savepoints": "DSQL: no savepoints",
    "two_phase_transactions": "DSQL: no prepared transactions",
    "temporary_tables": "DSQL: no temporary tables",
    "has_temp_table": "DSQL: no temporary tables",
    "temp_table_names": "DSQL: no temporary tables",
    "temp_table_reflection": "DSQL: no temporary tables",
    "temp_table_reflect_indexes": "DSQL: no temporary tables",
    "temp_table_comment_reflection": "DSQL: no temporary tables",
    "temporary_views": "DSQL: no temporary views",
    "materialized_views": "DSQL: no materialized views",
    "server_side_cursors": "DSQL: no DECLARE CURSOR",
    "indexes_with_ascdesc": "DSQL: no ASC or DESC in an index",
    "reflect_indexes_with_ascdesc": "DSQL: no ASC or DESC in an index",
    "order_by_collation": "DSQL: collation C only",
    "asyncio": "not run: the synchronous driver is",
    "computed_columns_virtual": "not in PostgreSQL 16",
    "fetch_percent": "not in PostgreSQL",
    "reflect_table_options": "not in PostgreSQL",
    "nvarchar_types": "not in PostgreSQL",
    "supports_lastrowid": "not in PostgreSQL",
    "emulated_lastrowid": "not in PostgreSQL",
    "dbapi_lastrowid": "not in PostgreSQL",
}


def _open(name: str) -> property:
    return property(lambda self: exclusions.open(), doc=name)


def _closed(reason: str) -> property:
    return property(lambda self: exclusions.skip_if(lambda: True, reason))


Requirements = type(
    "Requirements",
    (SuiteRequirements,),
    {name: _open(name) for name in OPEN} | {name: _closed(reason) for name, reason in CLOSED.items()},
)
