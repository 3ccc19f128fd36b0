# DBD::Pg: placeholders, types, transactions, COPY, errors, table_info, notifications.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:pg_types);

my $db = DBI->connect("dbi:Pg:", "", "", {RaiseError => 1, PrintError => 0, AutoCommit => 1});

sub attempt {
    my ($what, $code) = @_;
    if (eval { $code->(); 1 }) {
        print "ok $what\n";
        return;
    }
    my $why = $@;
    $why =~ s/\s+/ /g;
    print "not ok $what: $why\n";
    eval { $db->rollback } if !$db->{AutoCommit};
    $db->{AutoCommit} = 1;
}

sub equal {
    my ($got, $wanted) = @_;
    $got = defined $got ? $got : "undef";
    die "got $got, wanted $wanted\n" if $got ne $wanted;
}

attempt "placeholders and types" => sub {
    $db->do("create table dp (id int primary key, t text, b bytea, n numeric)");
    my $insert = $db->prepare("insert into dp values (?, ?, ?, ?)");
    $insert->bind_param(3, undef, {pg_type => PG_BYTEA});
    $insert->execute($_, "row $_", "\0\xff", $_ / 4) for 1 .. 5;
    my $row = $db->selectrow_arrayref("select id, t, b, n from dp where id = ?", undef, 3);
    equal(join("|", $row->[0], $row->[1], unpack("H*", $row->[2]), $row->[3]), "3|row 3|00ff|0.75");
};
attempt "arrays" => sub {
    my $row = $db->selectrow_arrayref("select ?::int[], array['a','b,c']", undef, [1, 2, 3]);
    equal(join("+", @{$row->[0]}) . " " . join("+", @{$row->[1]}), "1+2+3 a+b,c");
};
attempt "transactions and savepoints" => sub {
    $db->begin_work;
    $db->pg_savepoint("a");
    $db->do("delete from dp");
    $db->pg_rollback_to("a");
    $db->commit;
    equal($db->selectrow_array("select count(*) from dp"), 5);
};
attempt "errors" => sub {
    eval { $db->do("insert into dp values (1)") };
    equal($db->state, "23505");
    equal($db->pg_error_field("constraint"), "dp_pkey");
};
attempt "copy in and out" => sub {
    $db->do("copy dp (id, t) from stdin");
    $db->pg_putcopydata("10\tten\n");
    $db->pg_putcopydata("11\t\\N\n");
    $db->pg_putcopyend;
    $db->do("copy (select id from dp where id >= 10 order by id) to stdout");
    my ($line, $all) = ("", "");
    $all .= $line while $db->pg_getcopydata($line) >= 0;
    equal($all, "10\n11\n");
};
attempt "table_info, column_info, primary_key, foreign_key_info" => sub {
    $db->do("create table dpc (a int references dp, b varchar(9) not null)");
    equal(join(",", sort map { $_->{TABLE_NAME} }
        @{$db->table_info(undef, "public", "dp%", "TABLE")->fetchall_arrayref({})}), "dp,dpc");
    equal(join(",", map { "$_->{COLUMN_NAME}:$_->{TYPE_NAME}:$_->{NULLABLE}" }
        @{$db->column_info(undef, "public", "dpc", "%")->fetchall_arrayref({})}),
        "a:integer:1,b:character varying:0");
    equal(join(",", $db->primary_key(undef, "public", "dp")), "id");
    my $keys = $db->foreign_key_info(undef, "public", "dp", undef, "public", "dpc")->fetchall_arrayref({});
    equal($keys->[0]{FK_COLUMN_NAME}, "a");
};
attempt "notifications" => sub {
    my $other = DBI->connect("dbi:Pg:", "", "", {RaiseError => 1, AutoCommit => 1});
    $other->do("listen dp");
    $db->do("notify dp, 'hi'");
    my $seen;
    for (1 .. 100) {
        last if $seen = $other->pg_notifies;
        select(undef, undef, undef, 0.05);
    }
    equal("$seen->[0] $seen->[2]", "dp hi");
};
attempt "last_insert_id" => sub {
    $db->do("create table dps (id serial primary key, t text)");
    $db->do("insert into dps (t) values ('x')");
    equal($db->last_insert_id(undef, "public", "dps", undef), 1);
};
$db->disconnect;
