"""What the measurements run: the echo server, policyd, the load, and how
MariaDB and the kernel are asked what that cost."""

import json
import os
import signal
import subprocess
import time

from harness import BUILD
from harness.daemon import Policyd
from harness.policy import Client, Closed, end_of_message, request

from data import SIZED, SIZED_REPLY

ECHO = os.path.join(BUILD, "tests/bench/echo_server")
LOAD = os.path.join(BUILD, "tests/bench/load")
DNS_LOAD = os.path.join(BUILD, "tests/bench/dns_load")
SPF_LOAD = os.path.join(BUILD, "tests/bench/spf_load")
MILTER_LOAD = os.path.join(BUILD, "tests/bench/milter_load")
DAEMON = os.path.join(BUILD, "policyd/policyd")
CTL = os.path.join(BUILD, "policyd/policyctl")

START_SECONDS = 60
STOP_SECONDS = 90
# A load run may take so much longer than planned before it counts as hung.
LOAD_SECONDS = 600
LOG_TAIL = 4096
# Nothing was stored for so long: what is missing will not come.
STORED_PAUSE_SECONDS = 3.0


class Failure(Exception):
    """A measurement that could not be made, in one line."""


class Echo:
    """The ceiling: frames requests and answers DUNNO."""

    def __init__(self, port):
        self.port = port
        self.process = subprocess.Popen(
            [ECHO, "inet:127.0.0.1:%d" % port], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"listening\n":
            self.close()
            raise Failure("the echo server did not start")

    def pids(self):
        return [self.process.pid]

    def close(self):
        end_process(self.process, 5)
        self.process.stdout.close()


class Daemon(Policyd):
    """policyd with the default configuration, but for its paths."""

    def __init__(self, directory, database, port, names):
        super().__init__(directory, database, [port])
        self.port = port
        self.names = names

    def configure(self, **changes):
        settings = {"database.table_ttl": None, **self.names.settings()}
        return super().configure(**{**settings, **changes})

    def start(self):
        self.start_seconds()
        return self

    def start_seconds(self):
        """Starts it; seconds from exec until it has answered two requests
        that need every table: a stranger's is deferred, and SIZED's is
        refused. What fails open would be answered DUNNO."""
        # Behind what an earlier run of it wrote.
        open(self.log_path, "w").close()
        questions = request(
            sender="start%d@start.example" % time.time_ns(),
            client_address="198.51.100.1")
        questions += end_of_message(sasl_username=SIZED, sasl_method="PLAIN",
                                    recipient="friend@elsewhere.example")
        started = time.monotonic()
        self.spawn()
        with self._first_client(started + START_SECONDS) as client:
            client.send(questions)
            try:
                replies = client.reply(), client.reply()
            except (Closed, OSError) as error:
                raise Failure("policyd did not answer: %r\n%s" % (
                    error, self.log()))
        took = time.monotonic() - started
        if not replies[0].startswith("451 ") or replies[1] != SIZED_REPLY:
            raise Failure("policyd answered %r at its start\n%s" % (
                replies, self.log()))
        return took

    def _first_client(self, until):
        while True:
            try:
                return Client(self.port, timeout=START_SECONDS)
            except OSError:
                if self.process.poll() is not None:
                    raise Failure("policyd ended with %d\n%s" % (
                        self.process.returncode, self.log()))
                if time.monotonic() > until:
                    raise Failure("policyd does not listen\n" + self.log())
                time.sleep(0.001)

    def log(self):
        """Its end: a line for each of a million requests is in it."""
        with open(self.log_path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_TAIL))
            return file.read().decode(errors="replace")

    def pids(self):
        return self.children()

    def stop(self, number=signal.SIGTERM):
        """Also when it does not want to."""
        process, self.process = self.process, None
        if process is not None:
            end_process(process, STOP_SECONDS)
            # Its children end when it is gone, but here not one may stay.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def end_process(process, seconds):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def load(port, mode, n, connections, **options):
    """One run of tests/bench/load; what it says, as a dictionary."""
    return measured("load --mode " + mode, LOAD, connect="inet:127.0.0.1:%d" %
                    port, mode=mode, requests=n, connections=connections,
                    **options)


def dns_load(**options):
    """One run of tests/bench/dns_load; what it says, as a dictionary."""
    return measured("dns_load", DNS_LOAD, **options)


def measured(what, program, **options):
    """_file: what has no option before it."""
    command = [program, options.pop("_file")] if "_file" in options \
        else [program]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure("%s: not done within %d s" % (what, LOAD_SECONDS))
    if done.returncode != 0:
        raise Failure("%s: %s" % (
            what, (done.stdout + done.stderr).strip()))
    return json.loads(done.stdout)


def accepted(result):
    """How many were answered DUNNO."""
    return result["actions"].get("dunno", 0)


def expect(result, action, n):
    """All n answers were this action, or the figure means nothing."""
    if result["actions"] != {action: n}:
        raise Failure("expected %d times %s, got %s" % (
            n, action, result["actions"]))


class Status:
    """MariaDB's own count of statements, without what asking adds."""

    def __init__(self, database):
        self._connection = database.connect()
        self._n_asked = 0

    def _value(self, sql):
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            self._n_asked += 1
            return int(cursor.fetchone()[-1])

    def statements(self):
        """Of everybody else, as a count that only differences make sense
        of. Executions of prepared statements are among them."""
        asked = self._value("SHOW GLOBAL STATUS LIKE 'Questions'")
        return asked - self._n_asked

    def count(self, table):
        return self._value("SELECT COUNT(*) FROM " + table)

    def wait_for_rows(self, table, n):
        """Until table has n rows, or no more come; how many, and when that
        was first seen (time.monotonic())."""
        rows, when = self.count(table), time.monotonic()
        while rows < n and time.monotonic() - when < STORED_PAUSE_SECONDS:
            time.sleep(0.1)
            now = self.count(table)
            if now != rows:
                rows, when = now, time.monotonic()
        return rows, when

    def close(self):
        self._connection.close()


def cpu_seconds(pids):
    """What the processes have used of the processors, in and for them."""
    ticks = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(pids):
    """Megabytes (of 10^6 bytes) that the processes have in memory."""
    total_kib = 0
    for pid in pids:
        with open("/proc/%d/status" % pid) as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    total_kib += int(line.split()[1])
    return total_kib * 1024 / 1e6

