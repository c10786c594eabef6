-- Functions that call themselves: while they are one expression, and within bounds.
create function fact(n bigint) returns bigint language sql immutable as 'select case when n <= 1 then 1 else n * fact(n - 1) end';
--> CREATE FUNCTION
select fact(10), fact(5 + 1);
--> 3628800 | 720
create function fib(n int) returns int language sql as 'select case when n < 2 then n else fib(n - 1) + fib(n - 2) end';
--> CREATE FUNCTION
select n, fib(n) from generate_series(0, 12) n;
--> 0 | 0
--> 1 | 1
--> 2 | 1
--> 3 | 2
--> 4 | 3
--> 5 | 5
--> 6 | 8
--> 7 | 13
--> 8 | 21
--> 9 | 34
--> 10 | 55
--> 11 | 89
--> 12 | 144
select n from generate_series(0, 12) n where fib(n) = 55;
--> 10
create function gcd2(a int, b int) returns int language sql immutable strict as 'select case when $2 = 0 then $1 else gcd2($2, $1 % $2) end';
--> CREATE FUNCTION
select gcd2(1071, 462), gcd2(null, 3), gcd2(7, null);
--> 21 | null | null
create function od(n int) returns bool language sql as 'select false';
--> CREATE FUNCTION
create function ev(n int) returns bool language sql as 'select case when n = 0 then true else od(n - 1) end';
--> CREATE FUNCTION
create or replace function od(n int) returns bool language sql as 'select case when n = 0 then false else ev(n - 1) end';
--> CREATE FUNCTION
select n, ev(n), od(n) from generate_series(0, 4) n;
--> 0 | True | False
--> 1 | False | True
--> 2 | True | False
--> 3 | False | True
--> 4 | True | False
create function loop(n int) returns int language sql as 'select loop(n + 1)';
--> CREATE FUNCTION
select loop(1);
--> 54001 stack depth limit exceeded
--> HINT Functions call themselves 100 deep.
select fib(40);
--> 54000 function fib calls itself more than 100000 times
create function tree(n int) returns bigint language sql as 'select sum(tree(x)) from generate_series(1, n) x';
--> 54001 stack depth limit exceeded
--> HINT A function of SQL that calls itself must be one expression: any other is put in the place of its call.
create function once(n int) returns int begin atomic select once(n); end;
--> 42883 function once(integer) does not exist
--> HINT No function matches the given name and argument types. You might need to add explicit type casts.
create function deep(n int) returns int language sql as 'select case when n = 0 then 0 else 1 + deep(n - 1) end';
--> CREATE FUNCTION
select deep(90);
--> 90
select deep(200);
--> 54001 stack depth limit exceeded
--> HINT Functions call themselves 100 deep.
create table t (a int, b int generated always as (deep(a)) stored);
--> 54001 stack depth limit exceeded
create table t (a int, b int default fib(7), check (fib(a) < 100));
--> CREATE TABLE
insert into t (a) values (11);
--> INSERT 0 1
insert into t (a) values (12);
--> 23514 new row for relation "t" violates check constraint "t_a_check"
--> DETAIL Failing row contains (12, 13).
select * from t;
--> 11 | 13
select * from fib(9);
--> 34
drop function fib(int);
--> 2BP01 cannot drop function fib(integer) because other objects depend on it
--> DETAIL default value for column b of table t depends on function fib(integer)
--> DETAIL constraint t_a_check on table t depends on function fib(integer)
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
