-- What PostgreSQL answers too, word by word.
create table t (id int primary key, a int, b text, constraint ab check (t.a > 0 and length(b) < 9));
--> CREATE TABLE
create table u (id int primary key, tid int references t);
--> CREATE TABLE
create view v as select * from t;
--> CREATE VIEW
create view w as select x.a + 1 as plus, a, upper(b) from t x where x.b like 'k%' and exists (select 1 from t where a = x.a);
--> CREATE VIEW
create view z as select t.a, u.id from t join u on u.tid = t.id;
--> CREATE VIEW
insert into t values (1, 5, 'kk'), (2, 6, 'q');
--> INSERT 0 2
insert into u values (1, 1);
--> INSERT 0 1
alter table t rename a to "A a";
--> ALTER TABLE
alter table t rename b to "Order";
--> ALTER TABLE
alter table t rename to "T t";
--> ALTER TABLE
alter table "T t" drop column "A a";
--> 2BP01 cannot drop column A a of table "T t" because other objects depend on it
--> DETAIL view v depends on column A a of table "T t"
--> DETAIL view w depends on column A a of table "T t"
--> DETAIL view z depends on column A a of table "T t"
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
alter table "T t" drop column nope cascade;
--> 42703 column "nope" of relation "T t" does not exist
alter table "T t" drop constraint ab;
--> ALTER TABLE
alter table "T t" add constraint ab check ("Order" <> 'x') not valid;
--> ALTER TABLE
alter table "T t" rename constraint ab to u_pkey;
--> ALTER TABLE
alter table "T t" rename constraint nope to u_pkey;
--> 42704 constraint "nope" for table "T t" does not exist
alter table u rename constraint u_pkey to ab;
--> ALTER TABLE
alter table u rename id to tid;
--> 42701 column "tid" of relation "u" already exists
alter table u rename nope to tid;
--> 42703 column "nope" does not exist
alter table u rename to v;
--> 42P07 relation "v" already exists
alter table u rename to u;
--> 42P07 relation "u" already exists
alter table u rename constraint u_tid_fkey to ab;
--> 42710 constraint "ab" for relation "u" already exists
alter table v rename to vv;
--> ALTER TABLE
alter table vv rename to v;
--> ALTER TABLE
alter table u alter tid set default 'x';
--> 22P02 invalid input syntax for type integer: "x"
alter table u alter tid set default 1.5;
--> ALTER TABLE
alter table u alter tid set default id;
--> 0A000 cannot use column reference in DEFAULT expression
alter table u alter nope drop default;
--> 42703 column "nope" of relation "u" does not exist
alter table u alter id drop not null;
--> 42P16 column "id" is in a primary key
alter table u alter tid drop expression;
--> 55000 column "tid" of relation "u" is not a stored generated column
alter table u alter tid drop expression if exists;
--> ALTER TABLE
--> NOTICE column "tid" of relation "u" is not a stored generated column, skipping
alter table u alter tid drop identity;
--> 55000 column "tid" of relation "u" is not an identity column
alter table u alter tid drop identity if exists;
--> ALTER TABLE
--> NOTICE column "tid" of relation "u" is not an identity column, skipping
alter table u add constraint u_tid_fkey check (id > 1) not valid;
--> 42710 constraint "u_tid_fkey" for relation "u" already exists
alter table u add column "ID" int, add column if not exists "ID" int;
--> ALTER TABLE
--> NOTICE column "ID" of relation "u" already exists, skipping
alter table u add column id int;
--> 42701 column "id" of relation "u" already exists
alter table u drop constraint u_tid_fkey restrict;
--> ALTER TABLE
alter table nope rename to x;
--> 42P01 relation "nope" does not exist
alter table u frobnicate;
--> 42601 syntax error at or near "frobnicate"
alter table u alter id frobnicate;
--> 42601 syntax error at or near "frobnicate"
alter table u add constraint x foreign key (tid) references v not valid;
--> 42809 referenced relation "v" is not a table
alter table u add constraint x foreign key (tid, id) references "T t" not valid;
--> 42830 number of referencing and referenced columns for foreign key disagree
create table c (a int, b int, unique (a, a));
--> 42701 column "a" appears twice in unique constraint
create table c (a int, b int, primary key (a, nope));
--> 42703 column "nope" named in key does not exist
create table c (a int, a text);
--> 42701 column "a" specified more than once
create table c (a int primary key, b int, primary key (b));
--> 42P16 multiple primary keys for table "c" are not allowed
create table c (a int default 1 default 2);
--> 42601 multiple default values specified for column "a" of table "c"
create table c (a int generated always as (1) stored default 2);
--> 42601 both default and generation expression specified for column "a" of table "c"
create table c (a int generated always as (b + 1) stored);
--> 42703 column "b" does not exist
create table c (a int generated always as ((select 1)) stored);
--> 0A000 cannot use subquery in column generation expression
create table c (a int generated always as (sum(1)) stored);
--> 42803 aggregate functions are not allowed in column generation expressions
create table c (a int, constraint x check (a > 0), constraint x check (a > 1));
--> 42710 check constraint "x" already exists
create table c (a int check (a > (select 1)));
--> 0A000 cannot use subquery in check constraint
create table c (a int check (count(*) > 1));
--> 42803 aggregate functions are not allowed in check constraints
create table c (a int check (b > 1));
--> 42703 column "b" does not exist
create table c (a int check (nope.a > 1));
--> 42P01 missing FROM-clause entry for table "nope"
create table c (a nope);
--> 42704 type "nope" does not exist
create table c (a int, b int, c int, unique (a) include (b), unique (a) include (c), unique (a));
--> CREATE TABLE
create table c_a_key (a int);
--> 42P07 relation "c_a_key" already exists
create table t_pk (a int constraint c_pkey primary key);
--> CREATE TABLE
create table d (a varchar(0));
--> 22023 length for type varchar must be at least 1
create table d (a int(3));
--> 42601 type modifier is not allowed for type "int4"
create table d (a int default 'abc');
--> 22P02 invalid input syntax for type integer: "abc"
create table d (a int references t (nope));
--> 42P01 relation "t" does not exist
create table d (a int references "T t" (id, "Order"));
--> 42830 there is no unique constraint matching given keys for referenced table "T t"
create table d (like nope);
--> 42P01 relation "nope" does not exist
create table d (like v);
--> CREATE TABLE
create table dd (like "T t" including all, like u including constraints);
--> 42701 column "id" specified more than once
create table d (a int, b int generated always as (a * 2) stored references u (id) on update set null);
--> 42P07 relation "d" already exists
create table d (a int, b int generated always as (a * 2) stored, c text default 'q' || 'r');
--> 42P07 relation "d" already exists
insert into d (a, b) values (1, 2);
--> INSERT 0 1
insert into d values (1, default);
--> INSERT 0 1
insert into d (b) values (default);
--> INSERT 0 1
update d set b = 3;
--> UPDATE 3
update d set b = default, a = 7;
--> UPDATE 3
update d set (a, b) = (1, 2);
--> UPDATE 3
insert into d (a, b) select 1, 2;
--> INSERT 0 1
drop table "T t";
--> 2BP01 cannot drop table "T t" because other objects depend on it
--> DETAIL view v depends on table "T t"
--> DETAIL view w depends on table "T t"
--> DETAIL view z depends on table "T t"
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
drop table u, "T t";
--> 2BP01 cannot drop desired object(s) because other objects depend on them
--> DETAIL view z depends on table u
--> DETAIL view v depends on table "T t"
--> DETAIL view w depends on table "T t"
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
drop table if exists nope, u;
--> 2BP01 cannot drop table u because other objects depend on it
--> DETAIL view z depends on table u
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
drop table nope;
--> 42P01 table "nope" does not exist
drop table v;
--> 42809 "v" is not a table
--> HINT Use DROP VIEW to remove a view.
drop view t_pk;
--> 42809 "t_pk" is not a view
--> HINT Use DROP TABLE to remove a table.
drop index nope;
--> 42704 index "nope" does not exist
drop index if exists nope;
--> DROP INDEX
--> NOTICE index "nope" does not exist, skipping
drop index u;
--> 42809 "u" is not an index
--> HINT Use DROP TABLE to remove a table.
drop index u_pkey;
--> 42704 index "u_pkey" does not exist
drop table nope.x;
--> 3F000 schema "nope" does not exist
drop table if exists nope.x;
--> DROP TABLE
--> NOTICE schema "nope" does not exist, skipping
drop table "T t" cascade;
--> DROP TABLE
--> NOTICE drop cascades to 3 other objects
