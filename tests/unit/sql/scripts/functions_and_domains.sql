-- Users' functions, sequences and domains in the definition of a table.
create function twice(x int) returns int language sql immutable as 'select x * 2';
--> CREATE FUNCTION
create sequence sq cache 1;
--> CREATE SEQUENCE
create table t (id int primary key default nextval('sq'), a int default twice(4), check (twice(a) < 100));
--> CREATE TABLE
insert into t (id) values (1);
--> INSERT 0 1
insert into t values (2, 50);
--> 23514 new row for relation "t" violates check constraint "t_a_check"
--> DETAIL Failing row contains (2, 50).
select * from t;
--> 1 | 8
alter table t alter a set default twice(20);
--> ALTER TABLE
insert into t (id) values (3);
--> INSERT 0 1
select * from t;
--> 1 | 8
--> 3 | 40
drop function twice;
--> 2BP01 cannot drop function twice(integer) because other objects depend on it
--> DETAIL default value for column a of table t depends on function twice(integer)
--> DETAIL constraint t_a_check on table t depends on function twice(integer)
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
drop sequence sq;
--> 2BP01 cannot drop sequence sq because other objects depend on it
--> DETAIL default value for column id of table t depends on sequence sq
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
alter table t add column b int;
--> ALTER TABLE
alter table t alter b set default nextval('sq');
--> ALTER TABLE
alter table t add check (twice(b) > 3) not valid;
--> ALTER TABLE
create table u (a int check (nope(a) > 1));
--> 42883 function nope(integer) does not exist
--> HINT No function matches the given name and argument types. You might need to add explicit type casts.
create table u (a int default nope(1));
--> 42883 function nope(integer) does not exist
--> HINT No function matches the given name and argument types. You might need to add explicit type casts.
create domain dd as int check (value > 0) default 5;
--> CREATE DOMAIN
create table du (id int primary key, d dd, e dd not null);
--> CREATE TABLE
insert into du (id) values (1);
--> INSERT 0 1
insert into du values (2, -1, 3);
--> 23514 value for domain dd violates check constraint "dd_check"
insert into du values (3, null, null);
--> 23502 null value in column "e" of relation "du" violates not-null constraint
--> DETAIL Failing row contains (3, null, null).
select * from du;
--> 1 | 5 | 5
alter table du add column f dd;
--> ALTER TABLE
drop domain dd;
--> 2BP01 cannot drop type dd because other objects depend on it
--> DETAIL column d of table du depends on type dd
--> DETAIL column e of table du depends on type dd
--> DETAIL column f of table du depends on type dd
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
