-- One statement a line; parser_oracle compares what we and PostgreSQL's own parser (libpg_query) say to each:
-- accepted or not, and if not, in which words and at which position. A line "-- refused: why" before a
-- statement says that PostgreSQL takes it and we do not, on purpose.
select
select 1
select 1;
select 1; select 2;
;;; select 1 ;;
select 1 as one, 2 two, 3 as "Three", 4 as select
select 1 select
select 1 over
select 1 as over
select 1 day
select a b c
select *
select * from t
select t.* from t
select s.t.* from s.t
select c.s.t.* from c.s.t
select c.s.t.a from c.s.t
-- refused: analysis raises the same
select a.b.c.d.e from t
select *.a from t
select a.*.b from t
select (t).a, (t).*, (t.a).b, (t.a[1]).b from t
select a[1], a[1:2], a[:2], a[1:], a[:], a[1][2], t.a[1] from t
select $1, $2::int, $1[1]
-- refused: analysis raises the same
select $0
select $1a
select 1.5, .5, 5., 1e10, 1.5e-3, 5.e3, .5e+3
select 1e
select 1e+
select 123abc
select 1.5x
select 0x10
select 1_000
select 1..2
select a from t where b between 1 and 2 and c
select 'a''b', E'a\'b\n', $$x$$, $tag$a$$b$tag$, B'0101', X'1F', N'abc'
select 'abc
select E'abc\'
select $$abc
select $a$abc$b$
select "abc
select ""
-- refused: analysis raises the same
select B'012'
-- refused: analysis raises the same
select X'0G'
select 'a' 'b'
select E'\u00e9 \U0001F600 \x41 \101'
select E'\u00'
select U&'abc'
select /* a /* nested */ comment */ 1 -- and more
select /* unterminated
select 1 --
select + 1, - 1, - - 1, -(-1), +-1, a - -1
select 1+2*3-4/5%6^7
select a <> b, a != b, a <= b, a >= b, a => b
select a < b < c
select a = b = c
select (a < b) = (c > d)
select @ -5, |/ 25, ||/ 27, !! 5, ~ 1
select a || b || c, a # b, a & b | c, a << 1, a >> 2
select a @> b, a <@ b, a -> 'b', a ->> 'b', a #> b, a ?| b, a && b
select a *- b
select a @- b
select a OPERATOR(pg_catalog.+) b, OPERATOR(pg_catalog.-) a, a operator(s.t.+) b
select 5 !
select 5 ! = 3
select not true, not not false, not a = b, not a is null
select a and b or c and not d
select a is null, a is not null, a isnull, a notnull
select a is true, a is not true, a is false, a is not false, a is unknown, a is not unknown
select a is distinct from b, a is not distinct from b
select a is document, a is not document, a is normalized, a is nfc normalized
select a is json
select a between 1 and 2, a not between 1 and 2, a between symmetric 2 and 1, a between asymmetric 1 and 2
select a between 1 and 2 or b between 3 and 4
select a not in (1, 2), a in (select 1), a in ((select 1)), (a, b) in ((1, 2), (3, 4))
select a in ()
select a like 'x', a not like 'x', a like 'x' escape '!', a ilike 'x', a not ilike 'x' escape '!', a similar to 'x', a not similar to 'x' escape '!'
select a like any (array['a']), a not like all (array['b']), a ilike some (select 1)
select a = any (array[1, 2]), a <> all (select 1), a > some (select 1), a = any ('{1,2}')
select a ~ 'x', a !~ 'x', a ~* 'x', a !~* 'x', a ~~ 'x', a !~~ 'x'
select exists (select 1), not exists (select 1), exists (values (1))
select (select 1), (select 1) + 1, array(select 1), (select array[1])[1], ((select 1))
select array[1, 2], array[[1, 2], [3, 4]], array[]::int[], array[array[1], array[2]]
select row(1, 2), row(), (1, 2), (1, 2) = (3, 4), row(1, 2) is null, row(t.*)
select (1, 2)
select (1), ((1)), (((1 + 2)))
select ()
select case when a then b end, case a when 1 then 2 else 3 end, case when a then b when c then d else e end
select case end
select case a end
select case when a then b
select coalesce(a), coalesce(a, b), nullif(a, b), greatest(a, b, c), least(a)
select coalesce(), nullif(a)
select cast(a as int), a::int, a::int::text, cast(a as varchar(10)), '1'::int8, (1)::text, -1::int, -a::int
select int '1', int4 '1', date '2020-01-01', timestamp '2020-01-01', timestamp with time zone '2020-01-01', timestamp without time zone 'x', time '10:00', time with time zone '10:00'
select timestamp(3) 'x', timestamp(3) with time zone 'x', varchar(3) 'abcd', char 'a', char(3) 'a', bpchar 'x', numeric(10,2) '1.5', float '1', double precision '1', real '1', bool 't', bit '1', bit(3) '101', bit varying '1'
select interval '1', interval '1' day, interval '1-2' year to month, interval '1' second, interval '1' second(3), interval(3) '1', interval '1 2' day to hour, interval '1' day to second(2), interval '1' hour to minute
select interval '1' month to day
select pg_catalog.int4 '1', s.t '1', mytype(1, 2) 'x', mytype(a => 1) 'x'
select json '{}', jsonb '{}'
select a::int[], a::int[3], a::int[][], a::int array, a::int array[3], a::setof int, a::timestamp with time zone, a::interval day to second, a::double precision, a::national character varying(10), a::nchar(3), a::dec(3), a::decimal(3,1)
select a::float(1), a::float(24), a::float(25), a::float(53)
select a::float(0)
select a::float(54)
select a::int(3)
select a::text(3), a::s.t(3)
select a::t%type
select a collate "C", a collate pg_catalog."default", a || b collate "x"
select a at time zone 'utc', a at time zone 'x' at time zone 'y', a + b at time zone 'c'
select count(*), count(distinct a), count(all a), sum(a order by b desc), string_agg(distinct a, ',' order by a), count(*) filter (where a > 1), s.f(1), f(), f(a => 1, b := 2), f(variadic array[1]), f(1, variadic a)
select count(distinct *)
select f(a b)
select f(distinct)
select f(1,)
select percentile_cont(0.5) within group (order by a), rank() over (), sum(a) over (partition by b order by c), sum(a) over w, sum(a) over (w rows between unbounded preceding and current row), sum(a) over (order by b range between 1 preceding and 1 following exclude ties), sum(a) over (groups 1 preceding exclude no others) from t window w as (partition by x), w2 as (w order by y)
select sum(a) over (partition b)
select lag(a) over (order by b rows unbounded preceding)
select extract(year from a), extract(epoch from a), extract('dow' from a), extract(isoyear from a), extract(second from a)
select extract(a)
select substring(a from 1), substring(a from 1 for 2), substring(a for 2), substring(a for 2 from 1), substring(a, 1, 2), substring(a similar b escape c), substring(), substring('x' from 'y')
select trim(a), trim(both from a), trim(both 'x' from a), trim(leading 'x' from a), trim(trailing from a), trim('x' from a), trim(a, 'x')
select position('a' in b), position(a || b in c), overlay(a placing b from 1), overlay(a placing b from 1 for 2), overlay(a, b, c)
select position(a in b in c)
select normalize(a), treat(a as int)
-- refused: normalize's form and collation for
select normalize(a, nfc)
select collation for (a)
select current_date, current_time, current_time(3), current_timestamp, current_timestamp(3), localtime, localtime(3), localtimestamp, localtimestamp(2), current_user, current_role, session_user, user, current_catalog, current_schema
select current_date()
select current_schema(), current_schemas(true)
select now(), pg_catalog.now(), version()
select left('a', 1), right('a', 1), "left"(a, 1), "substring"(a, 1)
select values from t
select value, name, type, key, action, data, level, text, year, day, second from t
select user.a from t
select t.user, t.select, t.order from t
select interval from t
select interval
select int from t
select a as int, b int, c as interval from t
select coalesce from t
select between from t
select overlaps from t
select (a, b) overlaps (c, d), row(a, b) overlaps row(c, d)
select left from t
select grouping(a, b)
-- refused: XML
select xmlelement(name a)
select * from a, b, c
select * from a join b on a.x = b.x
select * from a join b using (x, y)
select * from a join b using (x) as j
select * from a inner join b on true left join c on true right outer join d on true full join e on true cross join f natural join g natural left join h
select * from a join b
select * from a join b join c on x on y
select * from a left join b
select * from a natural join b on true
select * from a cross join b on true
select * from (a join b on true)
select * from (a join b on true) as j
select * from (a join b on true) as j (x, y)
select * from (a)
select * from ((a join b on true) join c on true)
select * from (select 1) as x, (select 2) y (a, b), (values (1, 2), (3, 4)) as v (c, d)
select * from (select 1)
select * from lateral (select 1) as x, lateral f(1) as y
select * from f(1), f(1) as x, f(1) x (a, b), f(1) as x (a int, b text), f(1) as (a int), f(1) with ordinality, f(1) with ordinality as x (a, n)
select * from generate_series(1, 10) as g, generate_series(1, 10) g (i)
select * from rows from (f(1), g(2)) with ordinality as x
select * from s.f(1), current_date, current_user as u, coalesce(1, 2)
select * from only t, only (t), t *
select * from t as x (a, b), s.t x, t "X"
select * from t x y
select * from t as select
select * from t left
select * from t left join u using (a)
select * from t natural
select * from t tablesample system (10) repeatable (1)
select * from
select * from where
select * where true
select from t
select 1 from t where
select a from t where a group by a
select a from t group by a, b + 1, (c), (d, e), ()
select a from t group by
select a from t group by rollup (a, b), cube (a), grouping sets ((a), (b), ())
select a from t group by all a
select a from t group by distinct a
select a from t group by a having count(*) > 1
select a from t having true
select distinct a from t
select distinct on (a, b) a, c from t
select distinct on () a from t
select all a from t
select distinct
select a from t order by a, 1, b desc, c asc nulls first, d desc nulls last, e using <, f using operator(pg_catalog.>)
select a from t order by a nulls
select a from t order by
select a from t limit 1
select a from t limit 1 offset 2
select a from t offset 2 limit 1
select a from t offset 2 rows limit 1
select a from t limit all
select a from t limit null offset null
select a from t limit 1, 2
select a from t limit 1 limit 2
select a from t limit $1 offset $2 + 1
select a from t fetch first row only
select a from t fetch first 5 rows only
select a from t fetch next (1 + 1) rows only
select a from t order by a fetch first 5 rows with ties
select a from t fetch first 5 rows with ties
select a from t offset 5 rows fetch next 5 rows only
select a from t for update
select a from t for update of t nowait
select a from t for no key update skip locked for share of s.t, u
select a from t for key share
select a from t for read only
select a from t for update limit 1
select a from t limit 1 for update
select a from t order by a for update
select a from t for update order by a
select a union select b
select a union all select b except select c intersect select d
select a union distinct select b
select a union select b union select c order by 1 limit 5
(select a) union (select b)
(select a limit 1) union all (select b order by 1) order by 1
(select a)
((select a))
((select a) limit 1)
(select a order by 1) order by 2
(select a limit 1) limit 2
select a limit 1 union select b
select a order by 1 union select b
values (1)
values (1, 2), (3, default)
values
values ()
values (1) union values (2)
values (1), (2) order by 1 limit 1
table t
table only t
table s.t order by 1
with a as (select 1) select * from a
with recursive a (n) as (values (1) union all select n + 1 from a where n < 10), b as (select 2) select * from a, b
with a as materialized (select 1), b as not materialized (select 2) select 1
with a as (insert into t values (1) returning *), b as (update t set a = 1 returning a), c as (delete from t returning 1) select * from a
with a as (select 1) insert into t select * from a
with a as (select 1) update t set x = 1
with a as (select 1) delete from t
with a as (select 1) (select 2)
with a as (select 1) with b as (select 2) select 3
with a as select 1 select 2
with time as (select 1) select * from time
with ordinality as (select 1) select 2
with recursive as (select 1) select 2
select (with a as (select 1) select * from a)
with a as (select 1) values (2)
select 1 into t
select 1 into temp t
select 1 into table t from u
select 1 into temporary table t union select 2
select 1 into unlogged t
insert into t values (1)
insert into t values (1, 2), (3, 4)
insert into t (a, b) values (1, default)
insert into t (a, b.c, d[1]) values (1, 2, 3)
insert into t () values ()
insert into t default values
insert into t (a) default values
insert into t select * from u
insert into t (a) select 1 union select 2
insert into t (select 1)
insert into t ((select 1))
insert into t (a) (select 1)
insert into t table u
insert into t as x values (1) returning x.a as b, *
insert into t x values (1)
insert into s.t values (1) returning 1 + 1
insert into t overriding system value values (1)
insert into t (a) overriding user value select 1
insert into t values (1) on conflict do nothing
insert into t values (1) on conflict (a) do nothing
insert into t values (1) on conflict (a, lower(b), (c + d), e collate "C" text_ops) where f > 1 do update set a = 1, (b, c) = (1, 2) where t.a > excluded.a returning *
insert into t values (1) on conflict on constraint t_pkey do update set a = excluded.a
insert into t values (1) on conflict do update set a = 1
insert into t values (1) on conflict (a) do update
insert t values (1)
insert into values (1)
insert into t
insert into t values
insert into t values 1
insert into t set a = 1
with x as (select 1) insert into t values (1)
update t set a = 1
update t set a = 1, b = default, c = c + 1 where d = 1
update only t set a = 1
update t * set a = 1
update t x set a = 1 from u where x.a = u.a returning x.*
update t as x set a = 1
update t set set a = 1
update set set set = 1
update t set (a, b) = (1, 2)
update t set (a, b) = row(1, 2)
update t set (a, b) = (select 1, 2)
update t set (a, b) = (default, default)
update t set (a) = (1)
update t set (a) = row(1)
-- refused: analysis raises the same
update t set (a, b) = (1, 2, 3)
update t set a.b = 1, c[1] = 2
update t set t.a = 1
update t set a = 1 where current of c
update t set
update t
update t set a
update t set a = 1 where
update t set a = 1 order by a
update t set a = 1 limit 1
update pgbench_accounts set abalance = abalance + -1234 where aid = 12345
delete from t
delete from t where a = 1
delete from only t as x using u, v where x.a = u.a returning *
delete from t where current of c
delete t
delete from t u where u.a = 1
delete from
delete from t order by a
create table t ()
create table t (a int)
create table t (a int, b text, c varchar(10), d numeric(10, 2), e timestamp with time zone, f double precision, g int[], h "My Type", i s.t, j char, k char(5))
create table if not exists s.t (a int)
create temp table t (a int)
create temporary table t (a int) on commit drop
create local temporary table t (a int) on commit delete rows
create global temp table t (a int) on commit preserve rows
create unlogged table t (a int)
create table t (a int primary key)
create table t (a int not null, b int null, c int unique, d int default 5, e int default 1 + 2 not null, f int check (f > 0), g int references u, h int references u (x) match full on delete cascade on update set null)
create table t (a int constraint x not null constraint y check (a > 1) constraint z unique)
create table t (a int default (1), b text default 'x' || 'y', c text default 'x'::text, d timestamp default now(), e timestamp default current_timestamp, f bool default not true)
create table t (a int default a in (1))
create table t (a int, primary key (a))
create table t (a int, b int, constraint pk primary key (a, b), unique (a), constraint u unique (a, b), check (a > b), constraint c check (a > 0) no inherit, foreign key (a) references u, constraint f foreign key (a, b) references s.u (x, y) on delete restrict on update no action deferrable initially deferred)
create table t (a int, foreign key (a) references u on delete set default on update cascade)
create table t (a int references u on delete set null (a))
create table t (a int, check (a > 1) not valid)
create table t (a int unique deferrable initially immediate, b int primary key not deferrable)
create table t (a int unique nulls not distinct, unique nulls distinct (a))
create table t (a int primary key with (fillfactor = 70), b int unique using index tablespace x)
-- refused: analysis raises the same
create table t (a int not null deferrable)
create table t (a int, primary key (a) not valid)
-- refused: analysis raises the same
create table t (a int deferrable)
create table t (a int, unique (a) include (b))
create table t (a int generated always as identity, b int generated by default as identity (start 5 increment by 2), c int generated always as (a + 1) stored)
create table t (c int generated by default as (a + 1) stored)
create table t (a text collate "C" not null)
create table t (like u)
create table t (like s.u including all excluding defaults, a int, like v including constraints including indexes)
create table t (a int) with (fillfactor = 70, autovacuum_enabled = false, toast.x = 1)
create table t (a int) with (fillfactor)
create table t (a int) without oids
create table t (a int) using heap
create table t (a int) tablespace x
create table t (a int) inherits (u, v)
create table t (a int) partition by range (a)
create table t (a int) partition by list (a, lower(b))
-- refused: partitions
create table t partition of u for values in (1)
-- refused: typed tables
create table t of s
create table t (a int, exclude using gist (a with =))
create table t (a int,)
create table t (a)
create table t (int)
create table t (a int b)
create table t (a int primary)
create table t (a int check)
create table t (a int check a > 0)
create table t (user int)
create table t (name text, value int, key int, type text, date date, time time, text text, user_id int)
create table select (a int)
create table t a int
create table t (a int) on commit
create table "T" ("A" int)
create table t (a serial, b bigserial)
create table t (a int4range, b timestamptz(3), c interval day to second, d bit(3), e bit varying(5))
create table t as select 1
create table t (a, b) as select 1, 2
create temp table t as select 1 with no data
create table if not exists t as values (1) with data
create table t as table u
create table t as execute p (1)
create table t with (fillfactor = 10) on commit drop as select 1
create unlogged table t as (select 1)
create table t (a int) as select 1
create materialized view v as select 1
create materialized view if not exists v as select 1 with no data
create index on t (a)
create index i on t (a)
create unique index i on s.t (a, b desc, c asc nulls first, lower(d), (e + f), g collate "C", h text_pattern_ops desc nulls last)
create index concurrently i on t (a)
create index concurrently on t (a)
create index if not exists i on t (a)
create index if not exists on t (a)
create index i on t using btree (a) include (b, c) with (fillfactor = 70) where a > 1
create index i on t using gin (a jsonb_path_ops (x = 1))
create unique index i on t (a) nulls not distinct
create index i on t (a) tablespace x
create index i on only t (a)
create index i on t (a + b)
create index i on t ()
create index i t (a)
create unique i on t (a)
create view v as select 1
create or replace view v (a, b) as select 1, 2
create temp view v as select 1 with check option
create view v with (security_barrier) as select 1 with local check option
create recursive view v (n) as values (1)
create or replace temp recursive view v (n) as select 1
create view v as values (1)
create view v
create or replace table t (a int)
create schema s
create schema if not exists s authorization u
create schema authorization u
create schema authorization current_user
-- refused: schema elements
create schema s create table t (a int)
create sequence s
create temp sequence if not exists x.s as int increment by 2 minvalue 1 maxvalue 100 start with 5 cache 10 cycle owned by t.a
create sequence s increment -1 no minvalue no maxvalue no cycle owned by none restart
alter sequence s restart with 5
alter sequence if exists s increment 5 owned by a.b.c
alter sequence s owner to u
alter sequence s rename to t
alter sequence s set schema x
alter sequence s
create database d
create database d with owner = u template t0 encoding 'utf8' connection limit 5 lc_collate 'C' is_template = true
create database d owner default
create role r
create role r with login superuser password 'x' createdb createrole inherit nologin noinherit connection limit -1 valid until 'x' in role a, b role c admin d
create user u password null
create user u with encrypted password 'x'
create group g
create role r nonsense
create role current_user
alter role r login
alter user r with password 'x' nosuperuser
alter role r set search_path to a, b
alter role r in database d set x = 1
alter role all reset all
alter role r rename to s
alter role r in role x
create type e as enum ('a', 'b')
create type s.e as enum ()
-- refused: types other than enum
create type t as (a int)
-- refused: types other than enum
create type t
drop table t
drop table if exists t, s.u cascade
drop table t restrict
drop index i
drop index concurrently if exists i
drop view v, w cascade
drop materialized view v
drop sequence s
drop schema s, t cascade
drop schema if exists s
drop type t
drop database d
drop database if exists d with (force)
drop database d (force)
drop role r, s
drop user if exists u
drop group g
drop extension if exists x
drop table
drop tables t
drop t
drop function f
drop owned by u
alter table t add column a int
alter table t add a int not null default 5, add column if not exists b text
alter table t add if not exists a int
alter table t add primary key (a)
alter table t add constraint c primary key (a, b)
alter table t add unique (a), add constraint x check (a > 0) not valid
alter table t add constraint x unique using index i
alter table t add primary key using index i deferrable
alter table t add foreign key (a) references u (b) on delete cascade
alter table t add constraint x foreign key (a) references u not valid
alter table t drop a
alter table t drop column a cascade, drop column if exists b restrict
alter table t drop constraint c
alter table t drop constraint if exists c cascade
alter table t validate constraint c
alter table t alter constraint c deferrable initially deferred
alter table t alter a type int, alter column b set data type text collate "C" using b::text || 'x'
alter table t alter a set default 1 + 2, alter b drop default, alter c set not null, alter d drop not null
alter table t alter a set statistics 100, alter b set storage external, alter c set (n_distinct = 5)
alter table t alter a add generated always as identity, alter b drop identity if exists, alter c drop expression
alter table t rename to u
alter table t rename a to b
alter table t rename column a to b
alter table t rename constraint a to b
alter table if exists t rename to u
alter table only t add column a int
alter table t owner to u
alter table t set schema s
alter table t set (fillfactor = 70)
alter table t reset (fillfactor)
alter table t set tablespace x
alter table t set logged, set unlogged, set without cluster, set without oids, cluster on i
alter table t inherit u, no inherit v
alter table t enable trigger x, disable trigger all, enable row level security
alter table t replica identity full
alter table t replica identity using index i
alter table t attach partition p for values in (1)
alter table t
alter table t add
alter index i rename to j
alter index if exists i set (fillfactor = 70)
alter view v rename to w
alter view v alter a set default 1
alter view v rename column a to b
alter view v owner to u
alter schema s rename to t
alter schema s owner to u
alter database d rename to e
alter database d owner to u
alter database d set x = 1
alter database d reset all
alter database d with connection limit 5
-- refused: tablespaces
alter database d set tablespace x
alter system set x = 1
alter system set x to 'a', 'b'
alter system reset x
alter system reset all
alter type t rename to u
alter type t owner to u
alter type t add value 'x'
alter type s.t add value if not exists 'x' before 'y'
alter type t add value 'x' after 'y'
alter type t rename value 'a' to 'b'
-- refused: ALTER TYPE's attributes
alter type t add attribute x int
truncate t
truncate table only t, u restart identity cascade
truncate t continue identity restrict
truncate
comment on table t is 'x'
comment on column t.a is null
comment on column s.t.a is 'x'
comment on constraint c on t is 'x'
comment on database d is 'x'
comment on schema s is 'x'
comment on index i is 'x'
comment on role r is 'x'
comment on function f(int) is 'x'
begin
begin work
begin transaction isolation level serializable, read only, deferrable
begin isolation level read committed read write not deferrable
begin isolation level repeatable read
begin isolation level read uncommitted
begin isolation level snapshot
start transaction
start transaction read only
start
commit
commit work and chain
commit transaction and no chain
end
end work
rollback
rollback work
rollback to s
rollback to savepoint s
rollback transaction to savepoint s
rollback and chain
abort
abort work
savepoint s
savepoint
release s
release savepoint s
prepare transaction 'x'
commit prepared 'x'
rollback prepared 'x'
set x = 1
set x to 1
set x = 'a', b, 5, true, on, off, -1.5
set x to default
set local x = 1
set session x = 1
set a.b = 1
set a.b.c to 'x'
set x from current
set time zone 'utc'
set time zone local
set time zone default
set time zone -7
set time zone utc
set time zone interval '-08:00' hour to minute
set names 'utf8'
set names
set role r
set role none
set session authorization u
set session authorization default
set schema 's'
set transaction isolation level serializable
set transaction read only, isolation level repeatable read
set transaction snapshot 'x'
set local transaction read only
set session characteristics as transaction isolation level read committed
set constraints all deferred
set constraints a, s.b immediate
set
set x
set x =
set timezone to 'utc'
set search_path to public, "$user"
set standard_conforming_strings = on
reset x
reset all
reset a.b
reset time zone
reset session authorization
reset transaction isolation level
show x
show all
show a.b
show time zone
show transaction isolation level
show session authorization
show
discard all
discard plans
discard sequences
discard temp
discard temporary
discard
copy t from stdin
copy t (a, b) from stdin
copy t to stdout
copy s.t to '/tmp/x'
copy t from '/tmp/x' with (format csv, header true, delimiter ';', null 'x', quote '"', escape '\', encoding 'utf8')
copy t from stdin (format text)
copy t to stdout (force_quote (a, b), force_quote *)
copy t from stdin (freeze, header match, x default)
copy t from stdin with binary
copy binary t from stdin
copy t from stdin delimiters 'x'
copy t from stdin using delimiters 'x'
copy t from stdin with delimiter as ',' null as '' csv header quote as '"' escape '"' force not null a, b force null c
copy t to stdout csv force quote *
copy t to stdout with csv force quote a, b encoding 'x'
copy t from stdin where a > 1
copy t to stdout where a > 1
copy (select 1) to stdout
copy (values (1)) to stdout with csv
copy (insert into t values (1) returning *) to stdout
copy (select 1) from stdin
copy t from program 'x'
copy t from program stdin
copy t from stdin freeze
copy t
explain select 1
explain analyze select 1
explain analyze verbose select 1
explain verbose select 1
explain (analyze, verbose off, costs false, format json, buffers 1) select 1
explain (analyze true) insert into t values (1)
explain update t set a = 1
explain delete from t
explain create table t as select 1
explain execute p (1)
explain declare c cursor for select 1
explain create table t (a int)
explain explain select 1
explain (select 1)
explain
explain analyze
prepare p as select 1
prepare p (int, text, varchar(10)) as select $1, $2
prepare p as insert into t values ($1)
prepare p as update t set a = $1
prepare p as delete from t where a = $1
prepare p as create table t (a int)
prepare p
execute p
execute p (1, 'a', 1 + 1)
execute p ()
deallocate p
deallocate prepare p
deallocate all
deallocate prepare all
declare c cursor for select 1
declare c binary insensitive no scroll cursor with hold for select 1
declare c scroll asensitive cursor without hold for values (1)
declare c cursor for insert into t values (1)
fetch c
fetch next from c
fetch prior in c
fetch first c
fetch last from c
fetch absolute -1 from c
fetch relative 5 c
fetch 5 c
fetch -5 from c
fetch all c
fetch forward c
fetch forward 5 from c
fetch forward all in c
fetch backward c
fetch backward 5 c
fetch backward all from c
fetch from c
move 5 in c
move c
fetch
close c
close all
lock t
lock table t, only u in access share mode
lock t in row share mode nowait
lock t in row exclusive mode
lock t in share update exclusive mode
lock t in share mode
lock t in share row exclusive mode
lock t in exclusive mode
lock t in access exclusive mode
lock t in mode
vacuum
vacuum t
vacuum full t
vacuum full freeze verbose analyze t (a, b), u
vacuum verbose
vacuum analyze t
vacuum (analyze, verbose, parallel 2) t
analyze
analyze t
analyze verbose t (a)
analyze (verbose) t, u
analyse t
checkpoint
reindex table t
reindex index concurrently i
reindex (verbose) schema s
reindex database d
reindex system d
cluster
cluster t
cluster verbose t using i
listen x
notify x
notify x, 'payload'
unlisten x
unlisten *
do 'x'
do $$ begin end $$
do language plpgsql 'x'
do 'x' language 'plpgsql'
call f()
call f(1, a => 2)
call f
grant select on t to u
grant select, insert (a, b), update on table t, s.u to u, public with grant option
grant all on t to u
grant all privileges on all tables in schema s to u
grant usage on schema s to u
grant usage, select on sequence s to u
grant connect on database d to u
grant a, b to c
grant a to c with admin option
grant usage on type t to u
revoke select on t from u
revoke grant option for all on t from u cascade
revoke a from b
revoke all on t from public restrict
-- refused: functions' privileges
grant execute on function f(int) to u
create function f() returns int as 'x' language sql
create or replace function f(a int default 1, out b text) returns setof t as $$ select 1; $$ language sql immutable
create trigger x before insert on t for each row execute function f()
create extension x
create extension if not exists x with schema s
create domain d as int check (value > 0)
create domain s.d numeric(10, 2) not null default 0 constraint c check (value > 0)
alter domain d set default 1
alter domain d drop not null
alter domain d add constraint c check (value < 5) not valid
alter domain d drop constraint if exists c cascade
alter domain d rename to e
drop domain if exists d, e cascade
comment on domain d is 'x'
create rule r as on insert to t do instead (select 1; select 2)
create policy p on t
create aggregate a (int) (sfunc = f, stype = int)
create operator + (leftarg = int)
create cast (a as b) with function f(a)
create collation c (locale = 'x')
create publication p for all tables
create statistics s on a, b from t
create tablespace x location 'y'
create event trigger x on y execute function f()
create foreign table t (a int) server s
create text search configuration x (copy = y)
create user mapping for u server s
create language x
create access method x type table handler y
alter function f() owner to u
alter default privileges grant select on tables to u
drop trigger x on t
drop domain d
merge into t using u on t.a = u.a when matched then delete
refresh materialized view v
security label on table t is 'x'
reassign owned by a to b
load 'x'
import foreign schema s from server x into y
nonsense
nonsense 1
select 1 nonsense nonsense
select 1 2
1
select 'x' 1
selec 1
select a,, b
select (1
select 1)
select [1]
select a.
select .a
select a::
select a b.c
select \ 1
select {a}
select a ? b
select a;b
select @
select 1 +
select * 1
select from
select a from t as
select a from t where a ==  1
select a from t where a =- 1
select a -- comment
select 'é', "é", é, '日本語' from 日本
select é é é
select 日本 日本 from x y z
select a.b.c(1)
select 99999999999999999999, -9223372036854775808, 2147483648, -2147483648
-- refused: there are no more than 65,535
select $1::int[], $2[1:2], $99999999999
select a[1]::int, (array[1,2])[1], f(1)[1]
select (f(1))[1], (f(1)).a
select cast('1' as "char"), '1'::"char", "char" '1'
select a.b::int.c
select 1 as 1
select a as 'x'
select distinct on (a) from t
select t.a into x from t
select a from (values (1)) t(a) where a in (select b from u where exists (select 1 from v where v.c = u.b limit 1) order by 1 for share)
select * from t where (a, b) > (1, 2) and (a, b) = any (select 1, 2) and row(a, b) is distinct from row(1, 2)
select sum(case when a > 1 then 1 else 0 end) * 100.0 / nullif(count(*), 0) from t group by 1 order by 1 desc limit 10
select date_trunc('day', now() - interval '1 day')::date, to_char(x, 'YYYY') from t
select t1.*, t2.a as b from t t1 left outer join u t2 on t1.id = t2.id and t2.x is null where t1.a not in ('x', 'y') order by t1.b nulls last
