-- ALTER TABLE as Aurora DSQL takes it.
create table p (id int primary key, u text unique, n numeric);
--> CREATE TABLE
create table t (id int primary key, p int, a int check (a > 0), b text default 'x' not null, c int, g int generated always as (a + 1) stored, constraint ab check (a < 100 and length(b) > 0), unique (b, c));
--> CREATE TABLE
insert into p values (1, 'a', 1);
--> INSERT 0 1
insert into t values (1, 1, 5, 'bb', 3);
--> INSERT 0 1
alter table t add column d text;
--> ALTER TABLE
alter table t add column if not exists d text;
--> ALTER TABLE
--> NOTICE column "d" of relation "t" already exists, skipping
alter table t add d2 int default 5;
--> 0A000 ALTER TABLE ADD COLUMN with constraint not supported
alter table t add d2 int not null;
--> 0A000 ALTER TABLE ADD COLUMN with constraint not supported
alter table t add d2 int storage plain;
--> ALTER TABLE
alter table t add d2 int;
--> 42701 column "d2" of relation "t" already exists
insert into t (id, a, c) values (2, 6, 4);
--> INSERT 0 1
select * from t;
--> 1 | 1 | 5 | bb | 3 | 6 | null | null
--> 2 | null | 6 | x | 4 | 7 | null | null
alter table t alter d set default 'dd', alter column d2 set default 7, add column d3 int, alter d3 set default 9;
--> ALTER TABLE
insert into t (id, a, c) values (3, 6, 5) returning *;
--> 3 | null | 6 | x | 5 | 7 | dd | 7 | 9
alter table t drop column a;
--> 2BP01 cannot drop column a of table t because other objects depend on it
--> DETAIL column g of table t depends on column a of table t
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
alter table t drop column a cascade;
--> ALTER TABLE
--> NOTICE drop cascades to column g of table t
select * from t;
--> 1 | 1 | bb | 3 | null | null | null
--> 2 | null | x | 4 | null | null | null
--> 3 | null | x | 5 | dd | 7 | 9
insert into t (id, c) values (4, 6) returning *;
--> 4 | null | x | 6 | dd | 7 | 9
alter table t drop column id;
--> 0A000 cannot drop primary key column id
alter table t drop column nope;
--> 42703 column "nope" of relation "t" does not exist
alter table t drop column if exists nope, drop d2, drop d3;
--> ALTER TABLE
--> NOTICE column "nope" of relation "t" does not exist, skipping
create unique index async ui on t (c);
--> CREATE INDEX
--> job completed
alter table t add constraint uq unique using index ui;
--> ALTER TABLE
--> NOTICE ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index "ui" to "uq"
alter table t add constraint uq2 unique using index uq;
--> 55000 index "uq" is already associated with a constraint
alter table t add unique (p);
--> 0A000 unsupported ALTER TABLE ADD CONSTRAINT statement
alter table t add primary key (p);
--> 0A000 unsupported ALTER TABLE ADD CONSTRAINT statement
alter table t add constraint fk foreign key (p) references p;
--> 0A000 unsupported ALTER TABLE ADD CONSTRAINT statement
alter table t add constraint fk foreign key (p) references p not valid;
--> ALTER TABLE
insert into t (id, p, c) values (5, 77, 8);
--> 23503 insert or update on table "t" violates foreign key constraint "fk"
--> DETAIL Key (p)=(77) is not present in table "p".
update t set p = 77 where id = 1;
--> 23503 insert or update on table "t" violates foreign key constraint "fk"
--> DETAIL Key (p)=(77) is not present in table "p".
alter table t add check (c > 3) not valid;
--> ALTER TABLE
update t set c = 1 where id = 1;
--> 23514 new row for relation "t" violates check constraint "t_c_check"
--> DETAIL Failing row contains (1, 1, bb, 1, null).
alter table t validate constraint fk;
--> 0A000 unsupported ALTER TABLE VALIDATE CONSTRAINT statement
alter table async t validate constraint fk;
--> ALTER TABLE
--> job completed
alter table async t validate constraint t_c_check;
--> ALTER TABLE
--> job failed check constraint "t_c_check" of relation "t" is violated by some row
alter table async t validate constraint nope;
--> 42704 constraint "nope" of relation "t" does not exist
alter table async t add column x int;
--> 0A000 ASYNC not supported for ALTER TABLE
alter table t drop constraint t_c_check, drop constraint if exists zz;
--> ALTER TABLE
--> NOTICE constraint "zz" of relation "t" does not exist, skipping
alter table t drop constraint t_pkey;
--> 0A000 unsupported ALTER TABLE DROP CONSTRAINT statement
alter table t drop constraint zz;
--> 42704 constraint "zz" of relation "t" does not exist
alter table t alter constraint fk deferrable initially deferred;
--> ALTER TABLE
alter table t alter constraint uq deferrable;
--> 42809 constraint "uq" of relation "t" is not a foreign key constraint
alter table t alter b drop not null, alter b drop default;
--> ALTER TABLE
alter table t alter b set not null;
--> 0A000 unsupported ALTER TABLE ALTER COLUMN ... SET NOT NULL statement
alter table t alter b type int;
--> 0A000 unsupported ALTER TABLE ALTER COLUMN ... SET DATA TYPE statement
alter table t alter b set data type int;
--> 0A000 unsupported ALTER TABLE ALTER COLUMN ... SET DATA TYPE statement
alter table t alter id drop not null;
--> 42P16 column "id" is in a primary key
alter table t rename column c to "C c";
--> ALTER TABLE
alter table t rename constraint fk to fk2;
--> ALTER TABLE
alter table t rename constraint uq to uqq;
--> ALTER TABLE
alter table t rename to "T";
--> ALTER TABLE
alter table "T" rename to t;
--> ALTER TABLE
select * from t;
--> 1 | 1 | bb | 3 | null
--> 2 | null | x | 4 | null
--> 3 | null | x | 5 | dd
--> 4 | null | x | 6 | dd
create index async on t (("C c" * 2)) where "C c" > 1;
--> CREATE INDEX
--> job completed
alter table t rename "C c" to cc;
--> ALTER TABLE
insert into t (id, cc) values (9, 12);
--> INSERT 0 1
alter table t enable row level security;
--> 0A000 unsupported ALTER TABLE ENABLE ROW SECURITY statement
alter table t disable trigger all;
--> ALTER TABLE
alter table t replica identity full;
--> 0A000 unsupported ALTER TABLE REPLICA IDENTITY statement
alter table t set (fillfactor = 3);
--> 0A000 unsupported ALTER TABLE SET statement
alter table t set logged;
--> 0A000 unsupported ALTER TABLE SET LOGGED statement
alter table t inherit p;
--> 0A000 unsupported ALTER TABLE INHERIT statement
alter table t cluster on x;
--> 0A000 unsupported ALTER TABLE CLUSTER ON statement
alter table nope add x int;
--> 42P01 relation "nope" does not exist
alter table if exists nope add x int;
--> ALTER TABLE
--> NOTICE relation "nope" does not exist, skipping
create table i (id bigint not null primary key, v int);
--> CREATE TABLE
alter table i alter id add generated by default as identity (cache 1);
--> ALTER TABLE
alter table i alter id set generated always set increment by 5 restart with 100;
--> ALTER TABLE
alter table i alter id drop identity;
--> ALTER TABLE
alter table i alter id drop identity if exists;
--> ALTER TABLE
--> NOTICE column "id" of relation "i" is not an identity column, skipping
alter table i alter v add generated always as identity;
--> 0A000 datatype integer not supported, identity column type must be bigint
alter table i alter id add generated always as identity (cache 1);
--> ALTER TABLE
alter table p drop column u cascade;
--> ALTER TABLE
drop table p;
--> 2BP01 cannot drop table p because other objects depend on it
--> DETAIL constraint fk2 on table t depends on table p
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
alter table t drop constraint fk2;
--> ALTER TABLE
drop table p;
--> DROP TABLE
alter index t_expr_idx rename to zzz;
--> ALTER INDEX
drop index zzz;
--> DROP INDEX
alter table t alter b set storage external;
--> ALTER TABLE
alter table t alter id set storage external;
--> 0A000 column data type integer can only have storage PLAIN, not EXTERNAL
alter table t owner to admin;
--> ALTER TABLE
alter table t set schema nope;
--> 3F000 schema "nope" does not exist
alter table t add column y serial;
--> 42704 type "serial" does not exist
