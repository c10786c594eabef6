-- text search with the configuration simple
to_tsvector('simple','The Quick brown fox, quick-witted at 3.14 foo@bar.com')
to_tsvector('simple','a-b c_d 12 -5 1e5 x1 1x')
to_tsvector('simple','http://example.com/path/x.html and www.foo.org')
to_tsvector('simple','{"a":"hello world","b":["x",1]}'::jsonb)
to_tsvector('simple','{"a":"hello world","b":["x",1]}'::json)
to_tsquery('simple','Fat & (Rat | !Cat)')
to_tsquery('simple','fat <-> rat:*A')
to_tsquery('simple','a-b & c')
to_tsquery('simple','fat &')
plainto_tsquery('simple','The fat rats')
phraseto_tsquery('simple','The fat rats')
websearch_to_tsquery('simple','"fat rat" or cat -dog')
'a:1A b:2,3 ''c d'''::tsvector
'b a b'::tsvector
'a:0'::tsvector
'a & b | !c'::tsquery
'(a | b) & c'::tsquery
'!(a & b)'::tsquery
'a <2> b'::tsquery
'a <-> (b <-> c)'::tsquery
'a &'::tsquery
''::tsquery
to_tsvector('simple','fat cats ate rats') @@ to_tsquery('simple','fat & rats')
to_tsvector('simple','fat cats ate rats') @@ to_tsquery('simple','fat <-> cats')
to_tsvector('simple','fat cats ate rats') @@ to_tsquery('simple','fat <-> rats')
to_tsvector('simple','fat cats ate rats') @@ to_tsquery('simple','ca:*')
to_tsvector('simple','fat cats') @@ '!dog'::tsquery
'a:1A'::tsvector @@ 'a:B'::tsquery
'a:1'::tsvector || 'b:1 a:2'::tsvector
setweight('a:1 b:2'::tsvector,'A')
setweight('a:1 b:2'::tsvector,'A','{a}')
strip('a:1 b:2'::tsvector)
length('a:1 b:2'::tsvector)
ts_delete('a:1 b:2'::tsvector,'a')
ts_delete('a:1 b:2'::tsvector,array['a','b'])
ts_filter('a:1A b:2'::tsvector,'{a}')
tsvector_to_array('b a'::tsvector)
array_to_tsvector('{b,a}')
unnest('a:1A b:2'::tsvector)
'a'::tsquery && 'b'::tsquery
'a'::tsquery || 'b'::tsquery
'a'::tsquery <-> 'b'::tsquery
!! 'a'::tsquery
tsquery_phrase('a','b',3)
numnode('a & b | !c'::tsquery)
querytree('a & !c'::tsquery)
'a & b'::tsquery @> 'a'::tsquery
'a'::tsvector = 'a'::tsvector
'a'::tsquery = 'b'::tsquery
json_object()
substring('foobar' similar '%#"o_b#"%' escape '#')
tsvector 'x y'
