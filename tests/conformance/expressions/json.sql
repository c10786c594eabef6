-- json and jsonb: operators, constructors, editing, rows
'{"a": 1 , "b":[1, 2]}'::json -> 'b'
'{"a": 1 , "a":2}'::json -> 'a'
'{"a": 1 , "b":[1, 2]}'::json #> '{b,1}'
'{"a": 1 , "b":[1, 2]}'::json #>> '{b,-1}'
'{"a": "x\u0041"}'::json ->> 'a'
'{"a": "x\u0000"}'::json ->> 'a'
'{"a": "x\u0000"}'::jsonb
'{"a": "\ud800"}'::jsonb
'{"a": "\ud83d\ude04"}'::jsonb
'{"a": 1,}'::json
'[1,'::json
'tru'::json
'"abc'::json
'[1 2]'::json
'{1:2}'::json
'{"a" 1}'::json
'1 2'::json
''::json
'"\x"'::json
'1e400'::jsonb
'1e-20000'::jsonb
'01'::json
jsonb_set('{"a":[1,2]}','{a,0}','9')
jsonb_set('{"a":[1,2]}','{a,x}','9')
jsonb_set('{"a":[1,2]}','{b}','9',false)
jsonb_set('{"a":[1,2]}','{b,c}','9')
jsonb_set('[1]','{-5}','9')
jsonb_set('1','{a}','9')
jsonb_set('{"a":1}','{null}','9')
jsonb_insert('{"a":[1,2]}','{a,0}','9')
jsonb_insert('{"a":[1,2]}','{a,0}','9',true)
jsonb_insert('{"a":[1,2]}','{a}','9',true)
jsonb_insert('{"a":[1,2]}','{a,-1}','9',true)
jsonb_set_lax('{"a":1}','{a}',null)
jsonb_set_lax('{"a":1}','{a}',null,true,'delete_key')
jsonb_set_lax('{"a":1}','{a}',null,true,'raise_exception')
jsonb_set_lax('{"a":1}','{a}',null,true,'x')
'{"a":{"b":1}}'::jsonb #- '{a,b}'
'{"a":{"b":1}}'::jsonb #- '{a,c}'
'[1,2]'::jsonb #- '{x}'
'1'::jsonb #- '{x}'
json_strip_nulls('{"a":null, "b": [1, null, {"c":null}]}')
jsonb_strip_nulls('{"a":null, "b": [1, null, {"c":null}]}')
json_array_length('{}')
jsonb_array_length('1')
json_array_length('1')
jsonb_pretty('{"a":{},"b":[],"c":[1,{"d":2}]}')
json_build_object('a',1,'b',null)
json_build_object(1,'x',true,2.5)
json_build_object('a')
json_build_object(null,1)
jsonb_build_object(null,1)
json_build_object('{}'::json,1)
json_build_array(1,'a',null,'2020-01-01'::date, array[1,2], row(1,'x'))
jsonb_build_array()
json_object('{a,1,b,2}')
json_object('{{a,1},{b,2}}')
json_object('{a,b}','{1,null}')
json_object('{a,b,c}')
json_object('{{a,1,2},{b,2,3}}')
json_object('{a,b}','{1}')
jsonb_object('{a,1,b,2}')
row_to_json(row(1,'a',null,true,'2020-01-01 10:00'::timestamp))
row_to_json(row(1,'a'),true)
array_to_json('{{1,2},{3,4}}'::int[])
array_to_json('{{1,2},{3,4}}'::int[],true)
to_json('a"b'::text)
to_jsonb(1.50)
to_json('infinity'::timestamp)
to_json('NaN'::float8)
to_json(interval '1 day')
to_json(array[row(1,2),row(3,4)])
row(1,'a b',null,'x"y',array[1,2],true,1.5)
row(1,row(2,3))
row(1,2) = row(1,2)
row(1,2.5)::text
(row(1,'a')).f3
'{"a":1}'::jsonb @> '{"a":1.0}'
'[1,[2,3]]'::jsonb @> '[[2]]'
'{"a":[1,2]}'::jsonb @> '{"a":1}'
'[1,2]'::jsonb @> '1'
'"a"'::jsonb ? 'a'
'{"a":1}'::jsonb ?| '{b,a}'
'{"a":1}'::jsonb ?& array['b','a']
'[1,2]'::jsonb || '3'
'{"a":1}'::jsonb || '{"a":2}'
'{"a":1}'::jsonb || '[1]'
'"a"'::jsonb || '"b"'
'{"a":1,"b":2}'::jsonb - 'a'
'["a","b"]'::jsonb - 'a'
'["a","b"]'::jsonb - array['a','b']
'["a","b"]'::jsonb - 0
'["a","b"]'::jsonb - (-1)
'{"a":1}'::jsonb - 0
'1'::jsonb - 'a'
jsonb_typeof('null')
json_typeof('[]')
json_extract_path('{"a":{"b":1}}','a','b')
json_extract_path_text('{"a":{"b":"x"}}','a','b')
json_extract_path('{"a":{"b":1}}',variadic array['a','b'])
'{"b":1,"aa":2,"a":3}'::jsonb
'{"a":1}'::jsonb = '{"a":1.0}'::jsonb
'[]'::jsonb < '1'::jsonb
'null'::jsonb::int
'"1"'::jsonb::int
'1.7'::jsonb::int
'true'::jsonb::bool
jsonb_populate_record(row(1,'x'),'{"f1":5}')
json_populate_record(row(1,'x'::text),'{"f2":"yy"}')
json_to_record('{"a":1}')
json '{"a":1}' ->> 'a'
jsonb '"x"' #>> '{}'
jsonb '[1,2]' ->> -1
'{"a":1}'::jsonb -> 0
json_each('{"a":1}')
jsonb_each_text('{"a":"x"}')
jsonb_each('[1]')
json_each('[1]')
json_each('1')
json_each_text('1')
jsonb_object_keys('[1]')
json_object_keys('1')
jsonb_array_elements('{}')
json_array_elements('{}')
json_array_elements('1')
json_array_elements_text('1')
