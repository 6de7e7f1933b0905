"""Switching to policyd from other programs, on files and databases as those
programs make them."""

import os
import subprocess
import time

import pytest

# iRedAPD's own settings, as its sample and its defaults write them.
SETTINGS = """\
# -*- coding: utf-8 -*-
from libs.default_settings import *

listen_address = '127.0.0.1'
listen_port = %(port)d
log_level = 'debug'
backend = 'mysql'
plugins = ['reject_null_sender', "greylisting",  # in this order
           'throttle',
           'custom_relay']
vmail_db_server = '%(socket)s'
vmail_db_port = '3306'
vmail_db_name = 'vmail'
vmail_db_user = 'policyd'
vmail_db_password = "%(password)s"
iredapd_db_server = '%(socket)s'
iredapd_db_port = '3306'
iredapd_db_name = 'iredapd'
iredapd_db_user = 'policyd'
iredapd_db_password = "%(password)s"
MYNETWORKS = ['192.0.2.77/24']
GREYLISTING_MESSAGE = 'Come back later, please'
GREYLISTING_BLOCK_EXPIRE = 1
"""

CUSTOM = """\
GREYLISTING_BLOCK_EXPIRE = 2
NOTIFICATION_RECIPIENTS = ["o'brien@example.com"]
SRS = load('secrets')
"""


@pytest.fixture
def settings(tmp_path, mariadb, ports):
    path = tmp_path / "settings.py"
    path.write_text(SETTINGS % {"port": ports[0], "socket": mariadb.socket,
                                "password": mariadb.PASSWORD})
    (tmp_path / "custom_settings.py").write_text(CUSTOM)
    return path


def by_setting(reply):
    return {(row["setting"], row["value"]): row for row in reply["settings"]}


def test_iredapd_plan_writes_nothing(configured, settings, tmp_path):
    output = tmp_path / "made.conf"
    before = sorted(os.listdir(tmp_path))
    reply = configured.json("migrate", "from", "iredapd", "--plan",
                            "--settings", str(settings),
                            "--output", str(output), status=1)
    rows = by_setting(reply)
    assert sorted(os.listdir(tmp_path)) == before
    row = rows["GREYLISTING_BLOCK_EXPIRE", "2"]
    assert (row["fate"], row["ours"], row["place"]) == (
        "carried", "greylisting.block_expire = 2m", "custom_settings.py:1")
    row = rows["MYNETWORKS", "['192.0.2.77/24']"]
    assert row["fate"] == "changed"
    assert row["ours"] == "mail.trusted_networks = 192.0.2.0/24"
    assert rows["plugins", "custom_relay"]["fate"] == "by hand"
    row = rows["NOTIFICATION_RECIPIENTS", "['o\\'brien@example.com']"]
    assert row["ours"] == "notify.recipients = o'brien@example.com"
    text = configured.ctl("migrate", "from", "iredapd", "--plan",
                          "--settings", str(settings), status=1)
    assert "not'a%secret#1" not in text
    assert "nothing was written" in text


def test_iredapd_file_serves(configured, settings, tmp_path, directory):
    """What is made is taken as it is: by config check, db migrate, policyd."""
    output = tmp_path / "made.conf"
    words = ("migrate", "from", "iredapd", "--settings", str(settings),
             "--output", str(output))
    configured.ctl(*words, status=1)
    assert oct(os.stat(output).st_mode & 0o777) == "0o644"
    for name in ("vmail_db", "iredapd_db"):
        path = tmp_path / (name + ".password")
        assert oct(os.stat(path).st_mode & 0o777) == "0o600"
        assert path.read_text() == "not'a%secret#1\n"
    assert "not'a%secret#1" not in output.read_text()
    assert sorted(os.listdir(tmp_path)) == [
        "custom_settings.py", "iredapd_db.password", "made.conf",
        "settings.py", "vmail_db.password"]
    configured.ctl("config", "check", str(output))

    made = output.read_text()
    refused = configured.ctl_run(*words)
    assert refused.returncode == 5 and "--force" in refused.stderr
    assert output.read_text() == made
    configured.ctl(*words, "--force", status=1)
    assert output.read_text() == made

    # For the test: where it may run, and its log.
    configured.write_config(made.replace("[policyd]\n", (
        "[policyd]\nuser = nobody\ngroup = nogroup\n"
        "control_socket = unix:%s/control\n" % configured.directory)
    ).replace("[log]\n", "[log]\ntarget = stderr\n"))
    configured.migrate().start()
    with configured.client() as client:
        assert client.ask(client_address="198.51.100.9") == \
            "451 4.7.1 Come back later, please"
        assert client.ask(client_address="192.0.2.9") == "DUNNO"


def test_iredapd_settings_that_are_no_file(configured, tmp_path):
    missing = configured.ctl_run("migrate", "from", "iredapd", "--settings",
                                 str(tmp_path / "none.py"))
    assert missing.returncode == 2 and "none.py" in missing.stderr
    large = tmp_path / "large.py"
    large.write_text("# nothing\n" * 200000)
    refused = configured.ctl_run("migrate", "from", "iredapd", "--settings",
                                 str(large))
    assert refused.returncode == 2 and "1 MiB" in refused.stderr


# --- greylisting of others ---------------------------------------------------

def tracking(mariadb):
    return {(row["client_address"], row["sender"], row["recipient"]): row
            for row in mariadb.rows(
                "SELECT * FROM iredapd.greylisting_tracking")}


def table_of(reply, name):
    return {(row["from"], row["table"]): row for row in reply.get(name, [])}


def reasons(reply):
    return {(row["from"], row["example"]): row["reason"]
            for row in reply.get("dropped", [])}


def make_bdb(path, pairs, is_dump=False):
    lines = ["VERSION=3", "format=bytevalue", "type=btree", "HEADER=END"]
    for key, value in pairs.items():
        lines += [" " + key.encode().hex(), " " + value.encode().hex()]
    text = "\n".join(lines + ["DATA=END"]) + "\n"
    if is_dump:
        path.write_text(text)
    else:
        subprocess.run(["db5.3_load", str(path)], input=text, text=True,
                       check=True)


WHITE_CLIENTS = """\
# postgrey whitelist for mail client hostnames
192.0.2.1
198.51.100   # a network
203.0.113.0/25
2001:db8:5::/48
southwest.com
/^ms-smtp.*\\.rr\\.com$/
"""

WHITE_RECIPIENTS = """\
postmaster@
o'brien@example.org
example.net
/^help@/
"""


@pytest.fixture
def postgrey(tmp_path):
    now = int(time.time())
    make_bdb(tmp_path / "postgrey.db", {
        "192.0.2.0/o'brien@example.com/a=b@example.org":
            "%d,%d" % (now - 1000, now - 500),
        "2001:db8:1:2::/x/y@example.com/j\u00fcrgen@example.org":
            "%d,%d" % (now - 1000, now - 990),
        "198.51.100.0//a$b@example.org":
            "%d,%d" % (now - 500, now - 100),
        "203.0.113.0/old@example.com/b@example.org": "1000000,1000900",
        "10.0.0.0/%s@example.com/b@example.org" % ("x" * 260):
            "%d,%d" % (now, now),
        "da39a3ee5e6b4b0d3255bfef95601890afd80709": "%d,%d" % (now, now),
    })
    make_bdb(tmp_path / "postgrey_clients.db", {
        "203.0.113.99": "7,%d" % (now - 3600),
        "203.0.113.1": "4,%d" % (now - 3600),
    })
    (tmp_path / "whitelist_clients").write_text(WHITE_CLIENTS)
    (tmp_path / "whitelist_recipients").write_text(WHITE_RECIPIENTS)
    return ("migrate", "from", "postgrey", "--data", str(tmp_path),
            "--whitelists", str(tmp_path))


def test_postgrey(configured, mariadb, postgrey):
    plan = configured.json(*postgrey, "--plan")
    assert table_of(plan, "rows")["triplets", "greylisting_tracking"][
        "rows"] == 3
    assert tracking(mariadb) == {}

    # What the administrator has stays.
    mariadb.execute(
        "INSERT INTO iredapd.greylisting_tracking (sender, recipient,"
        " client_address, blocked_count) VALUES"
        " ('', 'a$b@example.org', '198.51.100.0/24', 77)")
    mariadb.execute("INSERT INTO iredapd.greylisting (account, sender, active)"
                    " VALUES (%s, '@.', 1)", ("o'brien@example.org",))
    reply = configured.json(*postgrey)
    rows = table_of(reply, "rows")
    assert rows["triplets", "greylisting_tracking"]["added"] == 2
    assert rows["triplets", "greylisting_tracking"]["there"] == 1
    assert rows["clients", "greylisting_tracking"]["added"] == 1

    known = tracking(mariadb)
    passed = known["192.0.2.0/24", "o'brien@example.com", "a=b@example.org"]
    assert passed["passed"] == 1
    assert passed["record_expired"] - passed["init_time"] == \
        500 + 30 * 86400
    assert passed["sender_domain"] == "example.com"
    assert passed["rcpt_domain"] == "example.org"
    waits = known["2001:db8:1:2::/64", "x/y@example.com",
                  "j\u00fcrgen@example.org"]
    assert waits["passed"] == 0
    assert waits["record_expired"] - waits["init_time"] == 86400
    assert waits["block_expired"] - waits["init_time"] == 900
    assert known["198.51.100.0/24", "", "a$b@example.org"][
        "blocked_count"] == 77
    assert known["203.0.113.0/24", "", ""]["passed"] == 1

    assert {row["sender"] for row in mariadb.rows(
        "SELECT sender FROM iredapd.greylisting_whitelists"
        " WHERE account = '@.'")} == {
            "192.0.2.1", "198.51.100.0/24", "203.0.113.0/25",
            "2001:db8:5::/48"}
    assert {row["account"]: (row["active"], row["priority"])
            for row in mariadb.rows("SELECT * FROM iredapd.greylisting")} == {
                "@.": (1, 0), "o'brien@example.org": (1, 0),
                "@.example.net": (0, 50)}
    dropped = reasons(reply)
    assert "expired" in dropped["triplets", "203.0.113.0"]
    assert "too long" in dropped["triplets", ("x" * 79)]
    assert "--privacy" in dropped[
        "triplets", "da39a3ee5e6b4b0d3255bfef95601890afd80709"]
    assert "not white-listed" in dropped["clients", "203.0.113.1"]
    assert ("Postgrey whitelist_clients", "southwest.com") in dropped
    assert ("Postgrey whitelist_recipients", "postmaster@") in dropped

    before = tracking(mariadb)
    again = configured.json(*postgrey)
    assert all(row["added"] == 0 for row in again["rows"])
    assert tracking(mariadb) == before

    configured.start()
    with configured.client() as client:
        assert client.ask(client_address="192.0.2.200") == "DUNNO"
        assert client.ask(client_address="203.0.113.200") == "DUNNO"
        assert client.ask(client_address="198.18.0.1").startswith("451")


def test_postgrey_dump(configured, mariadb, tmp_path):
    """The dump in the place of the file, for a machine without db5.3_dump."""
    now = int(time.time())
    make_bdb(tmp_path / "postgrey.db", {
        "192.0.2.0/a@example.com/b@example.org": "%d,%d" % (now, now + 60),
        }, is_dump=True)
    words = ("migrate", "from", "postgrey", "--data", str(tmp_path),
             "--whitelists", str(tmp_path))
    configured.ctl(*words, "--delay", "1m")
    assert [row["passed"] for row in tracking(mariadb).values()] == [1]


def test_postgrey_that_cannot_be_read(configured, tmp_path):
    words = ("migrate", "from", "postgrey", "--data", str(tmp_path))
    missing = configured.ctl_run(*words)
    assert missing.returncode == 3 and "--data" in missing.stderr
    (tmp_path / "postgrey.db").write_text("nothing of that kind\n")
    broken = configured.ctl_run(*words)
    assert broken.returncode == 2 and "postgrey.db" in broken.stderr
    assert configured.ctl_run(*words, "--delay", "soon").returncode == 2


# As SQLgrey makes them.
SQLGREY = """
CREATE DATABASE sqlgrey;
CREATE TABLE sqlgrey.from_awl (sender_name varchar(64) NOT NULL,
  sender_domain varchar(255) NOT NULL, src varchar(39) NOT NULL,
  first_seen timestamp NOT NULL, last_seen timestamp NOT NULL,
  PRIMARY KEY (src, sender_domain, sender_name));
CREATE TABLE sqlgrey.domain_awl (sender_domain varchar(255) NOT NULL,
  src varchar(39) NOT NULL, first_seen timestamp NOT NULL,
  last_seen timestamp NOT NULL, PRIMARY KEY (src, sender_domain));
CREATE TABLE sqlgrey.connect (sender_name varchar(64) NOT NULL,
  sender_domain varchar(255) NOT NULL, src varchar(39) NOT NULL,
  rcpt varchar(255) NOT NULL, first_seen timestamp NOT NULL);
CREATE TABLE sqlgrey.optin_domain (domain varchar(255) NOT NULL PRIMARY KEY);
CREATE TABLE sqlgrey.optin_email (email varchar(255) NOT NULL PRIMARY KEY);
CREATE TABLE sqlgrey.optout_domain (domain varchar(255) NOT NULL PRIMARY KEY);
CREATE TABLE sqlgrey.optout_email (email varchar(255) NOT NULL PRIMARY KEY);
CREATE USER sqlgrey@localhost IDENTIFIED BY 'it''s one';
GRANT SELECT ON sqlgrey.* TO sqlgrey@localhost;
INSERT INTO sqlgrey.from_awl VALUES
  ('o''brien', 'example.com', '192.0.2', NOW(), NOW()),
  ('-undef-', '-undef-', '198.51.100.7', NOW(), NOW()),
  ('old', 'example.com', '10.0.0', '2001-01-01', '2001-01-02');
INSERT INTO sqlgrey.from_awl SELECT CONCAT('many', seq), 'example.com',
  '203.0.113', NOW(), NOW() FROM sqlgrey.seq_1_to_10000;
INSERT INTO sqlgrey.domain_awl VALUES
  ('example.com', '2001:db8:7:8', NOW(), NOW());
INSERT INTO sqlgrey.connect VALUES
  ('a$b', 'example.com', '198.18.5', '=x@example.org', NOW()),
  ('x', 'example.com', 'nonsense', 'b@example.org', NOW());
INSERT INTO sqlgrey.optout_domain VALUES ('example.net');
INSERT INTO sqlgrey.optin_email VALUES ('in@example.net'), ('both@example.net');
INSERT INTO sqlgrey.optout_email VALUES ('both@example.net');
"""


@pytest.fixture
def sqlgrey(configured, mariadb, tmp_path):
    mariadb.run_script(SQLGREY)
    (tmp_path / "password").write_text("it's one\n")
    (tmp_path / "clients_ip_whitelist").write_text(
        "64.12.137   # AOL\n2001:db8::/32\n")
    (tmp_path / "clients_fqdn_whitelist.local").write_text("*.example.com\n")
    yield ("migrate", "from", "sqlgrey", "--password-file",
           str(tmp_path / "password"), "--whitelists", str(tmp_path),
           "--opt-method", "optout")
    mariadb.execute("DROP DATABASE sqlgrey")
    mariadb.execute("DROP USER sqlgrey@localhost")


def test_sqlgrey(configured, mariadb, sqlgrey):
    plan = configured.json(*sqlgrey, "--plan")
    assert table_of(plan, "rows")[
        "SQLgrey from_awl", "greylisting_tracking"]["rows"] == 10002
    assert tracking(mariadb) == {}
    reply = configured.json(*sqlgrey)
    assert table_of(reply, "rows")[
        "SQLgrey from_awl", "greylisting_tracking"]["added"] == 10002
    known = tracking(mariadb)
    assert known["192.0.2.0/24", "o'brien@example.com", ""]["passed"] == 1
    assert known["198.51.100.0/24", "", ""]["passed"] == 1
    assert known["2001:db8:7:8::/64", "@example.com", ""]["passed"] == 1
    waits = known["198.18.5.0/24", "a$b@example.com", "=x@example.org"]
    assert waits["passed"] == 0 and waits["rcpt_domain"] == "example.org"
    assert {row["sender"] for row in mariadb.rows(
        "SELECT sender FROM iredapd.greylisting_whitelists")} == {
            "64.12.137.0/24", "2001:db8::/32"}
    assert {row["account"]: row["active"] for row in mariadb.rows(
        "SELECT * FROM iredapd.greylisting")} == {
            "@.": 1, "@example.net": 0, "in@example.net": 1,
            "both@example.net": 0}
    dropped = reasons(reply)
    assert "expired" in dropped["SQLgrey from_awl", "10.0.0"]
    assert "not an address" in dropped["SQLgrey connect", "nonsense"]
    assert ("SQLgrey whitelists", "*.example.com") in dropped
    again = configured.json(*sqlgrey)
    assert all(row["added"] == 0 for row in again["rows"])
    assert tracking(mariadb) == known


def test_sqlgrey_that_cannot_be_read(configured, mariadb, sqlgrey, tmp_path):
    refused = configured.ctl_run(*sqlgrey, "--user", "nobody")
    assert refused.returncode in (5, 6) and "Access denied" in refused.stderr
    assert configured.ctl_run(*sqlgrey, "--opt-method",
                              "perhaps").returncode == 2
    mariadb.execute("DROP TABLE sqlgrey.domain_awl")
    refused = configured.ctl_run(*sqlgrey)
    assert refused.returncode == 5 and "domain_awl" in refused.stderr


# As Cluebringer makes them, with what iRedAdmin puts in.
CLUEBRINGER = """
CREATE DATABASE cluebringer;
CREATE TABLE cluebringer.greylisting (ID SERIAL, PolicyID BIGINT,
  Name VARCHAR(255) NOT NULL, UseGreylisting SMALLINT,
  Disabled SMALLINT NOT NULL DEFAULT 0);
CREATE TABLE cluebringer.greylisting_whitelist (ID SERIAL,
  Source VARCHAR(255) NOT NULL, Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0, UNIQUE (Source));
CREATE TABLE cluebringer.policy_groups (ID SERIAL,
  Name VARCHAR(255) NOT NULL, Disabled SMALLINT NOT NULL DEFAULT 0,
  Comment VARCHAR(1024));
CREATE TABLE cluebringer.policy_group_members (ID SERIAL,
  PolicyGroupID BIGINT, Member VARCHAR(255) NOT NULL,
  Disabled SMALLINT NOT NULL DEFAULT 0, Comment VARCHAR(1024));
CREATE TABLE cluebringer.quotas (ID SERIAL, PolicyID BIGINT,
  Name VARCHAR(255) NOT NULL, Track VARCHAR(255) NOT NULL, Period BIGINT,
  Verdict VARCHAR(255), Data TEXT, Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0);
CREATE TABLE cluebringer.quotas_limits (ID SERIAL, QuotasID BIGINT,
  Type VARCHAR(255), CounterLimit BIGINT, Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0);
INSERT INTO cluebringer.greylisting VALUES
  (1, 1, 'Greylisting Inbound Emails', 1, 0);
INSERT INTO cluebringer.greylisting_whitelist VALUES
  (1, 'SenderIP:192.0.2.1', 'it''s one', 0),
  (2, 'SenderIP:198.51.100.0/24', NULL, 0),
  (3, 'SenderIP:203.0.113.1', NULL, 1), (4, 'host*.example.com', NULL, 0);
INSERT INTO cluebringer.policy_groups VALUES
  (1, 'no_greylisting_for_internal', 0, NULL), (2, 'other', 0, NULL);
INSERT INTO cluebringer.policy_group_members VALUES
  (1, 1, '@example.org', 0, NULL), (2, 1, 'O''Brien@example.net', 0, NULL),
  (3, 1, '@off.example', 1, NULL), (4, 1, '%internal_domains', 0, NULL),
  (5, 2, '@other.example', 0, NULL);
INSERT INTO cluebringer.quotas (ID, Name, Track, Period, Disabled) VALUES
  (1, 'default_inbound', 'Recipient:user@domain', 600, 0),
  (2, 'default_outbound', 'Sender:user@domain', 3600, 0),
  (3, 'outbound_example.org', 'Sender:user@domain', 60, 0),
  (4, 'inbound_o''brien@example.org', 'x', 61, 0),
  (5, 'outbound_off.example', 'x', 62, 1), (6, 'my own', 'x', 63, 0),
  (7, 'outbound_none.example', 'x', 64, 0),
  (8, 'outboundXmail.example', 'x', 65, 0);
INSERT INTO cluebringer.quotas_limits (QuotasID, Type, CounterLimit, Disabled)
  VALUES (1, 'MessageCount', 10, 0), (1, 'MessageCumulativeSize', 2000, 0),
  (2, 'MessageCount', 20, 0), (2, 'MessageCumulativeSize', 7, 1),
  (3, 'MessageCumulativeSize', 3000, 0), (4, 'MessageCount', 40, 0),
  (5, 'MessageCount', 50, 0), (6, 'MessageCount', 60, 0),
  (8, 'MessageCount', 80, 0);
"""


@pytest.fixture
def cluebringer(configured, mariadb):
    mariadb.run_script(CLUEBRINGER)
    yield "migrate", "from", "cluebringer", "--user", "root"
    mariadb.execute("DROP DATABASE cluebringer")


def test_cluebringer(configured, mariadb, cluebringer):
    mariadb.execute("INSERT INTO iredapd.throttle (account, kind, period,"
                    " max_msgs) VALUES ('@.', 'inbound', 1, 2)")
    plan = configured.json(*cluebringer, "--plan")
    assert table_of(plan, "rows")["Cluebringer quotas", "throttle"][
        "rows"] == 4
    assert len(mariadb.rows("SELECT 1 FROM iredapd.throttle")) == 1

    reply = configured.json(*cluebringer)
    # Greylisting is off for them, and not on.
    assert {row["account"]: (row["active"], row["priority"])
            for row in mariadb.rows("SELECT * FROM iredapd.greylisting")} == {
                "@.": (1, 0), "@example.org": (0, 60),
                "o'brien@example.net": (0, 100)}
    assert {row["sender"]: row["comment"] for row in mariadb.rows(
        "SELECT * FROM iredapd.greylisting_whitelists")} == {
            "192.0.2.1": "it's one", "198.51.100.0/24": ""}
    assert {(row["account"], row["kind"]): (
        row["priority"], row["period"], row["msg_size"], row["max_msgs"],
        row["max_quota"], row["max_rcpts"])
            for row in mariadb.rows("SELECT * FROM iredapd.throttle")} == {
                ("@.", "inbound"): (0, 1, -1, 2, -1, -1),
                ("@.", "outbound"): (0, 3600, -1, 20, -1, -1),
                ("@example.org", "outbound"): (60, 60, -1, -1, 3000, -1),
                ("o'brien@example.org", "inbound"):
                    (100, 61, -1, 40, -1, -1)}
    dropped = reasons(reply)
    assert ("Cluebringer greylisting_whitelist", "host*.example.com") in dropped
    assert ("Cluebringer no_greylisting_for_internal",
            "%internal_domains") in dropped
    assert "no limit" in dropped[
        "Cluebringer quotas", "outbound_none.example"]
    assert ("Cluebringer quotas", "my own") in dropped

    again = configured.json(*cluebringer)
    assert all(row["added"] == 0 for row in again["rows"])


def test_cluebringer_without_greylisting(configured, mariadb, cluebringer):
    mariadb.execute("UPDATE cluebringer.greylisting SET UseGreylisting = 0")
    mariadb.execute("DELETE FROM iredapd.greylisting")
    reply = configured.json(*cluebringer)
    assert {row["account"] for row in mariadb.rows(
        "SELECT * FROM iredapd.greylisting")} == {
            "@example.org", "o'brien@example.net"}
    assert ("Cluebringer greylisting", "*") in reasons(reply)
