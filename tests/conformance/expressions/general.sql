-- booleans, uuid, json, arrays, rows, casts, resolution errors
true
't'::bool
'yes'::bool
'off'::bool
'1'::bool
'maybe'::bool
true and null
false and null
true or null
null or false
not null
not true
true and 1
1 or true
not 1
true = false
true > false
null is null
1 is not null
null isnull
1 notnull
true is true
null is true
null is not true
null is unknown
false is not false
null is not unknown
1 is true
true::text
true || 'a'
true::int
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
'A0EEBC999C0B4EF8BB6D6BB9BD380A11'::uuid
'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid
'a0eebc99'::uuid
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid < 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid::text
gen_random_uuid() <> gen_random_uuid()
uuid_extract_version('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
array[1, 2, 3]
array[1, 2.5]
array['a', 'b']
array[1, null]
array[[1, 2], [3, 4]]
array[]::int[]
array[]
array[1, 'a']
'{1,2,3}'::int[]
'{1,NULL,3}'::int[]
'{"a b",c}'::text[]
'{a,"b,c","d\"e",""}'::text[]
'{{1,2},{3,4}}'::int[]
'{1,2'::int[]
'1,2'::int[]
'{1,a}'::int[]
'{}'::int[]
'{null}'::text[]
'{"null"}'::text[]
(array[1, 2, 3])[2]
(array[1, 2, 3])[5]
(array[[1, 2], [3, 4]])[2][1]
(array[1, 2, 3])[1:2]
(array[1, 2, 3])[2:]
('{a,b}'::text[])[1]
array[1, 2] || 3
0 || array[1, 2]
array[1, 2] || array[3]
array[1, 2] || null
array[1, 2] = array[1, 2]
array[1, 2] < array[1, 3]
array[1, 2] <> array[2, 1]
array[1, 2, 3] @> array[1]
array[1] <@ array[1, 2]
array[1, 2] && array[2, 3]
array[1, 2] @> array[3]
array_length(array[1, 2, 3], 1)
array_length(array[1, 2, 3], 2)
array_length('{}'::int[], 1)
cardinality(array[[1, 2], [3, 4]])
array_ndims(array[[1, 2], [3, 4]])
array_dims(array[1, 2])
array_upper(array[1, 2], 1)
array_lower(array[1, 2], 1)
array_append(array[1], 2)
array_prepend(0, array[1])
array_cat(array[1], array[2])
array_position(array['a', 'b'], 'b')
array_position(array['a', 'b'], 'c')
array_positions(array[1, 2, 1], 1)
array_remove(array[1, 2, 1], 1)
array_replace(array[1, 2, 1], 1, 9)
array_fill(7, array[2])
array[1, 2]::text[]
array['1', '2']::int[]
'{1.5,2.5}'::numeric[]::int[]
array[1, 2]::text
1 = any(array[1, 2])
1 = any('{1,2}')
1 = all(array[1, 1])
3 = any(array[1, 2])
3 = any(array[1, null])
1 <> all(array[2, 3])
1 < some(array[0, 2])
null = any(array[1])
'a' = any(array['a', 'b'])
'abc' like any(array['x%', 'a%'])
1 = any(5)
1 in (1, 2)
1 in (1, 2.5)
1 not in (2, 3)
1 in (2, null)
1 in ('1', '2')
1 in ('a')
null in (1)
(1, 2) = (1, 2)
(1, 2) <> (1, 3)
(1, 2) < (1, 3)
(1, null) = (1, 2)
(1, 2) = (1, 2, 3)
(1, 2) >= (1, 2)
(1, 'a') in ((1, 'a'), (2, 'b'))
row(1, 2) = row(1, 2)
row(1, null) is null
row(null, null) is null
'{"a":1,"b":[1,2]}'::json
'{"a":1,"b":[1,2]}'::jsonb
'{"b":1,"aa":2,"a":3}'::jsonb
'{"a":1,"a":2}'::jsonb
'{a}'::json
''::json
'[1,2'::jsonb
'nul'::jsonb
'"a"'::jsonb
'1.50'::jsonb
'1e3'::jsonb
'"a\u00e9\n"'::jsonb
'{"a":1}'::jsonb -> 'a'
'{"a":"x"}'::jsonb ->> 'a'
'{"a":1}'::json -> 'a'
'{"a":"x"}'::json ->> 'a'
'[1,2,3]'::jsonb -> 1
'[1,2,3]'::jsonb -> -1
'[1,2,3]'::jsonb ->> 5
'{"a":{"b":2}}'::jsonb #> '{a,b}'
'{"a":{"b":"x"}}'::jsonb #>> '{a,b}'
'{"a":{"b":2}}'::jsonb -> 'a' -> 'b'
'{"a.b":1}'::jsonb -> 'a.b'
'{"a":null}'::jsonb ->> 'a'
'{"a":1,"b":2}'::jsonb @> '{"a":1}'
'[1,2]'::jsonb @> '1'
'{"a":1}'::jsonb <@ '{"a":1,"b":2}'
'{"a":1}'::jsonb ? 'a'
'{"a":1}'::jsonb ?| array['x', 'a']
'{"a":1}'::jsonb ?& array['x', 'a']
'{"a":1}'::jsonb || '{"b":2}'
'{"a":1,"b":2}'::jsonb - 'a'
'[1,2,3]'::jsonb - 1
'{"a":1}'::jsonb = '{"a":1.0}'
'{"a":1}'::jsonb < '{"a":2}'
'{"a":1}'::json = '{"a":1}'::json
jsonb_typeof('{"a":1}')
jsonb_array_length('[1,2,3]')
jsonb_set('{"a":1}', '{a}', '2')
jsonb_build_object('a', 1, 'b', 'x')
json_build_object('a', 1, 'b', null)
json_build_array(1, 'a', true, null)
jsonb_build_array(1, 'a', 1.5)
to_json('a'::text)
to_json(1.50)
to_jsonb(array[1, 2])
to_json(timestamp '2020-01-01 10:00')
to_json(true)
jsonb_strip_nulls('{"a":1,"b":null}')
jsonb_pretty('{"a":[1,2]}')
'5'::jsonb::int
'"a"'::jsonb::int
'true'::jsonb::bool
pg_typeof(1)
pg_typeof('a')
pg_typeof('a'::text)
pg_typeof(1.5)
pg_typeof(null)
pg_typeof(array[1])
pg_typeof(1::bigint + 1)
pg_typeof(1 + 1.5)
pg_typeof(1::float4 + 1)
pg_typeof(sqrt(4))
pg_typeof(length('a'))
pg_typeof(coalesce(1, 2.5))
pg_typeof(case when true then 1::int2 else 2::int8 end)
pg_typeof(array[1, 2.5])
1::foo
1::uuid
'a'::text::uuid
1::date
date '2020-01-01'::int
true::numeric
int4 '5'
int8 '5'
float8 '1.5'
numeric '1.50'
bool 'true'
int4('5')
text(5)
numeric(5)
float8(5)
bool('t')
cast(1 as text)
cast('1' as integer)
cast(1.5 as double precision)
cast('a' as character varying)
'1'::oid
'-1'::oid
4294967295::oid
4294967296::oid
23::regtype
'a'::name = 'a'
1 ~ 2
'a' + 'b'
round('a')
round(1, 2, 3)
abs('5')
abs(true)
substring(1 from 2)
current_schema is not null
current_user = session_user
version() is not null
pg_backend_pid() >= 0
nonexistent(1, 'a', null)
pg_catalog.lower('A')
"lower"('A')
1 operator(pg_catalog.+) 2
a
'a' is distinct from null
(1 + 2) * 3 = 9 and 'a' || 'b' = 'ab' or false
1 = 1 = true
1 < 2 is true
- - 5
not not true
quote_literal(null)
num_nulls(1, null)
extract(epoch from null)
