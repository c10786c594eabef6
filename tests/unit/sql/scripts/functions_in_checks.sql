-- A CHECK looks at one row: functions that read tables have no place in it, as they have in a DEFAULT.
create table b (a int);
--> CREATE TABLE
create function f(x int) returns int language sql as 'select count(*)::int from b';
--> CREATE FUNCTION
create function g(x int) returns int language sql as 'select f(x) + 1';
--> CREATE FUNCTION
create function h(x int) returns int language sql as 'select x + 1';
--> CREATE FUNCTION
create table t (a int check (f(a) > 0));
--> 0A000 function f reads tables: not supported in check constraints
create table t (a int check (g(a) > 0));
--> 0A000 function g reads tables: not supported in check constraints
create table t (a int default f(1) check (h(a) > 0));
--> CREATE TABLE
insert into t values (-5);
--> 23514 new row for relation "t" violates check constraint "t_a_check"
--> DETAIL Failing row contains (-5).
insert into t default values;
--> INSERT 0 1
select * from t;
--> 0
