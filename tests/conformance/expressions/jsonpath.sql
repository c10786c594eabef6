-- jsonpath: its text, accessors, filters, methods
'$.a'::jsonpath
'strict $.a[*] ? (@ > 1)'::jsonpath
'$.a[0,1 to last].b.*'::jsonpath
'$."a b".c'::jsonpath
'$ ? (@.a == 1 && @.b > 2 || !(@.c < 3))'::jsonpath
'$.a + 1 * 2'::jsonpath
'($.a + 1) * 2'::jsonpath
'-$.a'::jsonpath
'$.**{2 to 5}.a'::jsonpath
'$.a like_regex "^a" flag "i"'::jsonpath
'$.a starts with "x"'::jsonpath
'exists($.a)'::jsonpath
'($.a > 1) is unknown'::jsonpath
'$.a.type()'::jsonpath
'$.a.datetime("yyyy")'::jsonpath
'$x'::jsonpath
'1.50'::jsonpath
'$.'::jsonpath
''::jsonpath
'$.a ? @ > 1'::jsonpath
'@.a'::jsonpath
'$[last'::jsonpath
'last'::jsonpath
'$.a[0.5]'::jsonpath
'"a\"b"'::jsonpath
'null'::jsonpath
'$.a == 1'::jsonpath
jsonb_path_query('{"a":[1,2,3]}','$.a[*]')
jsonb_path_query('{"a":[1,2,3]}','$.a[*] ? (@ > 1)')
jsonb_path_query('{"a":[1,2,3]}','$.a ? (@ > $x)','{"x":2}')
jsonb_path_query('{"a":[1,2,3]}','strict $.a ? (@ > 1)')
jsonb_path_query_array('{"a":[1,2,3]}','$.a[last, 0]')
jsonb_path_query_array('[[1,2],[3]]','$[*][*]')
jsonb_path_query_array('[[1,2],[3]]','$.**')
jsonb_path_query_array('{"a":{"b":{"c":1}}}','$.**{last}')
jsonb_path_query_array('{"a":{"b":{"c":1}}}','$.**{1 to 2}')
jsonb_path_query_first('{"a":[1,2,3]}','$.a[*] ? (@ > 10)')
jsonb_path_exists('{"a":[1,2,3]}','$.a[*] ? (@ > 2)')
jsonb_path_match('{"a":[1,2,3]}','exists($.a[*] ? (@ > 2))')
jsonb_path_match('{"a":[1,2,3]}','$.a')
jsonb_path_match('{"a":[1,2,3]}','$.a','{}',true)
'{"a":1}'::jsonb @? '$.a'
'{"a":1}'::jsonb @@ '$.a == 1'
'{"a":1}'::jsonb @@ '$.a'
'{"a":1}'::jsonb @? 'strict $.b'
jsonb_path_query('{"a":1}','strict $.b')
jsonb_path_query('[1]','strict $.b')
jsonb_path_query('{"a":1}','strict $[0]')
jsonb_path_query('[1]','strict $[5]')
jsonb_path_query('[1]','$[5]')
jsonb_path_query('{"a":1}','$.a[*]')
jsonb_path_query('{"a":1}','strict $.a[*]')
jsonb_path_query('{"a":1}','strict $.a.*')
jsonb_path_query('{"a":"x"}','$.a + 1')
jsonb_path_query('{"a":[1,2]}','$.a + 1')
jsonb_path_query('{"a":1}','$.a / 0')
jsonb_path_query('{"a":7}','$.a % 4')
jsonb_path_query('{"a":7}','$.a / 2')
jsonb_path_query('{"a":[1,-2]}','-$.a[*]')
jsonb_path_query('{"a":"x"}','-$.a')
jsonb_path_query('[1,"a",true,null,{},[]]','$[*].type()')
jsonb_path_query('[1,"a"]','$.size()')
jsonb_path_query('"a"','strict $.size()')
jsonb_path_query('[-1.5,2.4]','$[*].abs()')
jsonb_path_query('[-1.5,2.4]','$[*].floor()')
jsonb_path_query('[-1.5,2.4]','$[*].ceiling()')
jsonb_path_query('"x"','$.abs()')
jsonb_path_query('"1.50"','$.double()')
jsonb_path_query('"x"','$.double()')
jsonb_path_query('true','$.double()')
jsonb_path_query('{"a":1,"b":2}','$.keyvalue()')
jsonb_path_query('"2020-01-02"','$.datetime()')
jsonb_path_query('"2020-01-02 10:20:30+02"','$.datetime()')
jsonb_path_query('"10:20"','$.datetime().type()')
jsonb_path_query('"2020-01-02"','$.datetime().type()')
jsonb_path_query('"x"','$.datetime()')
jsonb_path_query('"02.01.2020"','$.datetime("dd.mm.yyyy")')
jsonb_path_query('["2020-01-02","2021-01-02"]','$[*].datetime() ? (@ > "2020-05-05".datetime())')
jsonb_path_query('["2020-01-02","2021-01-02 10:00+00"]','$[*].datetime() ? (@ > "2020-05-05".datetime())')
jsonb_path_query_tz('["2020-01-02","2021-01-02 10:00+00"]','$[*].datetime() ? (@ > "2020-05-05".datetime())')
jsonb_path_query('["abc","xyz"]','$[*] ? (@ starts with "a")')
jsonb_path_query('["abc","ABD"]','$[*] ? (@ like_regex "^ab" flag "i")')
jsonb_path_query('[1,"a",null]','$[*] ? (@ == null)')
jsonb_path_query('[1,"a",null]','$[*] ? (@ != null)')
jsonb_path_query('[1,"a",null]','$[*] ? ((@ > 0) is unknown)')
jsonb_path_query('{"a":1}','$x')
jsonb_path_query('{"a":1}','$x','[]')
jsonb_path_query('[{"a":1},{"a":2}]','$.a')
jsonb_path_query('[{"a":1},{"a":2}]','strict $.a')
jsonb_path_query('[{"a":1},{"a":2}]','$[*].a ? (@ >= 2)')
jsonb_path_query('{"a":{"b":1}}','$.a.b == 1')
jsonb_path_query('1','$ + 1.50')
jsonb_path_query('[3,1,2]','$[0 to 1]')
jsonb_path_query('[3,1,2]','$[last - 1]')
jsonb_path_query('[3,1,2]','$["a"]')
jsonb_path_query('{"a b":1}','$."a b"')
jsonb_path_query('{"a":[{"x":1,"y":2},{"x":3}]}','$.a[*] ? (exists(@.y))')
jsonb_path_query('{"a":[{"x":1,"y":2},{"x":3}]}','$.a[*] ? (@.x > 1).x')
jsonb_path_query('"5"','$.integer()')
jsonb_path_query('"abc"','$.string().type()')
jsonb_path_query('"t"','$.boolean()')
jsonb_path_query('[1.5]','$.bigint()')
jsonb_path_query('"1.5"','$.number()')
jsonb_path_query('"2020-01-02 10:20"','$.date()')
