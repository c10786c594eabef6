"""More forms of random statements: window functions, grouping sets, FETCH ... WITH TIES, WITH queries that write.

As everywhere in the differential test, two right answers must not be able to differ: window functions are those that
treat peers alike, over frames that end between peer groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from differential_statements import Generator, Scope, Table

_SIDES = ("", " DESC", " NULLS FIRST", " DESC NULLS LAST")


def _frame(generator: Generator, ordered: bool) -> str:
    random = generator.random
    if not ordered or random.random() < 0.4:
        return random.choice(("", "", " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"))
    start = random.choice(("UNBOUNDED PRECEDING", "2 PRECEDING", "1 PRECEDING", "CURRENT ROW"))
    end = random.choice(("CURRENT ROW", "1 FOLLOWING", "3 FOLLOWING", "UNBOUNDED FOLLOWING"))
    return f" GROUPS BETWEEN {start} AND {end}{random.choice(('', '', ' EXCLUDE GROUP', ' EXCLUDE NO OTHERS'))}"


def _window(generator: Generator, scope: Scope) -> str:
    random = generator.random
    partition = [generator.any_column(scope)[0] for _ in range(random.choice((0, 0, 1, 1, 2)))]
    order = [generator.any_column(scope)[0] + random.choice(_SIDES) for _ in range(random.choice((0, 1, 1, 2)))]
    text = f"PARTITION BY {', '.join(partition)}" if partition else ""
    if order:
        text += f" ORDER BY {', '.join(order)}"
    return f"({text.strip()}{_frame(generator, bool(order))})"


def _call(generator: Generator, scope: Scope) -> str:
    random = generator.random
    number = generator.column(scope, random.choice(("int", "numeric"))) or "1"
    any_, _ = generator.any_column(scope)
    return random.choice((
        "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "count(*)", f"count({any_})", f"sum({number})",
        f"avg({number})", f"min({number})", f"max({number})", f"bool_or({number} > 1)",
        f"count(*) FILTER (WHERE {generator.predicate(scope, 0)})", f"stddev({number})",
    ))  # fmt: skip


def windowed(generator: Generator) -> tuple[str, bool]:
    random = generator.random
    sql, scope = generator.from_clause(random.choice((1, 1, 2)), 1)
    where = f" WHERE {generator.predicate(scope, 1)}" if random.random() < 0.5 else ""
    saved, generator.params = generator.params, None  # what a parameter is beside OVER is another story
    columns = [generator.any_column(scope)[0] for _ in range(random.randint(1, 2))]
    named = random.random() < 0.3
    window = _window(generator, scope)
    calls = []
    for _ in range(random.randint(1, 3)):
        over = "w" if named else window if random.random() < 0.5 else _window(generator, scope)
        calls.append(f"{_call(generator, scope)} OVER {over}")
    generator.params = saved
    tail, ordered = generator.tail(len(columns) + len(calls))
    definition = f" WINDOW w AS {window}" if named else ""
    return f"SELECT {', '.join([*columns, *calls])} FROM {sql}{where}{definition}{tail}", ordered


def rolled_up(generator: Generator) -> tuple[str, bool]:
    random = generator.random
    sql, scope = generator.from_clause(random.choice((1, 1, 2)), 1)
    where = f" WHERE {generator.predicate(scope, 1)}" if random.random() < 0.5 else ""
    saved, generator.params = generator.params, None
    keys = list(dict.fromkeys(generator.any_column(scope)[0] for _ in range(random.randint(1, 3))))
    number = generator.column(scope, "int") or "1"
    listed = ", ".join(keys)
    group = random.choice((
        f"ROLLUP ({listed})", f"CUBE ({listed})", f"GROUPING SETS (({listed}), ())", f"{keys[0]}, ROLLUP ({listed})",
        f"GROUPING SETS ({listed}, ROLLUP ({listed}))", f"DISTINCT ROLLUP ({listed}), CUBE ({keys[0]})",
    ))  # fmt: skip
    items = [*keys, "count(*)", f"sum({number})", f"grouping({listed})"]
    if random.random() < 0.3:
        items.append(f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {number})")
    having = f" HAVING count(*) {random.choice(('> 1', '< 5'))}" if random.random() < 0.3 else ""
    generator.params = saved
    tail, ordered = generator.tail(len(items))
    return f"SELECT {', '.join(items)} FROM {sql}{where} GROUP BY {group}{having}{tail}", ordered


def with_ties(generator: Generator) -> tuple[str, bool]:
    random = generator.random
    sql, scope = generator.from_clause(random.choice((1, 2)), 1)
    where = f" WHERE {generator.predicate(scope, 1)}" if random.random() < 0.5 else ""
    column = generator.any_column(scope)[0]
    count = random.choice((0, 1, 2, 3, 5))
    text = f"SELECT {column} FROM {sql}{where} ORDER BY 1{random.choice(_SIDES)} OFFSET {random.choice((0, 0, 1, 3))}"
    return f"{text} FETCH FIRST {count} ROWS WITH TIES", True


def written_with(generator: Generator, table: Table) -> str:
    """Rows deleted, and what the rest of the statement sees of them."""
    random = generator.random
    alias = generator.alias()
    scope = [generator.shown(table, alias)]
    where = generator.predicate(scope, 1)
    other = random.choice(generator.tables)
    gone = f"WITH gone AS (DELETE FROM {table.name} {alias} WHERE {where} RETURNING *)"
    return random.choice((
        f"{gone} SELECT count(*), (SELECT count(*) FROM {table.name}), (SELECT count(*) FROM {other.name}) FROM gone",
        f"{gone} INSERT INTO {table.name} SELECT * FROM gone",
        f"{gone}, kept AS (SELECT * FROM {other.name}) SELECT (SELECT count(*) FROM gone), count(*) FROM kept",
    ))  # fmt: skip
