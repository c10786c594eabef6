-- text, bytea, patterns, regular expressions
'abc'
'it''s'
E'a\tb\\n'
$$dollar$$
'abc'::varchar(2)
'abc'::varchar(10)
'ab'::char(4)
'ab'::char(4) || 'x'
'ab  '::char(4) = 'ab'
'abcdef'::char(3)
'x'::char
length('ab  '::char(4))
octet_length('ab  '::char(4))
'abc'::name
'ab'::"char"
'a'::varchar = 'a'::text
'a'::char(2) = 'a'::text
'a' || 'b'
'a' || 1
1 || 'a'
'a' || null
'a' || 1.50
'a' || true
'a' || date '2020-01-01'
null || 'a'
'a'::varchar || 'b'::varchar
'a'::name || 'b'
'a' < 'b'
'B' < 'a'
'é' > 'z'
'a' < 'é'
'' = ''
'abc' = 'abc '
lower('ÀBC')
upper('abc')
upper('straße')
initcap('hello wORLD foo-bar')
length('héllo')
char_length('héllo')
character_length('abc')
octet_length('héllo')
bit_length('abc')
length(null)
substring('hello' from 2 for 3)
substring('hello' from 2)
substring('hello' for 2)
substring('hello', 2, 3)
substring('hello', -1, 3)
substring('hello', 2, -1)
substring('hello', 10)
substring('foobar' from 'o(.)b')
substring('foobar' from 'o.b')
substring('foobar' from 'x')
substr('hello', 2)
substr('hello', 2, 2)
left('hello', 2)
left('hello', -2)
left('hello', 10)
right('hello', 2)
right('hello', -2)
right('hello', 0)
lpad('hi', 5)
lpad('hi', 5, 'xy')
lpad('hello', 2)
rpad('hi', 5, 'xy')
rpad('hi', 5, '')
lpad('hi', -1)
trim('  x  ')
trim(both 'x' from 'xxaxx')
trim(leading 'x' from 'xxaxx')
trim(trailing from 'a  ')
trim('xy' from 'xyaxy')
btrim('xxaxx', 'x')
ltrim('  a')
rtrim('axx', 'x')
ltrim('zzzytest', 'xyz')
replace('hello', 'l', 'L')
replace('hello', '', 'L')
repeat('ab', 3)
repeat('ab', -1)
reverse('abc')
position('l' in 'hello')
position('' in 'hello')
position('z' in 'hello')
strpos('hello', 'lo')
split_part('a,b,c', ',', 2)
split_part('a,b,c', ',', -1)
split_part('a,b,c', ',', 5)
split_part('a,b,c', ',', 0)
split_part('abc', '', 1)
concat('a', null, 1, true, 1.5)
concat()
concat_ws(',', 'a', null, 'b')
concat_ws(null, 'a')
format('%s %I %L', 'a', 'b c', 'it''s')
format('%s', null)
format('%L', null)
format('%2$s %1$s', 'a', 'b')
format('%5s|%-5s|', 'a', 'b')
format('%%')
format('%s')
format('%x', 1)
format('Hello %s, %1$s', 'World')
string_to_array('a,b,c', ',')
string_to_array('a,b,,c', ',', '')
string_to_array('abc', null)
string_to_array('', ',')
string_to_array('abc', '')
array_to_string(array['a', null, 'b'], ',')
array_to_string(array['a', null, 'b'], ',', '*')
array_to_string(array[1, 2, 3], '-')
array_to_string(array[1.50, 2], '-')
ascii('A')
ascii('é')
ascii('')
chr(65)
chr(233)
chr(0)
md5('abc')
sha256('abc')
encode('abc', 'hex')
encode('abc', 'base64')
encode('\x00ff'::bytea, 'escape')
decode('616263', 'hex')
decode('YWJj', 'base64')
decode('zz', 'hex')
decode('616', 'hex')
encode('abc', 'foo')
starts_with('hello', 'he')
'hello' ^@ 'he'
translate('12345', '143', 'ax')
quote_ident('Foo bar')
quote_ident('foo')
quote_ident('select')
quote_literal('it''s')
quote_literal(E'a\\b')
quote_literal(5)
quote_nullable(null)
overlay('Txxxxas' placing 'hom' from 2 for 4)
overlay('hello' placing 'XX' from 2)
'\x616263'::bytea
'abc'::bytea
E'a\\001b'::bytea
'\xZZ'::bytea
'\x616'::bytea
'abc'::bytea || '\x00'::bytea
length('\x616263'::bytea)
substring('\x616263'::bytea from 2 for 1)
get_byte('\x616263'::bytea, 1)
convert_from('\x616263'::bytea, 'UTF8')
convert_to('abc', 'UTF8')
'abc' like 'a%'
'abc' like '%c'
'abc' like '%b%'
'abc' like 'a_c'
'abc' like 'A%'
'abc' ilike 'A%'
'abc' not like 'x%'
'abc' not ilike 'A%'
'a%c' like 'a\%c'
'abc' like 'a\%c'
'a%c' like 'a!%c' escape '!'
'abc' not like 'a!%c' escape '!'
'abc' like 'abc'
'abc' like ''
'' like '%'
'abc' like null
'abc' like 'abc\'
'a' like 'a' escape 'xx'
'abc' ~~ 'a%'
'abc' !~~ 'a%'
'abc' ~~* 'A%'
'ab' || 'c' like 'abc'
'abc'::char(5) like 'abc'
'abc' ~ 'b'
'abc' ~ '^a.c$'
'abc' ~ 'B'
'abc' ~* 'B'
'abc' !~ 'b'
'abc' !~* 'X'
'a1b' ~ '\d'
'a b' ~ '[[:space:]]'
'foo bar' ~ '\mbar\M'
'abc' ~ '['
'abc' ~ '('
'abc' ~ '*'
'aab' ~ 'a{2}b'
'abc' similar to 'a%'
'abc' similar to '(a|b)%'
'abc' not similar to 'x%'
'abc' similar to 'a_c'
regexp_replace('foobar', 'o', 'X')
regexp_replace('foobar', 'o', 'X', 'g')
regexp_replace('foobar', '(o)(b)', '\2\1')
regexp_replace('FOObar', 'o', 'X', 'gi')
regexp_replace('foobar', 'o', '[\&]', 'g')
regexp_match('foobar', 'o(.)b')
regexp_match('foobar', 'x')
regexp_match('foobar', 'ob')
regexp_split_to_array('a,b;c', '[,;]')
regexp_split_to_array('abc', '')
regexp_count('ababab', 'ab')
regexp_like('abc', 'B', 'i')
regexp_substr('foobar', 'o+')
'a' in ('a', 'b')
'a' not in ('a', 'b')
'a' in ('b', null)
'a' not in ('b', null)
null in ('a')
'b' between 'a' and 'c'
'b' not between 'a' and 'c'
'b' between symmetric 'c' and 'a'
'a'::text collate "C" < 'B'
case when 'a' < 'b' then 'yes' else 'no' end
case 'x' when 'x' then 1 when 'y' then 2 end
case 1 when 2 then 'a' end
case when null then 1 else 2 end
case when 1 then 2 end
case when true then 1 else 'a' end
case when true then 1 else 2.5 end
coalesce('a', 'b')
nullif('a', 'a')
lower(5)
length(5)
foo('a')
upper()
'abc'[1]
text 'abc'
varchar 'abc'
'abc'::text::varchar(2)
cast('abc' as char(2))
to_char(1234.5, '9999.99')
to_char(1234.5, '9,999.99')
to_char(-1234.5, '9999.99')
to_char(0.5, '0.99')
to_char(0.5, '9.99')
to_char(12, '0000')
to_char(12, '999')
to_char(1234567, '999')
to_char(12.3, 'FM999.990')
to_char(12.30, 'FM999.99')
to_char(12, 'FM0000')
to_char(-5, '999MI')
to_char(5, 'S999')
to_char(-5, 'S999')
to_char(-5, '999PR')
to_char(5, '999PR')
to_char(1234567.891, 'FM9,999,999.00')
to_char(0, '9')
to_char(0, '99.9')
to_char(5, 'SG9')
to_char(-5, 'FM999')
to_char(42, '999"units"')
to_char(1, '9th')
to_number('1,234.5', '9,999.9')
to_number('-12', '99')
to_number('12.34', '99.99')
