"""The tables and rows of TPC-H, from a seed: a generator of our own, after the specification's section
4.2.3 (version 3). The texts come from a smaller grammar than dbgen's, so answers differ from its."""
import datetime
import random

SCHEMA = """
create table region (r_regionkey integer primary key, r_name char(25) not null, r_comment varchar(152));
create table nation (n_nationkey integer primary key, n_name char(25) not null,
    n_regionkey integer not null, n_comment varchar(152));
create table supplier (s_suppkey integer primary key, s_name char(25) not null,
    s_address varchar(40) not null, s_nationkey integer not null, s_phone char(15) not null,
    s_acctbal decimal(15,2) not null, s_comment varchar(101) not null);
create table part (p_partkey integer primary key, p_name varchar(55) not null, p_mfgr char(25) not null,
    p_brand char(10) not null, p_type varchar(25) not null, p_size integer not null,
    p_container char(10) not null, p_retailprice decimal(15,2) not null, p_comment varchar(23) not null);
create table partsupp (ps_partkey integer not null, ps_suppkey integer not null,
    ps_availqty integer not null, ps_supplycost decimal(15,2) not null, ps_comment varchar(199) not null,
    primary key (ps_partkey, ps_suppkey));
create table customer (c_custkey integer primary key, c_name varchar(25) not null,
    c_address varchar(40) not null, c_nationkey integer not null, c_phone char(15) not null,
    c_acctbal decimal(15,2) not null, c_mktsegment char(10) not null, c_comment varchar(117) not null);
create table orders (o_orderkey integer primary key, o_custkey integer not null,
    o_orderstatus char(1) not null, o_totalprice decimal(15,2) not null, o_orderdate date not null,
    o_orderpriority char(15) not null, o_clerk char(15) not null, o_shippriority integer not null,
    o_comment varchar(79) not null);
create table lineitem (l_orderkey integer not null, l_partkey integer not null,
    l_suppkey integer not null, l_linenumber integer not null, l_quantity decimal(15,2) not null,
    l_extendedprice decimal(15,2) not null, l_discount decimal(15,2) not null,
    l_tax decimal(15,2) not null, l_returnflag char(1) not null, l_linestatus char(1) not null,
    l_shipdate date not null, l_commitdate date not null, l_receiptdate date not null,
    l_shipinstruct char(25) not null, l_shipmode char(10) not null, l_comment varchar(44) not null,
    primary key (l_orderkey, l_linenumber));
"""

# What a foreign key's referencing side is usually given.
INDEXES = """
create index nation_region on nation (n_regionkey);
create index supplier_nation on supplier (s_nationkey);
create index partsupp_supplier on partsupp (ps_suppkey);
create index customer_nation on customer (c_nationkey);
create index orders_customer on orders (o_custkey);
create index lineitem_part_supplier on lineitem (l_partkey, l_suppkey);
create index lineitem_supplier on lineitem (l_suppkey);
"""

TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")

REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
NATIONS = (
    ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0),
    ("FRANCE", 3), ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4),
    ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1),
    ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2), ("RUSSIA", 3),
    ("UNITED KINGDOM", 3), ("UNITED STATES", 1))
COLOURS = (
    "almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished "
    "chartreuse chiffon chocolate coral cornflower cornsilk cream cyan dark deep dim dodger drab "
    "firebrick floral forest frosted gainsboro ghost goldenrod green grey honeydew hot indian ivory "
    "khaki lace lavender lawn lemon light lime linen magenta maroon medium metallic midnight mint misty "
    "moccasin navajo navy olive orange orchid pale papaya peach peru pink plum powder puff purple red "
    "rose rosy royal saddle salmon sandy seashell sienna sky slate smoke snow spring steel tan thistle "
    "tomato turquoise violet wheat white yellow").split()
TYPES = [f"{a} {b} {c}" for a in ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO")
         for b in ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED")
         for c in ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")]
CONTAINERS = [f"{a} {b}" for a in ("SM", "LG", "MED", "JUMBO", "WRAP")
              for b in ("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM")]
SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD")
PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
INSTRUCTIONS = ("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN")
MODES = ("REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB")
WORDS = (
    "foxes ideas theodolites pinto beans instructions dependencies excuses platelets asymptotes courts "
    "dolphins multipliers sauternes warthogs frets dinos attainments somas braids hockey players sleep "
    "wake haggle nag use boost affix detect integrate cajole doze grow solve breach furious sly careful "
    "blithe quick fluffy slow quiet ruthless thin close dogged daring bold stealthy permanent special "
    "enticing idle busy regular final ironic even bravely silent pending express unusual requests "
    "accounts packages deposits about above according across after against along").split()
START, CURRENT = datetime.date(1992, 1, 1), datetime.date(1995, 6, 17)
DAYS = [START + datetime.timedelta(days=i) for i in range(2700)]
DAY_TEXTS = [day.isoformat() for day in DAYS]
NOW = (CURRENT - START).days
ORDER_DAYS = (datetime.date(1998, 12, 31) - START).days - 151


def cents(value):
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 100}.{abs(value) % 100:02d}"


class Source:
    """Random things, from a seed of each table's own: so a table does not depend on the others."""

    def __init__(self, seed, table):
        self.random = random.Random(f"{seed} {table}")
        self.float = self.random.random
        # Comments are cut from one long text, as dbgen does it.
        words = random.Random(f"{seed} words")
        self.text = " ".join(words.choices(WORDS, k=40000))

    def number(self, low, high):
        return low + int(self.float() * (high - low + 1))

    def choice(self, items):
        return items[int(self.float() * len(items))]

    def comment(self, shortest, longest):
        at = int(self.float() * (len(self.text) - longest))
        return self.text[at:at + self.number(shortest, longest)].strip()

    def address(self):
        return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,. ",
                                           k=self.number(10, 40))).strip()

    def phone(self, nation):
        return (f"{nation + 10}-{self.number(100, 999)}-{self.number(100, 999)}-"
                f"{self.number(1000, 9999)}")


def retail_price(part):
    return 90000 + part // 10 % 20001 + 100 * (part % 1000)


def supplier_of(part, i, suppliers):
    return (part + i * (suppliers // 4 + (part - 1) // suppliers)) % suppliers + 1


class Data:
    def __init__(self, scale, seed=1):
        self.seed = seed
        self.suppliers = max(4, int(10000 * scale))
        self.parts = max(1, int(200000 * scale))
        self.customers = max(3, int(150000 * scale))
        self.orders = max(1, int(1500000 * scale))

    def write(self, folder):
        """One file per table, as COPY reads it."""
        paths = {table: f"{folder}/{table}" for table in TABLES}
        for table in TABLES[:-2]:
            with open(paths[table], "w", encoding="utf-8") as file:
                file.writelines(getattr(self, table)())
        with open(paths["orders"], "w", encoding="utf-8") as orders, \
                open(paths["lineitem"], "w", encoding="utf-8") as lines:
            self.write_orders(orders, lines)
        return paths

    def region(self):
        source = Source(self.seed, "region")
        for key, name in enumerate(REGIONS):
            yield f"{key}\t{name}\t{source.comment(31, 115)}\n"

    def nation(self):
        source = Source(self.seed, "nation")
        for key, (name, region) in enumerate(NATIONS):
            yield f"{key}\t{name}\t{region}\t{source.comment(31, 114)}\n"

    def supplier(self):
        source = Source(self.seed, "supplier")
        for key in range(1, self.suppliers + 1):
            nation = source.number(0, 24)
            comment = source.comment(25, 60)
            if key % 1000 == 17:
                comment += " Customer Complaints"
            elif key % 1000 == 40:
                comment += " Customer Recommends"
            yield (f"{key}\tSupplier#{key:09d}\t{source.address()}\t{nation}\t{source.phone(nation)}\t"
                   f"{cents(source.number(-99999, 999999))}\t{comment}\n")

    def part(self):
        source = Source(self.seed, "part")
        for key in range(1, self.parts + 1):
            maker = source.number(1, 5)
            yield (f"{key}\t{' '.join(source.random.sample(COLOURS, 5))}\tManufacturer#{maker}\t"
                   f"Brand#{maker}{source.number(1, 5)}\t{source.choice(TYPES)}\t"
                   f"{source.number(1, 50)}\t{source.choice(CONTAINERS)}\t{cents(retail_price(key))}\t"
                   f"{source.comment(5, 22)}\n")

    def partsupp(self):
        source = Source(self.seed, "partsupp")
        for key in range(1, self.parts + 1):
            for i in range(4):
                yield (f"{key}\t{supplier_of(key, i, self.suppliers)}\t{source.number(1, 9999)}\t"
                       f"{cents(source.number(100, 100000))}\t{source.comment(49, 198)}\n")

    def customer(self):
        source = Source(self.seed, "customer")
        for key in range(1, self.customers + 1):
            nation = source.number(0, 24)
            yield (f"{key}\tCustomer#{key:09d}\t{source.address()}\t{nation}\t{source.phone(nation)}\t"
                   f"{cents(source.number(-99999, 999999))}\t{source.choice(SEGMENTS)}\t"
                   f"{source.comment(29, 116)}\n")

    def write_orders(self, orders, lines):
        source = Source(self.seed, "orders")
        clerks = max(1, self.orders // 1500)
        for i in range(self.orders):
            order = i // 8 * 32 + i % 8 + 1
            customer = source.number(1, self.customers)
            if customer % 3 == 0:
                customer -= 1       # a third of the customers orders nothing
            day = source.number(0, ORDER_DAYS)
            total, shipped, count = 0, 0, source.number(1, 7)
            for number in range(1, count + 1):
                part = source.number(1, self.parts)
                quantity = source.number(1, 50)
                discount, tax = source.number(0, 10), source.number(0, 8)
                price = quantity * retail_price(part)
                ship = day + source.number(1, 121)
                receipt = ship + source.number(1, 30)
                total += price * (100 - discount) * (100 + tax) // 10000
                flag = "N" if receipt > NOW else source.choice("RA")
                shipped += ship <= NOW
                lines.write(
                    f"{order}\t{part}\t{supplier_of(part, source.number(0, 3), self.suppliers)}\t"
                    f"{number}\t{quantity}\t{cents(price)}\t0.{discount:02d}\t0.{tax:02d}\t{flag}\t"
                    f"{'F' if ship <= NOW else 'O'}\t{DAY_TEXTS[ship]}\t"
                    f"{DAY_TEXTS[day + source.number(30, 90)]}\t{DAY_TEXTS[receipt]}\t"
                    f"{source.choice(INSTRUCTIONS)}\t{source.choice(MODES)}\t"
                    f"{source.comment(10, 43)}\n")
            status = "F" if shipped == count else "O" if shipped == 0 else "P"
            orders.write(
                f"{order}\t{customer}\t{status}\t{cents(total)}\t{DAY_TEXTS[day]}\t"
                f"{source.choice(PRIORITIES)}\tClerk#{source.number(1, clerks):09d}\t0\t"
                f"{source.comment(19, 78)}\n")


QUERIES = {
    1: """select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty,
    sum(l_extendedprice) as sum_base_price, sum(l_extendedprice * (1 - l_discount)) as sum_disc_price,
    sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge, avg(l_quantity) as avg_qty,
    avg(l_extendedprice) as avg_price, avg(l_discount) as avg_disc, count(*) as count_order
from lineitem where l_shipdate <= date '1998-12-01' - interval '90' day
group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus""",
    2: """select s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment
from part, supplier, partsupp, nation, region
where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = 15 and p_type like '%BRASS'
    and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'EUROPE'
    and ps_supplycost = (select min(ps_supplycost) from partsupp, supplier, nation, region
        where p_partkey = ps_partkey and s_suppkey = ps_suppkey and s_nationkey = n_nationkey
            and n_regionkey = r_regionkey and r_name = 'EUROPE')
order by s_acctbal desc, n_name, s_name, p_partkey limit 100""",
    3: """select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, o_shippriority
from customer, orders, lineitem
where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey
    and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'
group by l_orderkey, o_orderdate, o_shippriority order by revenue desc, o_orderdate limit 10""",
    4: """select o_orderpriority, count(*) as order_count from orders
where o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-07-01' + interval '3' month
    and exists (select * from lineitem
        where l_orderkey = o_orderkey and l_commitdate < l_receiptdate)
group by o_orderpriority order by o_orderpriority""",
    5: """select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue
from customer, orders, lineitem, supplier, nation, region
where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey
    and c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey
    and r_name = 'ASIA' and o_orderdate >= date '1994-01-01'
    and o_orderdate < date '1994-01-01' + interval '1' year
group by n_name order by revenue desc""",
    6: """select sum(l_extendedprice * l_discount) as revenue from lineitem
where l_shipdate >= date '1994-01-01' and l_shipdate < date '1994-01-01' + interval '1' year
    and l_discount between .06 - 0.01 and .06 + 0.01 and l_quantity < 24""",
    7: """select supp_nation, cust_nation, l_year, sum(volume) as revenue
from (select n1.n_name as supp_nation, n2.n_name as cust_nation,
        extract(year from l_shipdate) as l_year, l_extendedprice * (1 - l_discount) as volume
    from supplier, lineitem, orders, customer, nation n1, nation n2
    where s_suppkey = l_suppkey and o_orderkey = l_orderkey and c_custkey = o_custkey
        and s_nationkey = n1.n_nationkey and c_nationkey = n2.n_nationkey
        and ((n1.n_name = 'FRANCE' and n2.n_name = 'GERMANY')
            or (n1.n_name = 'GERMANY' and n2.n_name = 'FRANCE'))
        and l_shipdate between date '1995-01-01' and date '1996-12-31') as shipping
group by supp_nation, cust_nation, l_year order by supp_nation, cust_nation, l_year""",
    8: """select o_year, sum(case when nation = 'BRAZIL' then volume else 0 end) / sum(volume) as mkt_share
from (select extract(year from o_orderdate) as o_year,
        l_extendedprice * (1 - l_discount) as volume, n2.n_name as nation
    from part, supplier, lineitem, orders, customer, nation n1, nation n2, region
    where p_partkey = l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey
        and o_custkey = c_custkey and c_nationkey = n1.n_nationkey and n1.n_regionkey = r_regionkey
        and r_name = 'AMERICA' and s_nationkey = n2.n_nationkey
        and o_orderdate between date '1995-01-01' and date '1996-12-31'
        and p_type = 'ECONOMY ANODIZED STEEL') as all_nations
group by o_year order by o_year""",
    9: """select nation, o_year, sum(amount) as sum_profit
from (select n_name as nation, extract(year from o_orderdate) as o_year,
        l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as amount
    from part, supplier, lineitem, partsupp, orders, nation
    where s_suppkey = l_suppkey and ps_suppkey = l_suppkey and ps_partkey = l_partkey
        and p_partkey = l_partkey and o_orderkey = l_orderkey and s_nationkey = n_nationkey
        and p_name like '%green%') as profit
group by nation, o_year order by nation, o_year desc""",
    10: """select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) as revenue, c_acctbal, n_name,
    c_address, c_phone, c_comment
from customer, orders, lineitem, nation
where c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate >= date '1993-10-01'
    and o_orderdate < date '1993-10-01' + interval '3' month and l_returnflag = 'R'
    and c_nationkey = n_nationkey
group by c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
order by revenue desc, c_custkey limit 20""",
    11: """select ps_partkey, sum(ps_supplycost * ps_availqty) as value from partsupp, supplier, nation
where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY'
group by ps_partkey
having sum(ps_supplycost * ps_availqty) > (select sum(ps_supplycost * ps_availqty) * {fraction}
    from partsupp, supplier, nation
    where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY')
order by value desc, ps_partkey""",
    12: """select l_shipmode,
    sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' then 1 else 0 end)
        as high_line_count,
    sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> '2-HIGH' then 1 else 0 end)
        as low_line_count
from orders, lineitem
where o_orderkey = l_orderkey and l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate
    and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01'
    and l_receiptdate < date '1994-01-01' + interval '1' year
group by l_shipmode order by l_shipmode""",
    13: """select c_count, count(*) as custdist
from (select c_custkey, count(o_orderkey) from customer left outer join orders
        on c_custkey = o_custkey and o_comment not like '%special%requests%'
    group by c_custkey) as c_orders (c_custkey, c_count)
group by c_count order by custdist desc, c_count desc""",
    14: """select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end)
    / sum(l_extendedprice * (1 - l_discount)) as promo_revenue
from lineitem, part
where l_partkey = p_partkey and l_shipdate >= date '1995-09-01'
    and l_shipdate < date '1995-09-01' + interval '1' month""",
    15: """with revenue (supplier_no, total_revenue) as (
    select l_suppkey, sum(l_extendedprice * (1 - l_discount)) from lineitem
    where l_shipdate >= date '1996-01-01' and l_shipdate < date '1996-01-01' + interval '3' month
    group by l_suppkey)
select s_suppkey, s_name, s_address, s_phone, total_revenue from supplier, revenue
where s_suppkey = supplier_no and total_revenue = (select max(total_revenue) from revenue)
order by s_suppkey""",
    16: """select p_brand, p_type, p_size, count(distinct ps_suppkey) as supplier_cnt from partsupp, part
where p_partkey = ps_partkey and p_brand <> 'Brand#45' and p_type not like 'MEDIUM POLISHED%'
    and p_size in (49, 14, 23, 45, 19, 3, 36, 9)
    and ps_suppkey not in (select s_suppkey from supplier where s_comment like '%Customer%Complaints%')
group by p_brand, p_type, p_size order by supplier_cnt desc, p_brand, p_type, p_size""",
    17: """select sum(l_extendedprice) / 7.0 as avg_yearly from lineitem, part
where p_partkey = l_partkey and p_brand = 'Brand#23' and p_container = 'MED BOX'
    and l_quantity < (select 0.2 * avg(l_quantity) from lineitem where l_partkey = p_partkey)""",
    18: """select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity)
from customer, orders, lineitem
where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 300)
    and c_custkey = o_custkey and o_orderkey = l_orderkey
group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
order by o_totalprice desc, o_orderdate limit 100""",
    19: """select sum(l_extendedprice * (1 - l_discount)) as revenue from lineitem, part
where (p_partkey = l_partkey and p_brand = 'Brand#12'
        and p_container in ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
        and l_quantity >= 1 and l_quantity <= 11 and p_size between 1 and 5
        and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')
    or (p_partkey = l_partkey and p_brand = 'Brand#23'
        and p_container in ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
        and l_quantity >= 10 and l_quantity <= 20 and p_size between 1 and 10
        and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')
    or (p_partkey = l_partkey and p_brand = 'Brand#34'
        and p_container in ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
        and l_quantity >= 20 and l_quantity <= 30 and p_size between 1 and 15
        and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')""",
    20: """select s_name, s_address from supplier, nation
where s_suppkey in (select ps_suppkey from partsupp
        where ps_partkey in (select p_partkey from part where p_name like 'forest%')
            and ps_availqty > (select 0.5 * sum(l_quantity) from lineitem
                where l_partkey = ps_partkey and l_suppkey = ps_suppkey
                    and l_shipdate >= date '1994-01-01'
                    and l_shipdate < date '1994-01-01' + interval '1' year))
    and s_nationkey = n_nationkey and n_name = 'CANADA'
order by s_name""",
    21: """select s_name, count(*) as numwait from supplier, lineitem l1, orders, nation
where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F'
    and l1.l_receiptdate > l1.l_commitdate
    and exists (select * from lineitem l2
        where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey)
    and not exists (select * from lineitem l3
        where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey
            and l3.l_receiptdate > l3.l_commitdate)
    and s_nationkey = n_nationkey and n_name = 'SAUDI ARABIA'
group by s_name order by numwait desc, s_name limit 100""",
    22: """select cntrycode, count(*) as numcust, sum(c_acctbal) as totacctbal
from (select substring(c_phone from 1 for 2) as cntrycode, c_acctbal from customer
    where substring(c_phone from 1 for 2) in ('13', '31', '23', '29', '30', '18', '17')
        and c_acctbal > (select avg(c_acctbal) from customer where c_acctbal > 0.00
            and substring(c_phone from 1 for 2) in ('13', '31', '23', '29', '30', '18', '17'))
        and not exists (select * from orders where o_custkey = c_custkey)) as custsale
group by cntrycode order by cntrycode""",
}


def queries(scale):
    return {number: sql.replace("{fraction}", f"{0.0001 / scale:.10f}")
            for number, sql in QUERIES.items()}
