"""AWS's Python connector with its three drivers: by host, by cluster id and region, by URL, in a pool; refusals."""

from __future__ import annotations

import asyncio
import os
import sys

host, region, ca = os.environ["CLUSTER_ENDPOINT"], os.environ["REGION"], os.environ["PGSSLROOTCERT"]
for name in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[name]
identifier = host.partition(".")[0]
secure = {"sslmode": "verify-full", "sslrootcert": ca}


def used(connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS connected (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, made_by text)"
        )
        connection.commit()
        cursor.execute("INSERT INTO connected (made_by) VALUES (%s) RETURNING made_by", ("me",))
        assert cursor.fetchone()[0] == "me"
        connection.commit()
        cursor.execute("SELECT count(*) FROM connected")
        assert cursor.fetchone()[0] >= 1
    connection.close()


def with_psycopg() -> None:
    import aurora_dsql_psycopg as dsql
    import psycopg
    from psycopg_pool import ConnectionPool

    used(dsql.connect(host=host, **secure))
    used(dsql.connect(host=identifier, region=region, **secure))
    used(dsql.connect(f"postgresql://{host}/postgres?user=admin&sslmode=verify-full&sslrootcert={ca}"))
    used(dsql.connect(host=host, sslnegotiation="direct", **secure))
    for wrong in ({"sslmode": "disable"}, {**secure, "user": "nobody"}, {**secure, "token_duration_secs": 604_801}):
        try:
            dsql.connect(host=host, **wrong)
        except psycopg.OperationalError as error:
            if "token_duration_secs" in wrong:
                assert "X-Amz-Expires must be less than a week (in seconds)" in str(error), error
        else:
            raise AssertionError(f"{wrong} was let in")
    pool = ConnectionPool(connection_class=dsql.DSQLConnection, kwargs={"host": host, **secure}, min_size=2, max_size=4)
    with pool, pool.connection() as connection:
        assert connection.execute("SELECT 7").fetchone() == (7,)


def with_psycopg2() -> None:
    import aurora_dsql_psycopg2 as dsql

    used(dsql.connect(host=host, **secure))
    used(dsql.connect(host=identifier, region=region, **secure))


def with_asyncpg() -> None:
    import aurora_dsql_asyncpg as dsql

    async def main() -> None:
        import ssl

        context = ssl.create_default_context(cafile=ca)
        connection = await dsql.connect(host=host, ssl=context)
        assert await connection.fetchval("SELECT $1::int + 1", 41) == 42
        async with connection.transaction():
            await connection.execute("CREATE TABLE IF NOT EXISTS connected_async (id int PRIMARY KEY)")
        await connection.executemany("INSERT INTO connected_async VALUES ($1)", [(1,), (2,)])
        assert [row["id"] for row in await connection.fetch("SELECT id FROM connected_async ORDER BY id")] == [1, 2]
        await connection.execute("DROP TABLE connected_async")
        await connection.close()
        pool = await dsql.create_pool(host=host, ssl=context, min_size=1, max_size=3)
        async with pool.acquire() as held:
            assert await held.fetchval("SELECT 7") == 7
        await pool.close()

    asyncio.run(main())


{"psycopg": with_psycopg, "psycopg2": with_psycopg2, "asyncpg": with_asyncpg}[sys.argv[1]]()
print(f"{sys.argv[1]}: fine")
