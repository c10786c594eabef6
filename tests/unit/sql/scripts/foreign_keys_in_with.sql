-- Foreign keys are looked at when all parts of a WITH have written, and under views.
create table p (id int primary key, n int);
--> CREATE TABLE
create table c (id int primary key, p int references p on delete cascade);
--> CREATE TABLE
with x as (insert into p values (1, 1) returning id) insert into c select 1, id from x;
--> INSERT 0 1
with x as (insert into c values (2, 5) returning id), y as (insert into p values (5, 5) returning id) select * from x, y;
--> 2 | 5
with x as (insert into c values (3, 77) returning id) select * from x;
--> 23503 insert or update on table "c" violates foreign key constraint "c_p_fkey"
--> DETAIL Key (p)=(77) is not present in table "p".
with x as (delete from p where id = 1 returning id) select count(*) from c;
--> 2
select * from c order by id;
--> 2 | 5
with x as (insert into c values (4, 8) returning id), y as (insert into p values (8, 5) returning id) select x.id from x;
--> 4
select * from c order by id;
--> 2 | 5
--> 4 | 8
with gone as (delete from p returning id) select * from gone order by id;
--> 5
--> 8
select count(*) from c;
--> 0
create view v as select * from c where id > 0 with check option;
--> CREATE VIEW
insert into v values (9, 9);
--> 23503 insert or update on table "c" violates foreign key constraint "c_p_fkey"
--> DETAIL Key (p)=(9) is not present in table "p".
insert into p values (9, 9);
--> INSERT 0 1
insert into v values (9, 9);
--> INSERT 0 1
update v set p = 10;
--> 23503 insert or update on table "c" violates foreign key constraint "c_p_fkey"
--> DETAIL Key (p)=(10) is not present in table "p".
delete from p;
--> DELETE 1
select count(*) from v;
--> 0
