"""Lifting literals must never change what a statement means (the corpus runs both ways too)."""

from __future__ import annotations

import pytest

from tausql.sql.lexer import tokens
from tausql.sql.template import lift

LIFTED = r"""
select * from t where a = 42
select * from t where a = $1

select * from t where a = 1 and b = 'it''s' limit 10
select * from t where a = $1 and b = $2 limit 10

select 1, 'x' from t where a in (1, -2)
select 1, 'x' from t where a in ($1, -$2)

insert into t (a, b) values (1, 'x'), (2, null)
insert into t (a, b) values ($1, $2), ($3, null)

update t set b = 'y' where a = 1 returning 5
update t set b = $1 where a = $2 returning 5

select * from t where a > 1 group by 1 order by 2;
select * from t where a > $1 group by 1 order by 2

select * from t where c = date '2020-01-01' and a = 1
select * from t where c = date '2020-01-01' and a = $1

select * from t where c > now() - interval '1 day' and a=1
select * from t where c > now() - interval '1 day' and a=$1

select * from t where a::numeric(10, 2) = 5
select * from t where a::numeric(10, 2) = $1

select * from t where cast(a as varchar(3)) = '5'
select * from t where cast(a as varchar(3)) = $1

select * from t where b like 'a%' escape 'x' and a = 2
select * from t where b like 'a%' escape 'x' and a = $1

select * from t where b = E'a\n' and a = 1
select * from t where b = E'a\n' and a = $1

select distinct on (1) a from t where a = 3
select distinct on (1) a from t where a = $1

select * from t where a in (select 1 from u where v = 2 limit 3) and b = 'q'
select * from t where a in (select 1 from u where v = $1 limit 3) and b = $2

insert into t values (1) on conflict (a) do update set a = 2
insert into t values ($1) on conflict (a) do update set a = $2

select * from t where extract(year from c) = 2020
select * from t where extract(year from c) = $1

insert into t values (1) on conflict (lower(a), (b + 1)) where c > 5 do update set a = 6 where t.b = 7
insert into t values ($1) on conflict (lower(a), (b + 1)) where c > 5 do update set a = $2 where t.b = $3

select * from t where a between 1 and 2.5 -- 7
select * from t where a between $1 and $2
"""
PAIRS = [tuple(pair.strip().split("\n")) for pair in LIFTED.strip().split("\n\n")]


@pytest.mark.parametrize(("text", "template"), PAIRS)
def test_literals_are_lifted_only_where_they_are_values(text: str, template: str) -> None:
    lifted = lift(text)
    assert lifted is not None
    assert lifted.template == template
    assert len(lifted.values) == len(lifted.types) == template.count("$")


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "select * from t where a = $1",
        "select 1; select 2 where 1 = 1",
        "begin",
        "select 'x' where 'a' =\n'b'\n'c'",
        "select * from t where arr[1] is null",
        "explain select * from t where a = 1",
        "select 'unfinished where a = 1",
    ],
)
def test_statements_that_are_left_alone(text: str) -> None:
    assert lift(text) is None


def test_numbers_have_the_types_postgresql_gives_them() -> None:
    lifted = lift("select * from t where a in (1, 3000000000, 99999999999999999999, 1.50)")
    assert lifted is not None
    assert [type.name if type is not None else None for type in lifted.types] == ["int4", "int8", "numeric", "numeric"]
    assert str(lifted.values[3]) == "1.50"


@pytest.mark.parametrize("text", [text for text, _ in PAIRS])
def test_a_template_s_tokens_are_known_without_reading_it(text: str) -> None:
    lifted = lift(text)
    assert lifted is not None
    assert lifted.tokens() == tokens(lifted.template)


def test_a_literal_right_behind_a_word_makes_another_word_of_it() -> None:
    lifted = lift("select 1 where a and'x' = b")
    assert lifted is not None
    assert lifted.template == "select 1 where a and$1 = b"
    assert lifted.tokens() is None
