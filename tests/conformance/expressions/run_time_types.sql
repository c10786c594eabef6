-- ranges, bit strings, addresses, SQL/JSON constructors, slices, named and VARIADIC arguments
int4range(1,5)
int4range(1,5,'[]')
int4range(5,1)
int4range(1,5,'x')
int4range(1,1)
int4range(null,5)
numrange(1.5,2.5,'(]')
'[1,5)'::int4range
'(1,5]'::int4range
'[a,5)'::int4range
'[1,5'::int4range
'1,5)'::int4range
'[1;5)'::int4range
'[1,2,3)'::int4range
'empty'::int4range
'(,)'::int8range
'["2020-01-01","2020-02-01"]'::daterange
'[2020-01-01 00:00,2020-02-01 00:00)'::tsrange
tstzrange('2020-01-01 00:00+00','2020-01-02 00:00+00')
daterange('2020-01-01','2020-01-31','[]')
int4range(1,5) && int4range(4,8)
int4range(1,5) @> 3
int4range(1,5) @> int4range(2,3)
3 <@ int4range(1,5)
int4range(1,5) << int4range(5,8)
int4range(1,5) -|- int4range(5,8)
int4range(1,5) &< int4range(1,8)
int4range(1,5) &> int4range(0,8)
int4range(1,5) + int4range(5,8)
int4range(1,5) + int4range(6,8)
int4range(1,5) * int4range(4,8)
int4range(1,5) - int4range(4,8)
int4range(1,9) - int4range(4,5)
int4range(1,5) = '[1,4]'::int4range
int4range(1,5) < int4range(1,6)
lower(int4range(1,5))
upper(int4range(1,5))
lower('A')
upper_inc(int4range(1,5))
lower_inc(int4range(1,5))
lower_inf('(,5)'::int4range)
isempty('empty'::int4range)
range_merge(int4range(1,2),int4range(5,6))
int4multirange(int4range(1,2),int4range(5,6),int4range(2,3))
'{[1,3),[5,6]}'::int4multirange
'{}'::int4multirange
'{[1,3}'::int4multirange
'{[1,2),[3,4)}'::int4multirange @> 3
'{[1,2),[3,4)}'::int4multirange + '{[2,3)}'::int4multirange
'{[1,9)}'::int4multirange - '{[2,3)}'::int4multirange
'{[1,9)}'::int4multirange * '{[2,3),[5,20)}'::int4multirange
'{[1,9)}'::int4multirange && int4range(3,4)
range_merge('{[1,2),[5,6)}'::int4multirange)
multirange(int4range(1,2))
unnest('{[1,2),[5,6)}'::int4multirange)
int4range(1,2)::int4multirange
array[int4range(1,2)]
to_json(int4range(1,2))
int4range(1,2)::text
int8range(1,3) @> 2::bigint
int8range(1,3) @> 2
numrange(1,3) @> 2.5
numrange(1,3) @> 2
int4range(1,3) @> 'x'
int4range(1,3) @> '2'
range_agg(x) FROM (VALUES (int4range(1,3)),(int4range(2,5))) t(x)
b'101'
B'101'::text
x'1F'
b'101' & b'110'
b'101' | b'110'
b'101' # b'110'
~ b'101'
b'101' << 1
b'101' >> 1
b'101' || b'11'
b'101'::int
b'101'::bigint
44::bit(10)
44::bit(3)
(-44)::bit(12)
5::bit
'101'::bit(3)
'1011'::bit(3)
'10'::bit(3)
bit '101'
bit varying '101'
'101'::varbit(2)
'10x'::bit(3)
b'101' = b'101'
b'101' < b'11'
length(b'101')
octet_length(b'101010101')
get_bit(b'101',1)
set_bit(b'101',1,1)
get_bit(b'101',9)
bit_count(b'1011')
bit_count('\xff01'::bytea)
substring(b'110101' from 2 for 3)
overlay(b'110101' placing b'00' from 2)
position(b'01' in b'1101')
b'1' & b'10'
get_bit('\x05'::bytea, 2)
set_bit('\x05'::bytea, 1, 1)
get_byte('\x0509'::bytea, 1)
set_byte('\x0509'::bytea, 1, 255)
get_byte('\x05'::bytea, 5)
cast(b'1010' as varchar)
inet '192.168.1.5/24'
'192.168.1.5'::inet
'192.168.1/24'::cidr
'10'::cidr
'192.168.1.5/24'::cidr
'::1'::inet
'2001:db8::/32'::cidr
'300.1.1.1'::inet
host('192.168.1.5/24'::inet)
network('192.168.1.5/24'::inet)
netmask('192.168.1.5/24'::inet)
hostmask('192.168.1.5/24'::inet)
broadcast('192.168.1.5/24'::inet)
masklen('192.168.1.5/24'::inet)
family('::1'::inet)
abbrev('10.1.0.0/16'::cidr)
abbrev('192.168.1.5/24'::inet)
set_masklen('192.168.1.5/24'::inet,16)
inet '192.168.1.5' << inet '192.168.1/24'
inet '192.168.1.5' <<= inet '192.168.1.5'
inet '192.168.1/24' >> inet '192.168.1.5'
inet '192.168.1.5' + 10
inet '192.168.1.15' - inet '192.168.1.5'
inet '192.168.1.6' & inet '0.0.0.255'
~ inet '192.168.1.6'
inet_merge('192.168.1.5/24','192.168.2.5/24')
'192.168.1.5/24'::inet::text
'192.168.1.5'::inet::text
text('192.168.1.5'::inet)
inet_same_family('1.1.1.1','::1')
inet '1.2.3.4' < inet '1.2.3.5'
U&'\0061\+000062c'
U&'d!0061' uescape '!'
U&'\00'
@ -5
@ -5 + 3
@(-2.5)
'{"a":1}' is json
'{"a":1}' is json object
'{"a":1,"a":2}' is json object with unique keys
'[1]' is not json array
'x' is json
1 is json
'é' is normalized
'a' is nfd normalized
json_object('a': 1, 'b': null)
json_object('a' value 1, 'b' value null absent on null)
json_object('a': 1, 'a': 2 with unique keys)
json_object('a': 1 returning jsonb)
json_array(1, 'a', null)
json_array(1, null null on null)
json_array()
json_object()
('{"a":[1,2]}'::jsonb)['a'][1]
(array[1,2,3,4])[2:3]
(array[[1,2,3],[4,5,6]])[1:2][2:3]
(array[[1,2,3],[4,5,6]])[2:2][1]
(array[[1,2,3],[4,5,6]])[:][:2]
(array[1,2,3])[2:]
(array[[1,2],[3,4]])[1]
interval(2) '1.2345 s'
interval(0) '1.5 s'
format('%s-%s', variadic array['a','b'])
concat(variadic array[1,2,3])
make_interval(days => 3, hours => 2)
make_interval(days := 3)
make_date(year => 2020, month => 1, day => 2)
jsonb_set('{"a":1}', path => '{a}', replacement => '2')
jsonb_insert(jsonb_in => '[1]', path => '{0}', replacement => '2', insert_after => true)
make_interval(foo => 1)
parse_ident('a.b', strict => false)
int4(b'11')
