"""A private MariaDB: own data directory, unix socket, optionally a port."""

import os
import signal
import subprocess

import pymysql

from . import SOURCE, wait_for

# What iRedMail makes, and the accounts with the rights they have there.
SETUP = """
CREATE DATABASE IF NOT EXISTS iredapd
  CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE IF NOT EXISTS policyd
  CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE IF NOT EXISTS vmail
  CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE USER IF NOT EXISTS policyd@localhost IDENTIFIED BY '{password}';
CREATE USER IF NOT EXISTS policyd@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON iredapd.* TO policyd@localhost;
GRANT ALL ON policyd.* TO policyd@localhost;
GRANT SELECT ON vmail.* TO policyd@localhost;
GRANT ALL ON iredapd.* TO policyd@'127.0.0.1';
GRANT ALL ON policyd.* TO policyd@'127.0.0.1';
GRANT SELECT ON vmail.* TO policyd@'127.0.0.1';
"""


class MariaDB:
    PASSWORD = "not'a%secret#1"

    def __init__(self, directory, port=0, is_durable=False):
        """port 0: only the unix socket. is_durable: each commit reaches the
        disk, as on a real server, and not only the system."""
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.socket = os.path.join(directory, "socket")
        self.port = port
        self.is_durable = is_durable
        self.process = None
        self._connection = None
        os.makedirs(directory, exist_ok=True)

    def install(self):
        """Makes the data directory, databases and accounts; again is fine."""
        if not os.path.exists(os.path.join(self.data, "ibdata1")):
            with open(os.path.join(self.directory, "install.log"), "w") as log:
                subprocess.run(
                    ["mariadb-install-db", "--no-defaults", "--user=root",
                     "--datadir=" + self.data, "--skip-test-db",
                     "--skip-name-resolve",
                     "--auth-root-authentication-method=normal"],
                    stdout=log, stderr=log, check=True)
        self.start()
        self.run_script(SETUP.format(
            password=self.PASSWORD.replace("'", "''")))
        if not self.rows("SELECT 1 FROM information_schema.tables"
                         " WHERE table_schema = 'vmail'"):
            with open(os.path.join(SOURCE, "tests/data/vmail.sql")) as file:
                self.run_script(file.read(), "vmail")
        return self

    def start(self):
        network = ["--skip-networking"] if not self.port else [
            "--bind-address=127.0.0.1", "--port=%d" % self.port]
        with open(os.path.join(self.directory, "log"), "a") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", "--user=root",
                 "--datadir=" + self.data, "--socket=" + self.socket,
                 "--pid-file=" + os.path.join(self.directory, "pid"),
                 "--skip-name-resolve", "--character-set-server=utf8mb4",
                 "--innodb-buffer-pool-size=64M",
                 "--innodb-log-file-size=32M", "--max-connections=100",
                 "--innodb-flush-log-at-trx-commit=%d"
                 % (1 if self.is_durable else 2)] + network,
                stdout=log, stderr=log, start_new_session=True)
        wait_for(self._answers, "MariaDB in " + self.directory, 60)
        return self

    def _answers(self):
        assert self.process.poll() is None, \
            "MariaDB ended: see %s/log" % self.directory
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

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

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self._forget_connection()
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
