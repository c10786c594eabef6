-- literals, operators and syntax; resolution and casts; OVERLAPS; zones; ranks
json_objectagg('a': x) FROM (VALUES (1),(2)) t(x)
json_objectagg('a' value x absent on null returning jsonb) FROM (VALUES (1),(null)) t(x)
json_arrayagg(x) FROM (VALUES (1),(null)) t(x)
json_arrayagg(x null on null) FROM (VALUES (1),(null)) t(x)
json_arrayagg(x order by x desc returning jsonb) FROM (VALUES (1),(2)) t(x)
E'a\nb\t\x41\101\u00e9\\'
e'it\'s'
'a''b'
$$a'b$$
$x$a$$b$x$
N'abc'
0x1F
1_000_000
0b101
0o17
1e3
.5
5.
-2147483648
-9223372036854775808
9223372036854775808
'1'::int + '2'::int
cast('1' as int)
int '5'
'5'::pg_catalog.int4
5::float4
5::real
'5'::decimal(5,2)
interval '1' year
interval '1-2' year to month
date '2020-01-01' + time '10:00'
(1,2) = (1,2)
(1,2) < (1,3)
row(1,2) is null
row(null,null) is null
(1,null) is not null
1 is distinct from null
null is not distinct from null
1 between symmetric 3 and 0
1 in (1,2,null)
3 in (1,2,null)
1 not in (2,3)
'abc' like 'a%' escape '!'
'a%c' like 'a!%c' escape '!'
'abc' ilike 'A_C'
'abc' similar to '(a|b)%'
'abc' not similar to 'x%'
'abc' ~ 'B'
'abc' ~* 'B'
'abc' !~ 'b'
case 1 when 1 then 'a' else 'b' end
case when null then 1 end
coalesce(null,1,2.5)
nullif(1,1)
greatest(1,2.5,null)
least('a','b')
not null
true and null
false or null
true is unknown
null::bool is unknown
1 is unknown
position('b' in 'abc')
overlay('abcdef' placing 'xx' from 2 for 3)
substring('abcdef' from 2 for 3)
substring('abcdef' for 3)
substring('abcdef' from 'c.')
trim(leading 'x' from 'xxabc')
trim('  a ')
trim(both 'ab' from 'abcba')
extract(year from date '2020-01-01')
extract('year' from date '2020-01-01')
current_date is not null
(array['a','b'])[1]
'{1,2,3}'::int[]
'{{1,2},{3,4}}'::int[][]
array[1,2]::text[]
1::text || 2
'{"a":{"b":[1,2]}}'::jsonb -> 'a' -> 'b' ->> 1
'{"a":1}'::jsonb ->> 'a' = '1'
'{"a":1}'::jsonb #>> '{a}' || 'x'
2 ^ 3 ^ 2
-2 ^ 2
- 2 * 3
2 + 3 * 4 % 3
1 << 2 + 1
5 # 3
~ 5
|/ 16
||/ 27
@ -3.5
7 / 2
-7 / 2
7.0 / 2
-7 % 3
1 / 0
'abc'::varchar(2)
'abc'::char(5) || 'x'
'abc'::char(2)
12345.678::numeric(6,1)
123456.78::numeric(5,1)
'abc' collate "C"
'a' < 'B'
12345::numeric(3,-2)
12345::numeric(3, -2)
1234.567::numeric(6,2)
0.00123::numeric(2,4)
substring('foobarbaz' from 'foo|foobar')
regexp_replace('foobarbaz','foo|foobar','X')
regexp_match('xabcabcd','abc|abcabc')
regexp_matches('ab abc abcd','ab|abc|abcd','g')
'abc' ~ '^(a|ab)(c|bcd)$'
regexp_split_to_array('a1b12c','1|12')
(date '2020-01-01', interval '1 day') overlaps (date '2020-01-01', date '2020-02-01')
(time '10:00', interval '1 hour') overlaps (time '10:30', time '11:30')
(timetz '10:00+00', timetz '11:00+00') overlaps (timetz '10:30+00', timetz '11:30+00')
(timestamp '2020-01-01', null) overlaps (timestamp '2019-01-01', timestamp '2021-01-01')
(timestamptz '2020-01-01 00:00+00', interval '1 day') overlaps (timestamptz '2020-01-01 12:00+00', interval '1 day')
date_add('2020-01-01 00:00+00'::timestamptz, '1 day'::interval, 'Europe/Berlin')
date_subtract('2020-01-01 00:00+00'::timestamptz, '1 day'::interval, 'Europe/Berlin')
bit_and(x) FROM (VALUES (b'101'),(b'110')) t(x)
bit_or(x) FROM (VALUES (b'101'),(b'110')) t(x)
max(x) FROM (VALUES (inet '1.2.3.4'),(inet '1.2.3.5')) t(x)
'1'::xid = '1'::xid
'1'::xid = 1
ts_rank('a:1 b:2'::tsvector, 'a & b'::tsquery)
ts_rank('a:1 b:2'::tsvector, 'a | c'::tsquery)
ts_rank('a:1A b:2,5'::tsvector, 'b'::tsquery)
array[1,2,3] @> array[2]
array[1,2] || 3
array[[1,2]] || array[3,4]
1 = any(array[1,2])
'a' = any('{a,b}')
3 > all(array[1,2])
2 = some(array[1,null])
array_agg(x) FROM (VALUES (array[1,2]),(array[3,4])) t(x)
array[1,2] = array[1,2]::bigint[]
array[1,2.5,3]
array['a',null]
array[]::text[]
array[]
cardinality(array[[1,2],[3,4]])
array_length(array[]::int[],1)
'{1,2}'::int[] || null
'{"a,b",c}'::text[]
'{a'::text[]
'{1,x}'::int[]
'{{1,2},{3}}'::int[]
int4(2.5)
1 + '2'
'1' + '2'
1 || 'a'
1 + true
null + null
'a' || null
lower(1)
abs('x')
round(2.5::float8)
round(2.5)
power(2,0.5)
power(2.0,0.5)
sqrt(2)
exp(1.0)
ln(2.0)
log(2.0,64.0)
2.0 ^ 100
10 / 3.0
1e-10::numeric / 3
exp(100.0)
ln(1e-100)
power(1.000001, 1000000)
factorial(30)
gcd(12.5,7.5)
lcm(4.2,6)
div(7.5,2)
mod(-7.5,2)
trim_scale(1.500)
min_scale(1.500)
scale(1.500)
'NaN'::numeric = 'NaN'::numeric
'Infinity'::numeric - 'Infinity'::numeric
0 * 'Infinity'::numeric
extract(epoch from interval '1 day 2 hours')
extract(isoyear from date '2020-12-31')
extract(julian from timestamp '2020-01-01 12:00')
age(timestamp '2020-03-01', timestamp '2019-02-28')
timestamp '2020-01-01' at time zone 'Europe/Berlin'
timestamptz '2020-01-01 00:00+00' at time zone interval '02:00'
justify_interval(interval '1 mon -1 hour')
make_timestamptz(2020,1,1,0,0,0,'Europe/Berlin')
generate_series(timestamp '2020-01-01', '2020-01-02', '12 hours')
generate_series(1.5,3.0,0.5)
extract(julian from timestamp '2020-01-01')
extract(julian from timestamptz '2020-01-01 06:00+00')
extract(julian from date '2020-01-01')
timestamptz '2020-01-01 00:00+00' at time zone 'UTC-05:00'
timestamptz '2020-01-01 00:00+00' at time zone 'EST+5'
timestamptz '2020-01-01 00:00+00' at time zone 'FOO3'
timestamptz '2020-01-01 00:00+00' at time zone 'foo'
timestamptz '2020-01-01 00:00+00' at time zone '+05'
timestamptz '2020-01-01 00:00+00' at time zone 'GMT+3'
timestamptz '2020-01-01 00:00+00' at time zone 'Etc/GMT+3'
timestamptz '2020-07-01 00:00+00' at time zone 'CEST'
timestamptz '2020-07-01 00:00+00' at time zone 'US/Eastern'
'2020-01-01 00:00 UTC-05'::timestamptz
'2020-01-01 00:00 America/New_York'::timestamptz
'2020-01-01 00:00 EST'::timestamptz
ts_rank('a:1A b:2,5 c:9'::tsvector, 'a & b & c'::tsquery)
ts_rank('a:1A b:2,5 c:9'::tsvector, 'a & b & c'::tsquery, 1)
ts_rank('a b'::tsvector, 'a & b'::tsquery)
ts_rank('{1}', 'a b'::tsvector, 'a & b'::tsquery)
ts_rank('a:1 b:200'::tsvector, 'a <-> b'::tsquery)
