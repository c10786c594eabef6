-- Users' functions in generated columns and indexes: the body stands in their place, and keeps the function there.
create function f(x int) returns int language sql immutable as 'select x * x + 1';
--> CREATE FUNCTION
create function g(x int, y text default 'q') returns text language sql immutable strict as 'select y || f(x) || y';
--> CREATE FUNCTION
create function g(x text) returns text language sql as 'select lower($1)';
--> CREATE FUNCTION
create table t (a int, b text, c int generated always as (f(a) + 1) stored, d text generated always as (public.g(a, b)) stored);
--> CREATE TABLE
insert into t (a, b) values (3, 'x'), (4, null), (null, 'y');
--> INSERT 0 3
select * from t order by a;
--> 3 | x | 11 | x10x
--> 4 | null | 18 | null
--> null | y | null | null
create index async on t (f(a));
--> CREATE INDEX
--> job completed
create index async on t (g(a + 1), g(b)) where f(a) > 2;
--> CREATE INDEX
--> job completed
create unique index async u on t ((f(a) * 2));
--> CREATE INDEX
--> job completed
insert into t (a) values (-3);
--> 23505 duplicate key value violates unique constraint "u"
--> DETAIL Key ((a * a + 1) * 2)=(20) already exists.
drop function f(int);
--> 2BP01 cannot drop function f(integer) because other objects depend on it
--> DETAIL column c of table t depends on function f(integer)
--> DETAIL index t_f_idx depends on function f(integer)
--> DETAIL index t_g_g1_idx depends on function f(integer)
--> DETAIL index u depends on function f(integer)
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
drop function g(int, text);
--> 2BP01 cannot drop function g(integer,text) because other objects depend on it
--> DETAIL column d of table t depends on function g(integer,text)
--> DETAIL index t_g_g1_idx depends on function g(integer,text)
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
create or replace function f(x int) returns int language sql immutable as 'select 0';
--> CREATE FUNCTION
insert into t (a) values (5);
--> INSERT 0 1
select a, c from t order by a;
--> 3 | 11
--> 4 | 18
--> 5 | 27
--> null | null
update t set a = 6 where a = 5;
--> UPDATE 1
select a, c from t order by a;
--> 3 | 11
--> 4 | 18
--> 6 | 38
--> null | null
create function v(x int) returns int language sql as 'select x + (random() * 9)::int';
--> CREATE FUNCTION
create function w(x int) returns int language sql immutable as 'select v(x)';
--> CREATE FUNCTION
create table z (a int, b int generated always as (v(a)) stored);
--> 42P17 generation expression is not immutable
create table z (a int, b int generated always as (w(a)) stored);
--> 0A000 function w calls what is not IMMUTABLE: not supported in column generation expressions
create table z (a int, b int generated always as (nope(a)) stored);
--> 42883 function nope(integer) does not exist
--> HINT No function matches the given name and argument types. You might need to add explicit type casts.
create table z (a int, b int generated always as (f(a, b)) stored);
--> 42P17 cannot use generated column "b" in column generation expression
--> DETAIL A generated column cannot reference another generated column.
create index async on t (v(a));
--> 42P17 functions in index expression must be marked IMMUTABLE
create index async on t (w(a));
--> 0A000 function w calls what is not IMMUTABLE: not supported in index expressions
create index async on t (a) where v(a) > 1;
--> 42P17 functions in index predicate must be marked IMMUTABLE
create function r(x int) returns int language sql immutable as 'select count(*)::int from t';
--> CREATE FUNCTION
create table z (a int, b int generated always as (r(a)) stored);
--> 0A000 function r reads tables: not supported in column generation expressions
create index async on t (r(a));
--> 0A000 function r reads tables: not supported in index expressions
create function s(x int) returns setof int language sql immutable as 'select x';
--> CREATE FUNCTION
create index async on t (s(a));
--> 0A000 set-returning functions are not allowed in index expressions
create function m(x int) returns int language sql immutable as 'select max(y) from (values (x)) v(y)';
--> CREATE FUNCTION
create index async on t (m(a));
--> 0A000 function m is more than one expression: not supported in index expressions
drop function g(int, text) cascade;
--> DROP FUNCTION
--> NOTICE drop cascades to 2 other objects
drop function f(int) cascade;
--> DROP FUNCTION
--> NOTICE drop cascades to 3 other objects
select * from t order by a;
--> 3 | x
--> 4 | null
--> 6 | null
--> null | y
