"""docs/switching.md, done: an iRedMail server with its own accounts in the
database, tables of iRedAPD that hold rows, a Postfix, and an old daemon that
answers until policyd does. Each step is a heading of that document."""

import os

import pytest

from harness import IS_INSTALLED, SOURCE, wait_for
from harness.daemon import Policyd
from harness.dunno import Dunno
from harness.mariadb import MariaDB
from harness.policy import Client
from harness.ports import free_ports
from harness.postfix import Postfix

LATER = "451 4.7.1 Intentional policy rejection, please try again later"
FINDINGS, NOT_FOUND, NO_DAEMON, REFUSED = 1, 3, 4, 5

# settings.py as iRedMail leaves it behind; mode 0400.
SETTINGS = """\
# -*- coding: utf-8 -*-
listen_address = '127.0.0.1'
listen_port = {policy}
srs_forward_port = {forward}
srs_reverse_port = {reverse}
run_as_user = 'iredapd'
pid_file = '/var/run/iredapd.pid'
log_level = 'info'
backend = 'mysql'
plugins = ["reject_null_sender", "wblist_rdns",
           "reject_sender_login_mismatch", "greylisting", "throttle",
           "amavisd_wblist", "sql_alias_access_policy",
           "sql_ml_access_policy"]
srs_domain = 'mx.example.com'
srs_secrets = ['secret_key']
SQL_DB_DRIVER = 'pymysql'
mlmmjadmin_api_auth_token = 'abcdef'
"""

DATABASE = """\
{name}_db_server = '127.0.0.1'
{name}_db_port = '{port}'
{name}_db_name = '{name}'
{name}_db_user = '{name}'
{name}_db_password = '{name}%secret'
"""

# The accounts that iRedMail makes, with their rights, and no more.
ACCOUNTS = {"iredapd": "ALL", "vmail": "SELECT",
            "amavisd": "SELECT, INSERT, UPDATE, DELETE"}

CANONICAL = """\
sender_canonical_maps = tcp:127.0.0.1:{forward}
sender_canonical_classes = envelope_sender
recipient_canonical_maps = tcp:127.0.0.1:{reverse}
recipient_canonical_classes = envelope_recipient, header_recipient
"""


def as_iredmail_has_it(database):
    """policyd's database and account are not there yet."""
    database.execute("DROP DATABASE policyd")
    database.execute("DROP DATABASE iredapd")
    database.execute("CREATE DATABASE iredapd CHARACTER SET utf8mb4"
                     " COLLATE utf8mb4_unicode_ci")
    with open(os.path.join(SOURCE, "conf/sql/iredapd/001_schema.sql")) as file:
        database.run_script(file.read(), "iredapd")
    for name, rights in ACCOUNTS.items():
        for host in ("localhost", "127.0.0.1"):
            database.execute("DROP USER IF EXISTS policyd@'%s'" % host)
            database.execute("CREATE USER %s@'%s' IDENTIFIED BY '%s'" % (
                name, host, name + "%secret"))
            database.execute("GRANT %s ON %s.* TO %s@'%s'" % (
                rights, name, name, host))
    database.execute(
        "INSERT INTO iredapd.greylisting_whitelists (account, sender)"
        " VALUES ('@.', '198.51.100.0/24')")
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_rcpts) VALUES ('@.', 'outbound', 0, 3600, 1)")


class Site:
    """One server of an administrator."""

    def __init__(self, directory):
        names = ("policy", "forward", "reverse", "old", "database", "smtp",
                 "submission")
        self.ports = dict(zip(names, free_ports(len(names))))
        self.directory = directory
        self.mariadb = MariaDB(os.path.join(directory, "mariadb"),
                               port=self.ports["database"]).install()
        as_iredmail_has_it(self.mariadb)
        self.policyd = Policyd(os.path.join(directory, "policyd"),
                               self.mariadb, [self.ports["policy"]])
        self.postfix = Postfix(
            os.path.join(directory, "postfix"), self.ports["smtp"],
            self.ports["submission"],
            "inet:127.0.0.1:%d" % self.ports["policy"])
        self.postfix.configure(more=CANONICAL.format(**self.ports)).start()
        self.old = None

    def settings(self):
        path = os.path.join(self.directory, "settings.py")
        with open(path, "w") as file:
            file.write(SETTINGS.format(**self.ports))
            for name in ACCOUNTS:
                file.write(DATABASE.format(name=name,
                                           port=self.ports["database"]))
        return path

    def ctl(self, *words, status=0):
        return self.policyd.ctl(*words, status=status)

    def error(self, status, *words):
        """What is wrong, as one clear line."""
        done = self.policyd.ctl_run(*words)
        assert done.returncode == status, (words, done)
        assert done.stdout == "" and done.stderr.startswith("policyctl: ")
        return done.stderr

    def migrate(self, *words, status=0):
        if not IS_INSTALLED:
            words += ("--sql-dir", os.path.join(SOURCE, "conf/sql"))
        done = self.policyd.ctl_run("db", "migrate", *words)
        assert done.returncode == status, done
        return done.stdout + done.stderr

    def edit(self, old, new):
        with open(self.policyd.path) as file:
            text = file.read()
        assert old in text
        self.policyd.write_config(text.replace(old, new, 1))

    def doctor(self, status=FINDINGS):
        return self.ctl("doctor", "--postfix-dir", self.postfix.config,
                        status=status)

    def mail(self, sender, recipient, address="192.0.2.10"):
        """A stranger's mail; Postfix' reply."""
        with self.postfix.session(address) as client:
            return str(client.send(sender, recipient))

    def close(self):
        self.policyd.stop()
        self.postfix.stop()
        if self.old:
            self.old.stop()
        self.mariadb.kill()


@pytest.fixture
def site(directory):
    path = os.path.join(directory, "site")
    os.makedirs(path)
    os.chmod(path, 0o755)
    one = Site(path)
    yield one
    one.close()


def see_what_would_change(site, settings):
    """1. "migrate from iredapd --plan" tells all, and writes nothing."""
    before = sorted(os.listdir(site.policyd.directory))
    plan = site.ctl("migrate", "from", "iredapd", "--plan",
                    "--settings", settings)
    assert sorted(os.listdir(site.policyd.directory)) == before
    assert "      greylisting.mode = enforce\n" in plan
    assert "sql_ml_access_policy" in plan
    assert "      ml_access_policy.mode = enforce" in plan
    assert "srs_domain = 'mx.example.com'  (settings.py:" in plan
    assert " dropped:\n" in plan and "to be set by hand" not in plan
    assert "nothing was written; without --plan it goes to" in plan
    assert "secret_key" not in plan and "%secret" not in plan
    assert max(len(line) for line in plan.splitlines()) < 240


def write_the_configuration(site, settings):
    """2. Without --plan; then the tables, then a look at the file."""
    made = site.ctl("migrate", "from", "iredapd", "--settings", settings)
    for name in ("policyd.conf", "srs.secrets", "iredapd_db.password"):
        assert "wrote %s/%s\n" % (site.policyd.directory, name) in made
    assert "--force" in site.error(REFUSED, "migrate", "from", "iredapd",
                                   "--settings", settings)
    # What is of the test: where it may run, and its log.
    site.edit("[policyd]\n", "[policyd]\nuser = nobody\ngroup = nogroup\n"
              "control_socket = unix:%s/control\n" % site.policyd.directory)
    site.edit("[log]\n", "[log]\ntarget = stderr\n")

    # Before there are tables the doctor sends to the command that makes them.
    said = site.doctor()
    assert "GRANT" in said and "&& policyctl db migrate\n" in said
    assert "/control: the daemon cannot be asked" in said
    assert "\n    systemctl start policyd\n" in said

    plan = site.migrate("--plan")
    assert "policyd   no" in plan and "wide_counters" in plan
    # The account of iRedAPD must not make databases: who may is told how.
    refused = site.migrate(status=REFUSED)
    statements = [line.strip() for line in refused.splitlines()
                  if line.startswith("  ")]
    assert len(statements) == 2 and refused.startswith("policyctl: ")
    for statement in statements:
        site.mariadb.execute(statement.rstrip(";"))
    assert "applied iredapd/002_wide_counters\n" in site.migrate()
    assert "nothing to do" in site.migrate()
    assert "no mistakes" in site.ctl("config", "check")


def run_it_beside_iredapd(site):
    """3. The old daemon answers on another port, policyd compares."""
    old = "parallel = inet:127.0.0.1:%d\n" % site.ports["old"]
    site.edit("[policyd]\n", "[policyd]\n" + old)
    assert "policyd does not answer" in site.error(NO_DAEMON, "status")
    site.old = Dunno(site.ports["old"])
    site.policyd.start()
    assert site.mail("x@far.example", "alice@example.com").startswith("250")
    assert site.mail("alice@example.com", "bob@example.com").startswith("250")
    wait_for(lambda: "policyd is stricter  2" in site.ctl("parallel",
                                                          status=None),
             "the comparison")
    compared = site.ctl("parallel", status=FINDINGS)
    for word in ("greylisting", "reject_sender_login_mismatch",
                 "inet:127.0.0.1:%d" % site.ports["old"], "DUNNO", LATER):
        assert word in compared, compared
    assert site.mariadb.rows("SELECT * FROM iredapd.greylisting_tracking"
                             ) == []
    return old


def let_it_answer(site, parallel):
    """4. Cutting over is one setting."""
    site.edit(parallel, "")
    assert "[policyd] parallel was changed" in site.doctor()
    site.ctl("reload")
    wait_for(lambda: "parallel is not set" in site.ctl("parallel",
                                                       status=FINDINGS),
             "the reload")
    site.old.stop()
    assert "Intentional policy rejection" in site.mail(
        "x@far.example", "alice@example.com")
    assert site.mail("alice@example.com", "bob@example.com") == (
        "554 5.7.1 <bob@example.com>: Recipient address rejected: SMTP AUTH"
        " is required for users under this sender domain")
    # What iRedAPD has known goes on: its white-list.
    assert site.mail("x@far.example", "alice@example.com",
                     "198.51.100.9").startswith("250")
    # This Postfix asks no DNS on purpose; the rest is as it should be.
    found = site.policyd.json("doctor", "--postfix-dir",
                              site.postfix.config, status=FINDINGS)
    assert [one["where"] for one in found["findings"]] == [
        "main.cf smtpd_peername_lookup"]


def ask_why(site):
    """"explain" and "test": what was, and what would be."""
    said = site.ctl("explain", "alice@example.com")
    assert "(by reject_sender_login_mismatch)" in said
    assert "  reject_sender_login_mismatch  refused" in said
    assert "what would change the answer\n  accepted with a login" in said
    stranger = ("test", "--sender", "y@far.example",
                "--recipient", "alice@example.com", "--client", "192.0.2.99")
    said = site.ctl(*stranger)
    assert LATER in said and "(by greylisting)" in said
    assert "nothing was counted, remembered or sent" in said
    assert site.mariadb.rows("SELECT * FROM iredapd.greylisting_tracking"
                             " WHERE sender = 'y@far.example'") == []
    said = site.ctl("test", "--sender", "alice@example.com", "--login",
                    "alice@example.com", "--recipient", "x@far.example",
                    "--client", "192.0.2.99", "--recipients", "2",
                    "--stage", "END-OF-MESSAGE")
    assert "REJECT Too many recipients in single message" in said
    assert "an IP address" in site.error(2, *stranger[:-1], "nonsense")


def administrate(site):
    """What the old tools did."""
    stranger = ("test", "--sender", "y@far.example",
                "--recipient", "alice@example.com", "--client", "192.0.2.99")
    site.ctl("access", "add", "@far.example", "--white",
             "--account", "alice@example.com", "--reason", "a customer")
    assert "a customer" in site.ctl("access", "list")
    wait_for(lambda: "permitted by amavisd_wblist" in site.ctl(*stranger),
             "the white-list entry")
    site.ctl("access", "remove", "@far.example",
             "--account", "alice@example.com")
    wait_for(lambda: "(by greylisting)" in site.ctl(*stranger),
             "the end of the entry")

    made = site.ctl("srs", "encode", "alice@a.com").split()[-1]
    assert made.startswith("SRS0=") and made.endswith("@mx.example.com")
    assert "alice@a.com" in site.ctl("srs", "decode", made)
    assert "local mail domain" in site.error(NOT_FOUND, "srs", "encode",
                                             "alice@example.com")
    assert "The hash is wrong" in site.error(
        NOT_FOUND, "srs", "decode", "SRS0=x" + made[6:])
    assert "secret_key" not in site.ctl("srs", "keys")

    site.ctl("reputation", "allow", "192.0.2.1")
    assert "192.0.2.1" in site.ctl("reputation", "list")
    site.ctl("greylist", "whitelist-domain", "add", "far.example")
    assert "far.example" in site.ctl("greylist", "whitelist-domain", "list")
    site.mariadb.execute("UPDATE iredapd.greylisting_tracking"
                         " SET record_expired = 1")
    rows = site.mariadb.rows("SELECT * FROM iredapd.greylisting_tracking")
    assert len(rows) == 1
    [found] = [line.split() for line in
               site.ctl("db", "prune", "--dry-run").splitlines()
               if line.startswith("iredapd.greylisting_tracking ")]
    assert found[1] == "1"
    assert site.mariadb.rows("SELECT * FROM iredapd.greylisting_tracking"
                             ) == rows


def go_back(site):
    """policyd stops, the old daemon has its port and its tables again."""
    site.policyd.stop()
    site.old = Dunno(site.ports["policy"])
    with Client(site.ports["policy"]) as client:
        assert client.ask() == "DUNNO"
    assert site.mariadb.rows("SELECT max_rcpts FROM iredapd.throttle") == [
        {"max_rcpts": 1}]
    # What it asks for when it looks for a triplet.
    assert site.mariadb.value(
        "SELECT COUNT(*) FROM iredapd.greylisting_tracking WHERE"
        " sender = 'x@far.example' AND recipient = 'alice@example.com'"
        " AND passed = 0") == 1


def test_switching(site):
    settings = site.settings()
    see_what_would_change(site, settings)
    write_the_configuration(site, settings)
    parallel = run_it_beside_iredapd(site)
    let_it_answer(site, parallel)
    ask_why(site)
    administrate(site)
    go_back(site)
