"""Schema changes: CREATE and DROP of tables and indexes, as transactions over the catalogue's rows.

`execute` runs one parsed statement. Building an index and removing what was dropped are jobs (`sql.jobs`) that the
statement only enters; they run after its commit.
"""

from __future__ import annotations

from tausql.sql.ddl.change import DdlResult
from tausql.sql.ddl.execute import execute

__all__ = ["DdlResult", "execute"]
