-- dates, times, timestamps, intervals
-- timezone: Europe/Berlin
date '2020-01-31'
date '20200131'
date 'Jan 31, 2020'
date '31 January 2020'
date '1/2/2020'
date '2020-13-01'
date '2020-02-30'
date 'foo'
date ''
date '2020-1-5'
date '0044-03-15 BC'
date '99-01-01'
date 'infinity'
date '-infinity'
date 'epoch'
date '2020-01-31' + 1
1 + date '2020-01-31'
date '2020-01-31' - 31
date '2020-03-01' - date '2020-02-01'
date '2020-01-31' + interval '1 month'
date '2020-01-31' - interval '1 day'
date '2020-01-31' + time '10:00'
date '2020-01-31' = timestamp '2020-01-31 00:00'
date '2020-01-31' < timestamptz '2020-01-31 00:00+00'
date '2020-01-31' > '2020-01-30'
date '2020-01-31' + 1.5
date '9999-12-31' + 1
time '04:05:06'
time '04:05'
time '040506'
time '04:05:06.789'
time '04:05 PM'
time '25:00'
time '24:00'
time '04:05:06' + interval '1 hour'
time '23:00' + interval '2 hours'
time '10:00' - time '08:30'
time(0) '04:05:06.789'
'04:05:06.789'::time(1)
timetz '04:05:06+02'
timetz '04:05:06-08:30'
timestamp '2020-01-31 10:20:30'
timestamp '2020-01-31T10:20:30'
timestamp '2020-01-31 10:20:30.123456'
timestamp '2020-01-31 10:20:30.1234567'
timestamp '2020-01-31 10:20:30+05'
timestamp '2020-01-31'
timestamp '2020-01-31 25:00'
timestamp '2020-01-31 10:61'
timestamp 'foo'
timestamp 'infinity'
timestamp(0) '2020-01-31 10:20:30.5'
'2020-01-31 10:20:30.126'::timestamp(2)
timestamp '20200131 102030'
timestamp '20200131T102030'
timestamp 'Fri Jan 31 10:20:30 2020'
timestamp '2020-01-31 10:20 PM'
timestamp '12345-01-01'
timestamp '0001-01-01'
timestamp '0001-01-01 BC'
timestamptz '2020-01-31 10:20:30'
timestamptz '2020-07-31 10:20:30'
timestamptz '2020-01-31 10:20:30+00'
timestamptz '2020-01-31 10:20:30Z'
timestamptz '2020-01-31 10:20:30 UTC'
timestamptz '2020-01-31 10:20:30 America/New_York'
timestamptz '2020-01-31 10:20:30 PST'
timestamptz '2020-01-31 10:20:30-03:30'
timestamptz '2020-03-29 02:30'
timestamptz '2020-10-25 02:30'
timestamptz '2020-01-31 10:20:30 Foo/Bar'
timestamptz '2020-01-31 10:20:30+20'
timestamptz '1800-01-01 00:00+00'
timestamptz '2020-01-31 10:20:30'::date
timestamptz '2020-01-31 23:30:00+00'::date
timestamptz '2020-01-31 23:30:00+00'::time
timestamptz '2020-01-31 23:30:00+00'::timestamp
timestamp '2020-07-31 23:30:00'::timestamptz
date '2020-07-31'::timestamptz
timestamp '2020-01-31 10:20:30'::date
timestamp '2020-01-31 10:20:30'::time
timestamptz '2020-01-31 10:20:30+00'::text
timestamp '2020-01-31 10:20:30'::text
'2020-01-31'::text::date
timestamptz '2020-03-28 12:00' + interval '1 day'
timestamptz '2020-03-28 12:00' + interval '24 hours'
timestamptz '2020-03-28 12:00' - interval '1 month'
interval '1 day' + timestamptz '2020-03-28 12:00'
timestamptz '2020-03-30 12:00' - timestamptz '2020-03-28 12:00'
timestamp '2020-01-31 10:00' + interval '1 month'
timestamp '2020-03-31 10:00' - interval '1 month'
timestamp '2020-02-29' + interval '1 year'
timestamp '2020-01-02 00:00' - timestamp '2020-01-01 12:00'
timestamp '2020-01-01' - timestamp '2020-01-02 12:00'
timestamp 'infinity' + interval '1 day'
timestamp '2020-01-31 10:00' at time zone 'UTC'
timestamptz '2020-01-31 10:00+00' at time zone 'America/New_York'
timestamptz '2020-01-31 10:00+00' at time zone 'utc'
timestamptz '2020-01-31 10:00+00' at time zone 'Nowhere'
timestamptz '2020-01-31 10:00+00' at time zone interval '2 hours'
timezone('UTC', timestamptz '2020-01-31 10:00+02')
interval '1 day'
interval '1 day 2 hours'
interval '1 year 2 months 3 days 4 hours 5 minutes 6.5 seconds'
interval '1-2'
interval '1-2 3 4:05:06'
interval '3 4:05:06'
interval '4:05'
interval '4:05:06.789'
interval '-1 day'
interval '1 day -2 hours'
interval '-1 day 2 hours'
interval '1 month -1 day'
interval '1 week'
interval '2 weeks 3 days'
interval '1.5 days'
interval '1.5 months'
interval '1.5 years'
interval '1.5 weeks'
interval '0.5 hours'
interval 'P1Y2M3DT4H5M6S'
interval 'PT1H'
interval 'P1W'
interval '1 day ago'
interval '@ 1 minute'
interval '90 minutes'
interval '36 hours'
interval '100 days'
interval '1 decade'
interval '1 century'
interval '10 ms'
interval '10 us'
interval '0'
interval '5'
interval 'foo'
interval ''
interval '1 foo'
interval '1' day
interval '1' year
interval '90' minute
interval '1-2' year to month
interval '1 2:03' day to minute
interval '2:03' minute to second
'1 day 2 hours'::interval
'1.123456789 seconds'::interval(3)
interval '1 day' + interval '2 hours'
interval '1 day' - interval '2 hours'
interval '1 day' * 2
interval '1 day' * 1.5
2 * interval '1 hour'
interval '1 month' * 0.5
interval '1 day' / 2
interval '1 month' / 3
interval '1 hour' / 0
- interval '1 day'
interval '1 day' = interval '24 hours'
interval '1 month' > interval '29 days'
interval '1 month' = interval '30 days'
interval '1 year' < interval '360 days'
interval '1 day'::text
interval '1 day'::time
time '04:05:06'::interval
justify_hours(interval '27 hours')
justify_days(interval '35 days')
justify_interval(interval '1 month -1 hour')
extract(year from date '2020-02-29')
extract(month from date '2020-02-29')
extract(day from date '2020-02-29')
extract(dow from date '2020-02-29')
extract(isodow from date '2020-03-01')
extract(doy from date '2020-12-31')
extract(week from date '2021-01-03')
extract(isoyear from date '2021-01-03')
extract(quarter from date '2020-05-01')
extract(century from date '2000-12-31')
extract(millennium from date '2001-01-01')
extract(decade from date '2020-01-01')
extract(epoch from date '2020-01-01')
extract(hour from date '2020-01-01')
extract(epoch from timestamp '2020-01-01 00:00:01.5')
extract(epoch from timestamptz '2020-01-01 00:00:00+00')
extract(hour from timestamptz '2020-01-01 00:00:00+00')
extract(second from timestamp '2020-01-01 00:00:01.5')
extract(milliseconds from timestamp '2020-01-01 00:00:01.5')
extract(microseconds from timestamp '2020-01-01 00:00:01.5')
extract(minute from time '04:05:06')
extract(julian from date '2020-01-01')
extract(timezone from timestamptz '2020-01-01 00:00:00+00')
extract(timezone_hour from timestamptz '2020-07-01 00:00:00+00')
extract(foo from timestamp '2020-01-01')
extract(timezone from timestamp '2020-01-01')
extract(epoch from interval '1 day 2 hours')
extract(epoch from interval '1 month')
extract(epoch from interval '1 year')
extract(day from interval '40 days 5 hours')
extract(hour from interval '30 hours')
extract(year from interval '14 months')
extract(month from interval '14 months')
extract(second from interval '1 minute 1.5 seconds')
extract(year from date 'infinity')
extract(month from date 'infinity')
date_part('year', timestamp '2020-01-01')
date_part('day', interval '3 days')
date_part('hour', timestamptz '2020-01-01 00:00+00')
date_part('foo', timestamp '2020-01-01')
date_part('month', date '2020-05-01')
date_trunc('hour', timestamp '2020-02-29 10:20:30')
date_trunc('day', timestamp '2020-02-29 10:20:30')
date_trunc('month', timestamp '2020-02-29 10:20:30')
date_trunc('year', timestamp '2020-02-29 10:20:30')
date_trunc('week', timestamp '2020-02-29 10:20:30')
date_trunc('quarter', timestamp '2020-02-29 10:20:30')
date_trunc('decade', timestamp '2020-02-29 10:20:30')
date_trunc('century', timestamp '2020-02-29 10:20:30')
date_trunc('second', timestamp '2020-02-29 10:20:30.789')
date_trunc('milliseconds', timestamp '2020-02-29 10:20:30.789123')
date_trunc('day', timestamptz '2020-02-29 23:30+00')
date_trunc('day', timestamptz '2020-02-29 23:30+00', 'UTC')
date_trunc('month', date '2020-02-29')
date_trunc('hour', interval '1 day 2:30')
date_trunc('foo', timestamp '2020-02-29 10:20:30')
date_bin('15 minutes', timestamp '2020-02-11 15:44:17', timestamp '2001-01-01')
age(timestamp '2020-03-01', timestamp '2019-12-15')
age(timestamp '2019-12-15', timestamp '2020-03-01')
age(date '2020-03-01', date '2020-02-28')
age(timestamp '2020-03-01 10:00', timestamp '2020-02-28 12:00')
make_date(2020, 2, 29)
make_date(2020, 2, 30)
make_date(-44, 3, 15)
make_time(8, 15, 23.5)
make_timestamp(2020, 7, 15, 8, 15, 23.5)
make_timestamptz(2020, 7, 15, 8, 15, 23.5)
make_timestamptz(2020, 7, 15, 8, 15, 23.5, 'UTC')
make_interval(1, 2, 3, 4, 5, 6, 7.5)
make_interval(days => 10)
make_interval(hours => 2, mins => 30)
to_timestamp(0)
to_timestamp(1580000000.5)
to_timestamp('2020-01-31 10:20:30', 'YYYY-MM-DD HH24:MI:SS')
to_timestamp('31/01/2020', 'DD/MM/YYYY')
to_timestamp('2020-01-31 10:20 PM', 'YYYY-MM-DD HH12:MI AM')
to_date('2020-01-31', 'YYYY-MM-DD')
to_date('31 Jan 2020', 'DD Mon YYYY')
to_date('20200131', 'YYYYMMDD')
to_date('2020-13-01', 'YYYY-MM-DD')
to_date('foo', 'YYYY-MM-DD')
to_char(timestamp '2020-02-29 13:05:06.789', 'YYYY-MM-DD HH24:MI:SS.MS')
to_char(timestamp '2020-02-29 13:05:06.789', 'HH12:MI:SS AM')
to_char(timestamp '2020-02-29 13:05:06.789', 'Day, DD Month YYYY')
to_char(timestamp '2020-02-29 13:05:06.789', 'FMDay, FMDD FMMonth YYYY')
to_char(timestamp '2020-02-29 13:05:06.789', 'Dy DD Mon YY')
to_char(timestamp '2020-02-29 13:05:06.789', 'DAY MON dy month')
to_char(timestamp '2020-02-29 13:05:06.789', 'DDD D ID WW IW Q')
to_char(timestamp '2020-02-29 13:05:06.789', 'US SSSS J')
to_char(timestamp '2020-02-29 13:05:06.789', '"at" HH24')
to_char(timestamp '2020-02-29 13:05:06.789', 'DDth')
to_char(timestamptz '2020-02-29 13:05:06+00', 'HH24:MI TZ OF')
to_char(date '2020-02-29', 'YYYY/MM/DD')
to_char(interval '1 day 2:03:04', 'HH24:MI:SS')
isfinite(date '2020-01-01')
isfinite(timestamp 'infinity')
(date '2020-01-01', date '2020-02-01') overlaps (date '2020-01-15', date '2020-03-01')
timestamp '2020-01-01' between '2019-01-01' and '2021-01-01'
timestamptz '2020-01-01 00:00+00' = timestamp '2020-01-01 01:00'
'2020-01-01'::timestamptz = '2020-01-01'::date
date '2020-01-01' in ('2020-01-01', '2020-01-02')
timestamp '2020-01-01' + '1 day'
timestamp '2020-01-01' - '2019-12-31'
date '2020-01-01' + '1'
greatest(date '2020-01-01', date '2020-01-02')
now() = current_timestamp
now() - now()
current_date = now()::date
pg_typeof(now())
pg_typeof(current_date)
pg_typeof(localtimestamp)
pg_typeof(current_time)
pg_typeof(localtime)
pg_typeof(now() - now())
pg_typeof(date '2020-01-01' - date '2020-01-01')
date(timestamp '2020-01-31 10:20:30')
date('2020-01-31')
timestamp '2020-01-01' + 5
date '2020-01-01' + date '2020-01-01'
