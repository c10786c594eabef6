-- Foreign keys and indexes at work.
create table p (id int primary key, u text unique, n numeric unique);
--> CREATE TABLE
create table c (id int primary key, p int references p on delete cascade on update cascade, q text default 'd' references p (u) on delete set default on update set null, g int generated always as (p * 2) stored);
--> CREATE TABLE
insert into p values (1,'a',1), (2,'b',2), (3,'d',3);
--> INSERT 0 3
insert into c values (1, 1, 'b'), (2, 2, 'a'), (3, null, null);
--> INSERT 0 3
insert into c values (4, 9, null);
--> 23503 insert or update on table "c" violates foreign key constraint "c_p_fkey"
--> DETAIL Key (p)=(9) is not present in table "p".
insert into c values (4, 1, 'zz');
--> 23503 insert or update on table "c" violates foreign key constraint "c_q_fkey"
--> DETAIL Key (q)=(zz) is not present in table "p".
update c set p = 7 where id = 1;
--> 23503 insert or update on table "c" violates foreign key constraint "c_p_fkey"
--> DETAIL Key (p)=(7) is not present in table "p".
select * from c order by id;
--> 1 | 1 | b | 2
--> 2 | 2 | a | 4
--> 3 | null | null | null
update p set id = 20 where id = 2;
--> UPDATE 1
select * from c order by id;
--> 1 | 1 | b | 2
--> 2 | 20 | a | 40
--> 3 | null | null | null
update p set u = 'bb' where u = 'b';
--> UPDATE 1
select * from c order by id;
--> 1 | 1 | null | 2
--> 2 | 20 | a | 40
--> 3 | null | null | null
delete from p where id = 1;
--> DELETE 1
select * from c order by id;
--> 2 | 20 | d | 40
--> 3 | null | null | null
select * from p order by id;
--> 3 | d | 3.000000
--> 20 | bb | 2.000000
create table r (id int primary key, p int references p on delete restrict, self int references r);
--> CREATE TABLE
insert into r values (1, 20, 2), (2, 3, 1);
--> INSERT 0 2
delete from p where id = 3;
--> 23503 update or delete on table "p" violates foreign key constraint "r_p_fkey" on table "r"
--> DETAIL Key (id)=(3) is still referenced from table "r".
update p set id = 21 where id = 20;
--> 23503 update or delete on table "p" violates foreign key constraint "r_p_fkey" on table "r"
--> DETAIL Key (id)=(20) is still referenced from table "r".
delete from r where id = 1;
--> 23503 update or delete on table "r" violates foreign key constraint "r_self_fkey" on table "r"
--> DETAIL Key (id)=(1) is still referenced from table "r".
delete from r;
--> DELETE 2
delete from p where id = 3;
--> 23503 update or delete on table "p" violates foreign key constraint "c_q_fkey" on table "c"
--> DETAIL Key (u)=(d) is still referenced from table "c".
create table d (id int primary key, p int constraint dfk references p deferrable initially deferred);
--> CREATE TABLE
insert into d values (1, 77);
--> INSERT 0 1
commit;
--> 23503 insert or update on table "d" violates foreign key constraint "dfk"
--> DETAIL Key (p)=(77) is not present in table "p".
delete from d;
--> DELETE 1
insert into d values (1, 78);
--> INSERT 0 1
insert into p values (78, 'x', 5);
--> INSERT 0 1
commit;
--> COMMIT
create table mf (a int, b text, foreign key (a, b) references nope (a, b));
--> 42P01 relation "nope" does not exist
create table two (a int, b text, unique (b, a));
--> CREATE TABLE
create table mf (x int, y text, foreign key (x, y) references two (a, b) match full on delete set null (y));
--> CREATE TABLE
insert into two values (1, 'one');
--> INSERT 0 1
insert into mf values (1, null);
--> 23503 insert or update on table "mf" violates foreign key constraint "mf_x_y_fkey"
--> DETAIL MATCH FULL does not allow mixing of null and nonnull key values.
insert into mf values (1, 'one'), (null, null);
--> INSERT 0 2
insert into mf values (2, 'one');
--> 23503 insert or update on table "mf" violates foreign key constraint "mf_x_y_fkey"
--> DETAIL Key (x, y)=(2, one) is not present in table "two".
delete from two;
--> 23503 insert or update on table "mf" violates foreign key constraint "mf_x_y_fkey"
--> DETAIL MATCH FULL does not allow mixing of null and nonnull key values.
insert into c (g) values (3);
--> 428C9 cannot insert a non-DEFAULT value into column "g"
--> DETAIL Column "g" is a generated column.
update c set g = 4;
--> 428C9 column "g" can only be updated to DEFAULT
--> DETAIL Column "g" is a generated column.
update c set g = default;
--> UPDATE 2
create unique index async on c (lower(q)) where p > 0;
--> CREATE INDEX
--> job completed
create index async ie on c ((p + 1) nulls first, q) include (g);
--> CREATE INDEX
--> job completed
insert into c values (10, 20, 'x');
--> INSERT 0 1
insert into c values (11, 20, 'X');
--> 23505 duplicate key value violates unique constraint "c_lower_idx"
--> DETAIL Key (lower(q))=(x) already exists.
insert into c values (11, 20, 'X') on conflict (lower(q)) where p > 0 do update set id = 12 returning *;
--> 12 | 20 | x | 40
insert into c values (11, 20, 'X') on conflict (lower(q)) do nothing;
--> 42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification
select * from c;
--> 2 | 20 | d | 40
--> 3 | null | null | null
--> 12 | 20 | x | 40
create unique index async nn on c (p) nulls not distinct;
--> CREATE INDEX
--> job failed Found duplicate key while validating index for UCVs
drop index nn;
--> DROP INDEX
drop table p;
--> 2BP01 cannot drop table p because other objects depend on it
--> DETAIL constraint c_p_fkey on table c depends on table p
--> DETAIL constraint c_q_fkey on table c depends on table p
--> DETAIL constraint r_p_fkey on table r depends on table p
--> DETAIL constraint dfk on table d depends on table p
--> HINT Use DROP ... CASCADE to drop the dependent objects too.
drop table p cascade;
--> DROP TABLE
--> NOTICE drop cascades to 4 other objects
insert into c values (50, 999, 'qqq');
--> INSERT 0 1
drop index c_lower_idx;
--> DROP INDEX
