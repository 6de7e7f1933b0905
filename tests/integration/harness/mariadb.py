"""A private MariaDB: own data directory, unix socket, optionally a port."""

import os
import subprocess

import pymysql

from . import SOURCE

# What iRedMail makes, and the accounts with the rights they have there.
SETUP = """
CREATE DATABASE IF NOT EXISTS iredapd
  CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE IF NOT EXISTS policyd
  CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE IF NOT EXISTS vmail
  CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE DATABASE IF NOT EXISTS amavisd
  CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE USER IF NOT EXISTS policyd@localhost IDENTIFIED BY '{password}';
CREATE USER IF NOT EXISTS policyd@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON iredapd.* TO policyd@localhost;
GRANT ALL ON policyd.* TO policyd@localhost;
GRANT SELECT ON vmail.* TO policyd@localhost;
GRANT SELECT, INSERT, UPDATE, DELETE ON amavisd.* TO policyd@localhost;
GRANT ALL ON iredapd.* TO policyd@'127.0.0.1';
GRANT ALL ON policyd.* TO policyd@'127.0.0.1';
GRANT SELECT ON vmail.* TO policyd@'127.0.0.1';
GRANT SELECT, INSERT, UPDATE, DELETE ON amavisd.* TO policyd@'127.0.0.1';
"""


class MariaDB:
    PASSWORD = "not'a%secret#1"

    def __init__(self, directory, port=0, is_durable=False):
        """port 0: only the unix socket. is_durable: each commit reaches the
        disk, as on a real server, and not only the system."""
        self.directory = directory
        self.socket = os.path.join(directory, "mariadb.sock")
        self.port = port
        self.is_durable = is_durable
        self.is_running = False
        self._connection = None

    def _run(self, command):
        environment = dict(os.environ)
        environment["MARIADB_FLUSH"] = "1" if self.is_durable else "2"
        if self.port:
            environment["MARIADB_PORT"] = str(self.port)
        subprocess.run(
            [os.path.join(SOURCE, "tests/private_mariadb.sh"), command,
             self.directory], env=environment, check=True)

    def install(self):
        """Makes the data directory, databases and accounts; again is fine."""
        self.start()
        self.run_script(SETUP.format(
            password=self.PASSWORD.replace("'", "''")))
        for database in ("vmail", "amavisd"):
            if not self.rows("SELECT 1 FROM information_schema.tables"
                             " WHERE table_schema = %s", database):
                path = os.path.join(SOURCE, "tests/data", database + ".sql")
                with open(path) as file:
                    self.run_script(file.read(), database)
        return self

    def start(self):
        self._run("start")
        self.is_running = True
        return self

    def connect(self, database=None):
        return pymysql.connect(
            unix_socket=self.socket, user="root", database=database,
            charset="utf8mb4", autocommit=True, connect_timeout=10)

    def _own(self):
        if self._connection is None:
            self._connection = self.connect()
        return self._connection

    def execute(self, sql, values=None):
        """Runs one statement as root; returns the number of rows."""
        with self._own().cursor() as cursor:
            return cursor.execute(sql, values)

    def rows(self, sql, values=None):
        with self._own().cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def value(self, sql, values=None):
        """The first column of the only row."""
        rows = self.rows(sql, values)
        assert len(rows) == 1, rows
        return next(iter(rows[0].values()))

    def run_script(self, text, database=None):
        """Statements that end with ';' at the end of a line."""
        connection = self.connect(database)
        with connection.cursor() as cursor:
            lines = [line for line in text.splitlines()
                     if not line.startswith("--")]
            for statement in "\n".join(lines).split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
        connection.close()

    def _forget_connection(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _end(self, command):
        self._forget_connection()
        self._run(command)
        self.is_running = False

    def stop(self):
        self._end("stop")

    def kill(self):
        self._end("kill")

    def freeze(self):
        self._run("freeze")

    def thaw(self):
        self._run("thaw")
