-- CREATE TABLE: constraints, generated and identity columns, LIKE, and what is refused.
create table p (id bigint primary key, u text unique nulls not distinct include (v), v int not null default null, w int default case when 1 is not null then 2 end check (w > 0) no inherit);
--> CREATE TABLE
create table if not exists p (x int);
--> CREATE TABLE
--> NOTICE relation "p" already exists, skipping
create table c (id bigint generated always as identity (cache 1 start with 5) primary key, p bigint constraint fk references p on delete cascade on update set null deferrable initially deferred, g int generated always as (id * 2) stored, check (p > id), unique (p, g), foreign key (p) references c (id) match full on delete set null (p));
--> CREATE TABLE
create table l (like c including all, extra text storage plain);
--> CREATE TABLE
create table m (like c);
--> CREATE TABLE
create table e1 (a int, b int generated always as (random()) stored);
--> 42P17 generation expression is not immutable
create table e2 (a int references nope);
--> 42P01 relation "nope" does not exist
create table e3 (a text references p);
--> 42804 foreign key constraint "e3_a_fkey" cannot be implemented
--> DETAIL Key columns "a" and "id" are of incompatible types: text and bigint.
create table e4 (a int references p (v));
--> 42830 there is no unique constraint matching given keys for referenced table "p"
create table e5 (a int unique deferrable);
--> 0A000 DEFERRABLE constraint not supported
create table e6 (a int check (a > 0) deferrable);
--> 0A000 CHECK constraints cannot be marked DEFERRABLE
create table e7 (a int) inherits (p);
--> 0A000 INHERITS clause not supported for CREATE TABLE
create table e8 (a int generated always as identity);
--> 0A000 datatype integer not supported, identity column type must be bigint
create table e9 (a bigint generated always as identity);
--> 0A000 identity column is not supported without an explicit cache size. please define CACHE greater than or equal to 65536 or equal to 1
create table e10 (a int null not null);
--> 42601 conflicting NULL/NOT NULL declarations for column "a" of table "e10"
create table e11 (a int, check (b > 1));
--> 42703 column "b" does not exist
create table e12 (a int, check (a));
--> 42804 argument of CHECK must be type boolean, not type integer
create table e13 (a int default (select 1));
--> 0A000 cannot use subquery in DEFAULT expression
create table e14 (a int, exclude using gist (a with =));
--> 0A000 EXCLUDE constraint not supported for CREATE TABLE
create table e15 (a text collate "C");
--> 0A000 COLLATE clause not supported
create table e16 (a int) partition by range (a);
--> 0A000 PARTITION BY clause not supported for CREATE TABLE
create table e17 (a int generated always as (b) stored, b int generated always as (1) stored);
--> 42P17 cannot use generated column "b" in column generation expression
--> DETAIL A generated column cannot reference another generated column.
create table "E 18" ("A b" int primary key, c varchar(3) default 'abc' not null unique);
--> CREATE TABLE
create table e19 (a numeric(1001));
--> 22023 NUMERIC precision 1001 must be between 1 and 1000
create table e20 (a int, b timestamptz default now() not null, c timestamp with time zone default current_timestamp, d double precision default 1.5e3);
--> CREATE TABLE
create table e21 (a);
--> 42601 syntax error at or near ")"
create table e22 (a int,);
--> 42601 syntax error at or near ")"
create table e23 ();
--> CREATE TABLE
create table nosuch.e24 (a int);
--> 3F000 schema "nosuch" does not exist
