"""policyd under test: its configuration, its processes and its log."""

import json
import os
import re
import signal
import subprocess

from . import BIN, BUILD, IS_INSTALLED, SBIN, SOURCE, wait_for
from .policy import Client

SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:"
    r"|Sanitizer has encountered a fatal error|DEADLYSIGNAL")


# Most tests have no DNS that knows their senders; None brings the default
# back.
WITHOUT_SPF = {
    "spf.mode": "off",
    "greylisting.bypass_spf": "no",
    "reject_sender_login_mismatch.check_spf": "no",
}
# Seals private keys of DKIM.
MASTER_KEY = "0123456789abcdef" * 4
WITH_SPF = {name: None for name in WITHOUT_SPF}


def settings_for(directory, database, ports, **more):
    """The settings of a test, as a dictionary of "section.key"."""
    settings = {
        "policyd.policy_listen":
            ", ".join("inet:127.0.0.1:%d" % port for port in ports),
        "policyd.control_socket": "unix:%s/control" % directory,
        "policyd.user": "nobody",
        "policyd.group": "nogroup",
        "policyd.node": "test",
        "log.target": "stderr",
        # A change made with SQL shows soon.
        "database.table_ttl": "100ms",
        # Tests turn the clock and look at what has expired.
        "cleanup.enabled": "no",
        # Tests put rows there, and have no DNS that knows them.
        "greylisting.refresh_whitelist_domains": "no",
        "dkim.master_key_file": "%s/master_key" % directory,
    }
    settings.update(WITHOUT_SPF)
    for name in ("iredapd", "vmail", "policyd", "amavisd"):
        section = name + "_db."
        settings[section + "socket"] = database.socket
        settings[section + "user"] = "policyd"
        settings[section + "name"] = name
        settings[section + "password_file"] = "%s/password" % directory
    settings.update(more)
    return settings


def is_sanitized(pid):
    with open("/proc/%d/exe" % pid, "rb") as file:
        return b"AddressSanitizer" in file.read()


class Policyd:
    """Starts nothing by itself: configure(), migrate(), start(), stop()."""

    def __init__(self, directory, database, ports, clock=None):
        self.directory = directory
        self.database = database
        self.ports = ports
        self.clock = clock
        self.path = os.path.join(directory, "policyd.conf")
        self.log_path = os.path.join(directory, "log")
        self.ctl_path = os.path.join(BIN, "policyctl")
        self.process = None
        self.notify_socket = None
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)

    def configure(self, **changes):
        """Writes policyd.conf; a key is "section.key", None leaves it out.
        Underscores cannot stand for the dot: use configure(**{...})."""
        settings = settings_for(self.directory, self.database, self.ports)
        settings.update(changes)
        sections = {}
        for name, value in settings.items():
            if value is not None:
                section, key = name.split(".")
                sections.setdefault(section, []).append((key, value))
        lines = []
        for section, rows in sections.items():
            lines.append("[%s]" % section)
            lines += ["%s = %s" % row for row in rows]
        self.write_config("\n".join(lines) + "\n")
        password = os.path.join(self.directory, "password")
        with open(password, "w") as file:
            file.write(self.database.PASSWORD + "\n")
        os.chmod(password, 0o600)
        self.write_master_key(MASTER_KEY)
        return self

    def write_master_key(self, text):
        path = os.path.join(self.directory, "master_key")
        with open(path, "w") as file:
            file.write(text + "\n")
        os.chmod(path, 0o600)

    def write_config(self, text):
        with open(self.path, "w") as file:
            file.write(text)

    def _environment(self):
        environment = dict(os.environ)
        environment.pop("NOTIFY_SOCKET", None)
        if self.notify_socket:
            environment["NOTIFY_SOCKET"] = self.notify_socket
        if self.clock:
            environment["POLICYD_TEST_CLOCK"] = self.clock.path
        return environment

    def ctl(self, *words, status=0):
        """Runs policyctl; its standard output. status None: any exit."""
        done = self.ctl_run(*words)
        assert status is None or done.returncode == status, \
            "policyctl %s: exit %d\n%s%s" % (
                " ".join(words), done.returncode, done.stdout, done.stderr)
        return done.stdout

    def ctl_run(self, *words):
        return subprocess.run(
            [self.ctl_path, "--config", self.path]
            + list(words),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self._environment(),
            timeout=120)

    def json(self, *words, status=0):
        return json.loads(self.ctl("--json", *words, status=status))

    def migrate(self):
        if IS_INSTALLED:
            self.ctl("db", "migrate")
        else:
            self.ctl("db", "migrate", "--sql-dir",
                     os.path.join(SOURCE, "conf/sql"))
        return self

    def spawn(self):
        """Starts the processes and returns before they are ready."""
        program = os.path.join(BUILD, "tests/policyd-testclock") \
            if self.clock else os.path.join(SBIN, "policyd")
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                [program, "--config", self.path, "--foreground"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment(), start_new_session=True)
        return self

    def start(self):
        self.spawn()
        wait_for(self._is_ready, "policyd in " + self.directory, 60)
        return self

    def _is_ready(self):
        assert self.process.poll() is None, \
            "policyd ended with %d:\n%s" % (
                self.process.returncode, self.log()[-4000:])
        return self.ctl_run("status").returncode == 0

    def client(self, **more):
        return Client(self.ports[0], **more)

    def children(self):
        """Process ids of the policy processes."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(word) for word in file.read().split()]

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def wait_for_log(self, text, seconds=30):
        wait_for(lambda: text in self.log(),
                 "%r in the log of policyd" % text, seconds)

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Stops it and asserts that it went well."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(number)
        status = process.wait(60)
        log = self.log()
        found = SANITIZER.search(log)
        assert not found, log[max(0, found.start() - 200):][:6000]
        assert status == 0, "policyd: exit %d\n%s" % (status, log[-4000:])
