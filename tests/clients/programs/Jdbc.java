// pgjdbc with a token as its password: prepared insert with generated keys, batch, cursor, metadata, a conflict.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

public class Jdbc {
    static Connection connect() throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "admin");
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", "verify-full");
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("CLUSTER_ENDPOINT") + "/postgres", properties);
    }

    static void check(boolean fine, String what) {
        if (!fine) throw new AssertionError(what);
    }

    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS jdbc_items");
            statement.execute("CREATE TABLE jdbc_items (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, n int, name text)");
            try (PreparedStatement insert = connection.prepareStatement(
                    "INSERT INTO jdbc_items (n, name) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                insert.setInt(1, 1);
                insert.setString(2, "one");
                check(insert.executeUpdate() == 1, "one row");
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    check(keys.next() && keys.getString("id").length() == 36, "a generated key");
                }
                for (int n = 2; n <= 500; n++) {
                    insert.setInt(1, n);
                    insert.setString(2, "name " + n);
                    insert.addBatch();
                }
                check(insert.executeBatch().length == 499, "a batch");
            }
            connection.setAutoCommit(false);
            try (Statement reading = connection.createStatement()) {
                reading.setFetchSize(50);
                int sum = 0;
                try (ResultSet rows = reading.executeQuery("SELECT n FROM jdbc_items")) {
                    while (rows.next()) sum += rows.getInt(1);
                }
                check(sum == 125250, "rows by cursor: " + sum);
            }
            connection.commit();
            try (ResultSet columns = connection.getMetaData().getColumns(null, "public", "jdbc_items", null)) {
                int count = 0;
                while (columns.next()) count++;
                check(count == 3, "columns");
            }
            connection.commit();
            try (Connection other = connect(); Statement second = other.createStatement()) {
                other.setAutoCommit(false);
                statement.executeUpdate("UPDATE jdbc_items SET name = 'a' WHERE n = 1");
                second.executeUpdate("UPDATE jdbc_items SET name = 'b' WHERE n = 1");
                connection.commit();
                try {
                    other.commit();
                    throw new AssertionError("both committed");
                } catch (SQLException conflict) {
                    check("40001".equals(conflict.getSQLState()), conflict.getSQLState());
                    check(conflict.getMessage().contains("OC000"), conflict.getMessage());
                }
            }
            connection.setAutoCommit(true);
            statement.execute("DROP TABLE jdbc_items");
        }
        System.out.println("pgjdbc: fine");
    }
}
