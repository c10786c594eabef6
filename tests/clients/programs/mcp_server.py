"""AWS's MCP server for Aurora DSQL over stdio: its tools, as an assistant would call them."""

from __future__ import annotations

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

host = os.environ["CLUSTER_ENDPOINT"]


async def main() -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    variables |= {"FASTMCP_LOG_LEVEL": "ERROR"}
    arguments = ["--cluster_endpoint", host, "--region", os.environ["REGION"], "--database_user", "admin"]
    server = StdioServerParameters(
        command=os.path.join(os.path.dirname(sys.executable), "awslabs.aurora-dsql-mcp-server"),
        args=[*arguments, "--allow-writes"],
        env=variables,
    )
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert {"readonly_query", "transact", "get_schema"} <= names, names

        async def call(tool: str, **given) -> str:
            answer = await session.call_tool(tool, given)
            told = " ".join(getattr(part, "text", "") for part in answer.content)
            assert not answer.is_error, (tool, told)
            return told

        await call("transact", sql_list=["CREATE TABLE IF NOT EXISTS mcp_notes (id int PRIMARY KEY, note text)"])
        await call("transact", sql_list=["INSERT INTO mcp_notes VALUES (1, 'by mcp') ON CONFLICT DO NOTHING"])
        assert "by mcp" in await call("readonly_query", sql="SELECT note FROM mcp_notes")
        assert "note" in await call("get_schema", table_name="mcp_notes")
        refused = await session.call_tool("readonly_query", {"sql": "DELETE FROM mcp_notes"})
        assert refused.is_error


asyncio.run(main())
print("mcp server: fine")
