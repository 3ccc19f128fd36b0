import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** JDBC: prepared statements that become named, batches, cursors, metadata, COPY, cancel. */
public class JdbcClient {
    interface Work {
        void run() throws Exception;
    }

    static Connection db;

    static void attempt(String what, Work work) throws Exception {
        try {
            work.run();
            System.out.println("ok " + what);
        } catch (Throwable e) {
            System.out.println("not ok " + what + ": " + e.toString().replaceAll("\\s+", " "));
            if (!db.getAutoCommit()) {
                db.rollback();
                db.setAutoCommit(true);
            }
        }
    }

    static void equal(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) {
            throw new AssertionError("got " + got + ", wanted " + wanted);
        }
    }

    static String join(ResultSet rows, String... columns) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            List<String> words = new ArrayList<>();
            for (String column : columns) {
                words.add(rows.getString(column));
            }
            found.add(String.join(":", words));
        }
        return String.join(",", found);
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/"
            + System.getenv("PGDATABASE");
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        db = DriverManager.getConnection(url, properties);
        Statement statement = db.createStatement();
        attempt("types, text then binary", () -> {
            statement.execute("create table jd (id int primary key, l bigint, n numeric(10,2), t text, "
                + "b bytea, d date, ts timestamptz, f float8, o boolean, a int[])");
            try (PreparedStatement insert =
                     db.prepareStatement("insert into jd values (?,?,?,?,?,?,?,?,?,?)")) {
                for (int i = 1; i <= 10; i++) {
                    insert.setInt(1, i);
                    insert.setLong(2, 1L << 40);
                    insert.setBigDecimal(3, new BigDecimal("12.50"));
                    insert.setString(4, "größe");
                    insert.setBytes(5, new byte[] {0, -1});
                    insert.setDate(6, Date.valueOf("2026-11-21"));
                    insert.setTimestamp(7, new Timestamp(1000L * i));
                    insert.setDouble(8, 1.5);
                    insert.setBoolean(9, true);
                    insert.setArray(10, db.createArrayOf("int4", new Integer[] {1, null, 3}));
                    equal(insert.executeUpdate(), 1);
                }
            }
            try (PreparedStatement select = db.prepareStatement("select * from jd where id = ?")) {
                for (int i = 1; i <= 10; i++) { // after five it is a named statement, in binary
                    select.setInt(1, i);
                    ResultSet row = select.executeQuery();
                    equal(row.next(), true);
                    equal(row.getLong("l"), 1L << 40);
                    equal(row.getBigDecimal("n"), new BigDecimal("12.50"));
                    equal(row.getString("t"), "größe");
                    equal(row.getBytes("b")[1], (byte) -1);
                    equal(row.getDate("d").toString(), "2026-11-21");
                    equal(row.getTimestamp("ts"), new Timestamp(1000L * i));
                    equal(((Object[]) row.getArray("a").getArray())[2], 3);
                }
            }
        });
        attempt("batch, generated keys", () -> {
            statement.execute("create table jk (id serial primary key, t text)");
            try (PreparedStatement insert = db.prepareStatement("insert into jk (t) values (?)",
                     Statement.RETURN_GENERATED_KEYS)) {
                for (int i = 0; i < 100; i++) {
                    insert.setString(1, "t" + i);
                    insert.addBatch();
                }
                equal(insert.executeBatch().length, 100);
                ResultSet keys = insert.getGeneratedKeys();
                equal(keys.next(), true);
                equal(keys.getInt(1), 1);
            }
        });
        attempt("fetch size, a suspended portal", () -> {
            db.setAutoCommit(false);
            try (PreparedStatement select =
                     db.prepareStatement("select * from generate_series(1, 1000)")) {
                select.setFetchSize(7);
                ResultSet rows = select.executeQuery();
                int count = 0;
                while (rows.next()) {
                    count++;
                }
                equal(count, 1000);
            }
            db.commit();
            db.setAutoCommit(true);
        });
        attempt("transactions and savepoints", () -> {
            db.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            db.setAutoCommit(false);
            Savepoint savepoint = db.setSavepoint("s");
            statement.execute("delete from jd");
            db.rollback(savepoint);
            db.commit();
            db.setReadOnly(true);
            try {
                statement.execute("delete from jd");
                throw new AssertionError("no error");
            } catch (SQLException e) {
                equal(e.getSQLState(), "25006");
            }
            db.rollback();
            db.setReadOnly(false);
            db.setAutoCommit(true);
            db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        });
        attempt("a prepared statement survives DDL", () -> {
            statement.execute("create table js (a int)");
            try (PreparedStatement select = db.prepareStatement("select * from js")) {
                for (int i = 0; i < 8; i++) {
                    select.executeQuery();
                }
                statement.execute("alter table js add column b int");
                equal(select.executeQuery().getMetaData().getColumnCount(), 2);
            }
        });
        attempt("metadata tables and columns", () -> {
            DatabaseMetaData about = db.getMetaData();
            equal(join(about.getTables(null, "public", "j%", new String[] {"TABLE"}), "TABLE_NAME"),
                "jd,jk,js");
            equal(join(about.getColumns(null, "public", "jk", "%"), "COLUMN_NAME", "TYPE_NAME",
                "IS_NULLABLE"), "id:serial:NO,t:text:YES");
            equal(join(about.getSchemas(null, "public"), "TABLE_SCHEM"), "public");
            equal(about.getTypeInfo().next(), true);
        });
        attempt("metadata keys and indexes", () -> {
            statement.execute("create table jf (k int references jk on delete cascade, u int unique)");
            DatabaseMetaData about = db.getMetaData();
            equal(join(about.getPrimaryKeys(null, "public", "jk"), "COLUMN_NAME", "PK_NAME"), "id:jk_pkey");
            equal(join(about.getImportedKeys(null, "public", "jf"), "PKTABLE_NAME", "FKCOLUMN_NAME",
                "DELETE_RULE"), "jk:k:0");
            equal(join(about.getExportedKeys(null, "public", "jk"), "FKTABLE_NAME"), "jf");
            equal(join(about.getIndexInfo(null, "public", "jf", true, true), "INDEX_NAME", "COLUMN_NAME"),
                "jf_u_key:u");
        });
        attempt("COPY", () -> {
            CopyManager copy = db.unwrap(PGConnection.class).getCopyAPI();
            equal(copy.copyIn("copy js (a) from stdin", new StringReader("1\n2\n")), 2L);
            StringWriter out = new StringWriter();
            copy.copyOut("copy (select a from js order by a) to stdout csv", out);
            equal(out.toString(), "1\n2\n");
        });
        attempt("cancel and timeout", () -> {
            try (Statement slow = db.createStatement()) {
                slow.setQueryTimeout(1);
                slow.execute("select pg_sleep(20)");
                throw new AssertionError("no error");
            } catch (SQLException e) {
                equal(e.getSQLState(), "57014");
            }
        });
        attempt("errors", () -> {
            try {
                statement.execute("insert into jd (id) values (1)");
                throw new AssertionError("no error");
            } catch (org.postgresql.util.PSQLException e) {
                equal(e.getSQLState(), "23505");
                equal(e.getServerErrorMessage().getConstraint(), "jd_pkey");
            }
        });
        attempt("scrollable result sets, updatable", () -> {
            try (Statement scroll = db.createStatement(
                     ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
                ResultSet rows = scroll.executeQuery("select id, t from jd order by id");
                rows.last();
                equal(rows.getInt(1), 10);
                rows.updateString(2, "changed");
                rows.updateRow();
            }
            ResultSet row = statement.executeQuery("select t from jd where id = 10");
            row.next();
            equal(row.getString(1), "changed");
        });
        attempt("notifications", () -> {
            try (Connection other = DriverManager.getConnection(url, properties)) {
                other.createStatement().execute("listen jd");
                statement.execute("notify jd, 'hi'");
                equal(other.unwrap(PGConnection.class).getNotifications(10000)[0].getParameter(), "hi");
            }
        });
        db.close();
    }
}
