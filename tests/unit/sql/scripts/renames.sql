-- Renames go through checks, indexes and the queries of views.
create table t (id int primary key, a int, b text);
--> CREATE TABLE
create table u (id int primary key, tid int references t);
--> CREATE TABLE
create view v as select * from t;
--> CREATE VIEW
create view w as select x.a + 1 as plus, a, upper(b) from t x where x.b like 'k%' and exists (select 1 from t where a = x.a);
--> CREATE VIEW
create view z as select t.a, u.id from t join u on u.tid = t.id order by t.a;
--> CREATE VIEW
create view y as with q as (select a, b from t) select q.a, (select max(a) from t) from q group by a, b having max(b) > 'a';
--> CREATE VIEW
insert into t values (1, 5, 'kk'), (2, 6, 'q');
--> INSERT 0 2
insert into u values (1, 1);
--> INSERT 0 1
alter table t rename a to aa;
--> ALTER TABLE
select * from v;
--> 1 | 5 | kk
--> 2 | 6 | q
select * from w;
--> 6 | 5 | KK
select * from z;
--> 5 | 1
select * from y;
--> 5 | 6
--> 6 | 6
alter table t rename to "T t";
--> ALTER TABLE
select * from v;
--> 1 | 5 | kk
--> 2 | 6 | q
select * from w;
--> 6 | 5 | KK
select * from z;
--> 5 | 1
select * from y;
--> 5 | 6
--> 6 | 6
alter table "T t" rename b to "x Y";
--> ALTER TABLE
select plus, a, upper from w;
--> 6 | 5 | KK
select a, b from v;
--> 5 | kk
--> 6 | q
create index async on "T t" (lower("x Y")) where aa > 1;
--> CREATE INDEX
--> job completed
alter table "T t" rename "x Y" to bb;
--> ALTER TABLE
insert into "T t" values (3, 5, 'kkk');
--> INSERT 0 1
select * from w;
--> 6 | 5 | KK
--> 6 | 5 | KKK
alter table u rename to uu;
--> ALTER TABLE
select * from z;
--> 5 | 1
select a from z where id = 1;
--> 5
alter table "T t" alter aa set default 5;
--> ALTER TABLE
alter table "T t" add c text;
--> ALTER TABLE
select * from v;
--> 1 | 5 | kk
--> 2 | 6 | q
--> 3 | 5 | kkk
