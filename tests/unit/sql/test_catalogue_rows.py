"""Rows of the catalogue outlive the code that wrote them: what an earlier version stored is read as it was meant."""

from __future__ import annotations

from tausql.sql.catalogue.descriptors import Check, IndexState
from tausql.sql.catalogue.objects import ADMIN_OID
from tausql.sql.catalogue.system import decode_table, encode_table

# CREATE TABLE t (id int PRIMARY KEY, v int DEFAULT 1 UNIQUE CHECK (v > 0)), as stored when tables had owners by name,
# and checks were a name and a text.
BEFORE_ROLES = bytes.fromhex(
    "94cd4000a67075626c6963a174c5014d8aa36f6964cd4000a6736368656d61a67075626c6963a46e616d65a174a7636f6c756d6e739287a46e"
    "616d65a26964a8747970655f6f696417a67479706d6f64ffa86e6f745f6e756c6cc3a8706f736974696f6e00a764656661756c74c0a764726f"
    "70706564c287a46e616d65a176a8747970655f6f696417a67479706d6f64ffa86e6f745f6e756c6cc2a8706f736974696f6e01a76465666175"
    "6c74a131a764726f70706564c2ab7072696d6172795f6b65799100b07072696d6172795f6b65795f6e616d65a6745f706b6579a7696e646578"
    "65739187a36f6964cd4002a46e616d65a7745f765f6b6579a7636f6c756d6e739101a6756e69717565c3a5737461746501aa636f6e73747261"
    "696e74c3ab6e756c6c735f666972737491c2a6636865636b739192a9745f765f636865636ba576203e2030a56f776e6572a561646d696ea776"
    "657273696f6e00"
)


def test_a_table_of_before_there_were_roles_is_admins() -> None:
    table = decode_table(BEFORE_ROLES)
    assert (table.oid, table.schema, table.name, table.owner) == (16384, "public", "t", ADMIN_OID)
    assert table.checks == (Check("t_v_check", "v > 0"),)
    assert [(column.name, column.default) for column in table.columns] == [("id", None), ("v", "1")]
    (index,) = table.indexes
    assert (index.columns, index.unique, index.constraint, index.state) == ((1,), True, True, IndexState.ready)
    assert decode_table(encode_table(table)) == table
