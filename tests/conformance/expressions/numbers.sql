-- integers, numerics, floats: literals, operators, functions
1
2147483647
2147483648
9223372036854775807
9223372036854775808
1.50
1e10
.5
1e-3
0.000
-5
- 5.0
1 + 2
1 + 2.5
1::int2 + 1::int2
1::int2 + 1::int4
1::int8 + 1::int4
2147483647 + 1
2147483647 * 2
-2147483648 - 1
9223372036854775807 + 1
32767::int2 + 1::int2
(-32768)::int2
-32768::int2
7 / 2
-7 / 2
7 / -2
7 % 3
-7 % 3
7 % -3
1 / 0
1 % 0
1.0 / 0
1.0 / 3
1 / 3.0
2 / 3.0
10 / 3.00000
100000000000000000000 / 3.0
0.0001 / 3
1000000 / 0.0003
123456789.123456789 / 7
22 / 7.0
-1.5 / 2
1.0 * 2.00
1.23 * 4.567
0 * -1.5
-0.0
1.10 + 2.2
1.10 - 2.234
5.5 % 2
-5.5 % 2
5.5 % 0
2 ^ 10
2 ^ 0.5
2.0 ^ 3
2.0 ^ 0.5
2.0 ^ -2
0 ^ 0
0.0 ^ -1
(-8.0) ^ (1.0/3)
10.0 ^ 20
1.1 ^ 100
2 ^ 3 ^ 2
-2 ^ 2
5 & 3
5 | 3
5 # 3
~5
1 << 4
256 >> 2
1 << 33
-1 >> 1
1::int8 << 40
2 + 3 * 4
(2 + 3) * 4
2 - 3 - 4
1.5::float8 + 1
1.5::float4 + 1.5::float4
0.1::float4 + 0.2::float4
0.1::float8 + 0.2::float8
0.1::float4::float8
1::float8 / 3
1::float4 / 3
1e308::float8 * 10
1e-308::float8 / 1e10
1::float8 / 0
'NaN'::float8 / 0
'Infinity'::float8 - 'Infinity'::float8
'NaN'::float8 = 'NaN'::float8
'NaN'::float8 > 'Infinity'::float8
'NaN'::numeric = 'NaN'::numeric
'NaN'::numeric > 1
'Infinity'::numeric + 1
'Infinity'::numeric - 'Infinity'::numeric
'-Infinity'::numeric < 0
1e15::float8
1e14::float8
123456789012345::float8
1234567890123456::float8
0.0001::float8
0.00001::float8
1e100::float8
1.7976931348623157e308::float8
5e-324::float8
100000::float4
1e6::float4
1234567::float4
0.1::float4
16777217::float4
3.4e38::float4
1e39::float4
1e-50::float4
'1e400'::float8
-0.0::float8
1::float8
'  12  '::int
'12a'::int
''::int
'0x1F'::int
'0b101'::int
'0o17'::int
'1_000'::int
1_000
0xff
'99999999999'::int
'-2147483648'::int
'-2147483649'::int
'32768'::int2
'9223372036854775808'::int8
'abc'::numeric
'1e5'::numeric
'1.5e-3'::numeric
' 1.5 '::numeric
'1.5.5'::numeric
''::numeric
'inf'::numeric
'nan'::numeric
'1.5'::float8
'abc'::float8
'infinity'::float8
'-inf'::float4
1.5::int
2.5::int
-2.5::int
2.5::float8::int
3.5::float8::int
-2.5::float8::int
1e10::int
1e10::float8::int
'NaN'::float8::int
'NaN'::numeric::int
'Infinity'::numeric::int
1e20::int8
40000::int2
3000000000::int
1.5::int8
123.456::numeric(5,2)
123.455::numeric(5,2)
-123.455::numeric(5,2)
1234.5::numeric(5,2)
0.999::numeric(2,2)
0.99::numeric(2,2)
999.995::numeric(5,2)
'NaN'::numeric(5,2)
'Infinity'::numeric(5,2)
12345::numeric(3,-2)
1::numeric(10)
1.5::numeric(10)
1::numeric(1001)
0.1::float8::numeric
0.1::float4::numeric
1e20::float8::numeric
123456789.123456789::float8::numeric
1.0::numeric::float8
1::bool
0::bool
true::int
1.5::bool
abs(-5)
abs(-5.5)
abs(-5.5::float8)
abs((-32768)::int2)
ceil(1.2)
ceil(-1.2)
ceiling(1.2)
floor(-1.2)
floor(1.7::float8)
round(1.5)
round(2.5)
round(-2.5)
round(2.5::float8)
round(3.5::float8)
round(1.2345, 2)
round(1.235, 2)
round(1234.5, -2)
round(1.5, 5)
round(5, 1)
round(1.005::float8, 2)
trunc(1.99)
trunc(-1.99)
trunc(1.987, 1)
trunc(1234.567, -2)
trunc(1.9::float8)
sign(-3)
sign(-3.5)
sign(0.0)
sqrt(2)
sqrt(2.0)
sqrt(16.0)
sqrt(0.0)
sqrt(0.0001)
sqrt(12345678901234567890.0)
sqrt(-1)
sqrt(-1.0)
cbrt(27)
|/ 25
||/ 27
exp(1)
exp(1.0)
exp(-5.5)
exp(0.0)
exp(1000::float8)
ln(2)
ln(2.0)
ln(1.0)
ln(1.01)
ln(100.5)
ln(0)
ln(-1.0)
log(100)
log(100.0)
log(2.0)
log(2, 64)
log(2.0, 64.0)
log10(1000)
log(0.0)
power(2, 3)
power(2.0, 3)
power(2.5, 2.5)
power(0, -1)
pow(3, 2)
mod(7, 3)
mod(-7, 3)
mod(7.5, 2)
div(7, 2)
div(-7.5, 2)
div(1, 0)
gcd(12, 18)
lcm(4, 6)
gcd(1.5, 0.5)
factorial(5)
pi()
sin(1)
cos(1)
tan(0.5)
asin(2)
atan2(1, 2)
degrees(pi())
radians(180)
scale(1.500)
min_scale(1.500)
trim_scale(1.500)
width_bucket(5.35, 0.024, 10.06, 5)
greatest(1, 2.5, 3)
least(1, null, -1)
greatest(null, null)
greatest('a', 'b')
greatest(1, 'x')
1 < 2
1 < 1.5
1.0 = 1.00
1 = 1.0::float8
1::int2 = 1::int8
1 <> 2
2 >= 2.0
1 != 1
1 = null
null = null
1 + null
1 + 'a'
1 + '2'
'1' + '2'
1 + 'x'::text
1 || 2
1 = 'a'::text
1 + true
-'5'
+5
-(-2147483648)
123456789012345678901234567890 * 987654321098765432109876543210
to_hex(255)
to_hex(-1)
to_hex(255::bigint)
1::text
1.50::text
1e15::float8::text
1::int8::int2
random() < 2
1 is distinct from 2
1 is distinct from null
null is distinct from null
1 is not distinct from 1.0
nullif(1, 1)
nullif(1, 2)
nullif(1, 2.5)
nullif(null, 1)
coalesce(null, 1, 2)
coalesce(null, 1.5, 2)
coalesce(null, null)
coalesce(1, 'a')
ceil(-0.25::float8)
round(-0.25::float8)
0.00000000000000000000 ^ 2
0.00000000000000000000 ^ 0.5
0 ^ 2.000000000000000000000
power(0.0, 3)
