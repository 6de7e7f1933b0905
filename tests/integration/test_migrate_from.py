"""Switching to policyd from other programs, on files and databases as those
programs make them."""

import os

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
