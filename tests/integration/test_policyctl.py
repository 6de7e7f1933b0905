"""policyctl against a running daemon: what it shows, changes and refuses."""

import json
import os

import pytest

from harness import wait_for
from harness.policy import end_of_message

ALICE = "alice@example.com"
CLIENT = "192.0.2.10"
LATER = "451 4.7.1 Intentional policy rejection, please try again later"

DONE, FINDINGS, USAGE, NOT_FOUND, NO_DAEMON, REFUSED, NO_DATABASE = range(7)


def run(policyd, *words):
    done = policyd.ctl_run(*words)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", [
    ("status",), ("stats",), ("rules",), ("policy", "show", "example.com"),
    ("policy", "check"), ("greylist", "list"),
    ("greylist", "whitelist", "list"), ("throttle", "list"),
    ("throttle", "show", ALICE), ("greylist", "show", ALICE),
    ("config", "show"), ("config", "check"),
    ("version",), ("db", "status")])
def test_everything_is_shown_to_people_and_as_json(policyd, words):
    policyd.ctl("throttle", "set", ALICE, "--max-msgs", "5", "--period", "1h")
    with policyd.client() as client:
        assert client.ask() == LATER
    wait_for(lambda: policyd.database.rows(
        "SELECT 1 FROM iredapd.greylisting_tracking"), "the triplet's row")
    status, out, err = run(policyd, *words)
    assert (status, err) == (DONE, ""), out + err
    assert "\033" not in out
    status, out, err = run(policyd, "--json", *words)
    assert (status, err) == (DONE, ""), out + err
    json.loads(out)


@pytest.mark.parametrize("words, nearest", [
    (("stauts",), "status"), (("greylist", "lsit"), "list"),
    (("policy", "set", "example.com", "throtle.mode", "off"),
     "throttle.mode"), (("tial",), "tail")])
def test_an_unknown_word_suggests_the_nearest(policyd, words, nearest):
    status, out, err = run(policyd, *words)
    assert status == USAGE
    assert out == ""
    assert nearest in err


def test_no_daemon(configured):
    status, _, err = run(configured, "status")
    assert status == NO_DAEMON
    assert "control" in err


def test_not_found(policyd):
    status, out, err = run(policyd, "explain", "ZZZZZZZZ")
    assert status == NOT_FOUND
    assert "ZZZZZZZZ" in out + err


def test_no_database(policyd, mariadb):
    with policyd.client() as client:
        client.ask()
    mariadb.kill()
    status, _, err = run(policyd, "greylist", "disable", "--to",
                         "example.com")
    assert status == NO_DATABASE, err
    mariadb.start()


def test_the_socket_is_closed_to_others(policyd):
    path = os.path.join(policyd.directory, "control")
    assert os.stat(path).st_mode & 0o007 == 0


def test_status_names_its_parts(policyd):
    status = policyd.json("status")
    assert {one["name"] for one in status["databases"]} == {
        "iredapd", "vmail", "policyd", "amavisd"}
    rows = {one["name"]: one["rows"] for one in status["tables"]}
    assert rows["iredapd.greylisting"] == 1
    assert status["findings"] == []
    assert status["node"] == "test"


@pytest.mark.settings({"amavisd_db.name": ""})
def test_a_site_without_amavisd(policyd):
    status = policyd.json("status")
    assert {one["name"] for one in status["databases"]} == {
        "iredapd", "vmail", "policyd"}
    assert status["findings"] == []
    assert not [one for one in status["tables"]
                if one["name"].startswith("amavisd")]
    names = [one["database"]
             for one in policyd.json("db", "status")["databases"]]
    assert names == ["policyd", "iredapd"]
    with policyd.client() as client:
        assert client.ask(queue_id="4XYZ9") == LATER
    assert "this site has no amavisd" in policyd.ctl("explain", "4XYZ9")


def test_db_status_shows_the_database_of_amavisd(policyd):
    rows = {one["database"]: one
            for one in policyd.json("db", "status")["databases"]}
    assert rows["amavisd"]["exists"] is True
    assert rows["amavisd"]["user"] == "policyd"


@pytest.mark.parametrize("account, stored", [
    ("example.com", "@example.com"), ("@example.com", "@example.com"),
    (".example.com", "@.example.com"), ("@.example.com", "@.example.com"),
    (ALICE, ALICE), ("Alice@Example.COM", ALICE), ("*", "@."), ("@.", "@.")])
def test_plain_and_stored_forms_of_accounts(policyd, account, stored):
    policyd.ctl("policy", "set", account, "greylisting.mode", "observe",
                "--reason", "because")
    rows = policyd.database.rows("SELECT * FROM policyd.setting")
    assert [(row["account"], row["name"], row["value"], row["reason"])
            for row in rows] == [
        (stored, "greylisting.mode", "observe", "because")]
    assert rows[0]["changed_by"] != ""
    assert rows[0]["changed_at"] > 0
    policyd.ctl("policy", "unset", account, "greylisting.mode")
    assert policyd.database.rows("SELECT * FROM policyd.setting") == []


def test_a_wrong_value_is_refused(policyd):
    status, _, err = run(policyd, "policy", "set", "example.com",
                         "greylisting.mode", "maybe")
    assert status == USAGE
    assert "observe" in err
    assert policyd.database.rows("SELECT * FROM policyd.setting") == []


def test_settings_hold_at_once(policyd):
    with policyd.client() as client:
        assert client.ask() == LATER
        policyd.ctl("policy", "set", "example.com", "greylisting.mode", "off")
        assert client.ask() == "DUNNO"
        assert "off" in policyd.ctl("policy", "show", ALICE)
        policyd.ctl("policy", "unset", "example.com", "greylisting.mode")
        assert client.ask() == LATER


def test_greylist_disable_and_enable(policyd):
    with policyd.client() as client:
        policyd.ctl("greylist", "disable", "--to", "example.com")
        assert client.ask() == "DUNNO"
        rows = policyd.database.rows(
            "SELECT account, priority, sender, sender_priority, active"
            " FROM iredapd.greylisting WHERE account != '@.'")
        assert rows == [{"account": "@example.com", "priority": 60,
                         "sender": "@.", "sender_priority": 0, "active": 0}]
        policyd.ctl("greylist", "enable", "--to", "example.com")
        assert client.ask() == LATER
        policyd.ctl("greylist", "disable", "--from", "2001:db8::/32")
        assert client.ask(client_address="2001:db8::5") == LATER
        policyd.ctl("greylist", "remove", "--to", "example.com")
        assert client.ask(client_address="2001:db8::5") == "DUNNO"


def test_greylist_whitelist(policyd):
    with policyd.client() as client:
        for entry in ("192.0.2.0/24", "2001:db8::/32", "sender.example",
                      "someone@sender.example"):
            assert client.ask(client_address=CLIENT) == LATER
            policyd.ctl("greylist", "whitelist", "add", entry)
            address = "2001:db8::1" if ":" in entry else CLIENT
            assert client.ask(client_address=address) == "DUNNO", entry
            assert entry in policyd.ctl("greylist", "whitelist", "list")
            policyd.ctl("greylist", "whitelist", "remove", entry)
        status, _, _ = run(policyd, "greylist", "whitelist", "remove",
                           "nobody.example")
        assert status == NOT_FOUND


@pytest.mark.parametrize("what", [CLIENT, "someone@sender.example", ALICE])
def test_greylist_show_pass_and_forget(policyd, what):
    with policyd.client() as client:
        assert client.ask(client_address=CLIENT) == LATER
        # Its row is written after the answer.
        wait_for(lambda: policyd.ctl_run("greylist", "show", what).returncode
                 == 0, "the row")
        shown = policyd.ctl("greylist", "show", what)
        for word in ("192.0.2.0/24", "someone@sender.example", ALICE):
            assert word in shown, shown
        policyd.ctl("greylist", "pass", what)
        assert client.ask(client_address=CLIENT) == "DUNNO"
        policyd.ctl("greylist", "forget", what)
        assert client.ask(client_address=CLIENT) == LATER


def test_throttle_set_show_and_unset(policyd):
    policyd.ctl("throttle", "set", "example.com", "inbound", "--period", "1h",
                "--max-msgs", "5", "--msg-size", "10M")
    rows = policyd.database.rows(
        "SELECT account, kind, priority, period, msg_size, max_msgs,"
        " max_quota, max_rcpts FROM iredapd.throttle")
    assert rows == [{"account": "@example.com", "kind": "inbound",
                     "priority": 60, "period": 3600,
                     "msg_size": 10 << 20, "max_msgs": 5, "max_quota": -1,
                     "max_rcpts": -1}]
    with policyd.client() as client:
        for at in range(7):
            expected = "DUNNO" if at < 5 else \
                "REJECT Throttling quota exceeded"
            assert client.ask_at_end(instance="t.%d" % at) == expected
    assert "5" in policyd.ctl("throttle", "show", ALICE)
    policyd.ctl("throttle", "unset", "example.com", "inbound")
    assert policyd.database.rows("SELECT * FROM iredapd.throttle") == []
    with policyd.client() as client:
        assert client.ask_at_end() == "DUNNO"


def test_explain_by_code_queue_id_and_address(policyd):
    with policyd.client() as client:
        assert client.ask(client_address=CLIENT, queue_id="4XYZ1") == LATER
    shown = {what: policyd.ctl("explain", what)
             for what in ("4XYZ1", ALICE, CLIENT, "someone@sender.example")}
    for what, text in shown.items():
        for word in ("greylisting", "Intentional policy rejection",
                     "someone@sender.example", ALICE, CLIENT):
            assert word in text, (what, text)
    told = policyd.json("explain", "4XYZ1")
    code = next(value for value in _texts_under(told, "code"))
    assert "greylisting" in policyd.ctl("explain", code)
    rules = {rule["rule"]: rule["outcome"] for rule in told[0]["rules"]}
    assert rules["greylisting"] == "deferred"


def test_explain_names_a_null_sender(policyd):
    with policyd.client() as client:
        assert client.ask(sender="", sasl_username=ALICE).startswith("REJECT")
    lines = policyd.ctl("explain", ALICE).splitlines()
    assert ["sender", "<>"] in [line.split() for line in lines]
    assert " sender=<> " in policyd.log()


def test_explain_tells_only_limits_that_there_are(policyd):
    policyd.ctl("throttle", "set", ALICE, "--max-msgs", "1", "--period", "1h")
    with policyd.client() as client:
        asks = [client.ask_at_end(sender=ALICE, sasl_username=ALICE,
                                  recipient="you@elsewhere.example",
                                  queue_id="4XYZ%d" % n) for n in (3, 4)]
    assert asks[0] == "DUNNO" and asks[1].startswith("REJECT")
    text = policyd.ctl("explain", "4XYZ4")
    assert "max_messages" in text
    assert "max_bytes" not in text


def _texts_under(value, key):
    if isinstance(value, dict):
        if isinstance(value.get(key), str):
            yield value[key]
        for one in value.values():
            yield from _texts_under(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _texts_under(one, key)


def test_explain_outlives_the_daemon(policyd):
    """The journal in policyd.decision is asked when memory knows nothing."""
    with policyd.client() as client:
        assert client.ask(client_address=CLIENT, queue_id="4XYZ2") == LATER
    policyd.stop()
    policyd.start()
    assert "Intentional policy rejection" in policyd.ctl("explain", "4XYZ2")


def _problems(policyd, *words):
    return {row["account"]: row.get("problem")
            for row in policyd.json(*words)}


def test_rows_that_make_no_sense(configured):
    database = configured.database
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, period, max_msgs)"
        " VALUES ('@example.com', 'sideways', 60, 1),"
        " ('sender@sender.example', 'external', 3600, 1)")
    database.execute("INSERT INTO iredapd.greylisting_whitelists"
                     " (account, sender) VALUES ('@.', '192.0.2.0/99')")
    configured.spawn()
    configured.wait_for_log("sideways")
    configured.wait_for_log("192.0.2.0/99")
    status, out, _ = run(configured, "policy", "check")
    assert status == FINDINGS
    assert "iredapd.throttle" in out
    assert "iredapd.greylisting_whitelists" in out
    assert _problems(configured, "throttle", "list") == {
        "@example.com": "its kind is not outbound, inbound or external",
        "sender@sender.example": None}
    assert _problems(configured, "greylist", "whitelist", "list") == {
        "@.": "its sender is not an address, a domain, a client or a network"}
    assert "Problem" not in configured.ctl("greylist", "list")
    with configured.client() as client:
        limited = dict(sender="sender@sender.example")
        client.send(end_of_message(instance="a", **limited) +
                    end_of_message(instance="b", **limited))
        assert client.reply() == "DUNNO"
        assert client.reply() == "REJECT Throttling quota exceeded"


def test_migrating_again_changes_nothing(configured, mariadb):
    before = mariadb.rows("SELECT * FROM policyd.schema_migration"
                          " ORDER BY database_name, number")
    assert [(row["database_name"], row["number"]) for row in before] == [
        ("iredapd", 1), ("iredapd", 2), ("iredapd", 3),
        ("iredapd", 4), ("iredapd", 5),
        ("policyd", 1), ("policyd", 2), ("policyd", 3), ("policyd", 4),
        ("policyd", 5), ("policyd", 6), ("policyd", 7), ("policyd", 8),
        ("policyd", 9)]
    configured.migrate()
    assert mariadb.rows("SELECT * FROM policyd.schema_migration"
                        " ORDER BY database_name, number") == before


def test_an_existing_schema_is_adopted(configured, mariadb):
    """As iRedMail left it: narrow counters, rows, no migrations known."""
    try:
        mariadb.execute("DELETE FROM policyd.schema_migration")
        mariadb.execute("DELETE FROM iredapd.greylisting")
        mariadb.execute(
            "ALTER TABLE iredapd.throttle_tracking"
            " MODIFY cur_msgs MEDIUMINT UNSIGNED NOT NULL DEFAULT 0,"
            " MODIFY cur_quota INT UNSIGNED NOT NULL DEFAULT 0,"
            " DROP COLUMN admitted")
        sql = os.path.join(os.path.dirname(os.path.dirname(
            os.path.dirname(os.path.abspath(__file__)))), "conf/sql")
        plan = configured.ctl("db", "migrate", "--plan", "--sql-dir", sql,
                              status=None)
        assert "002" in plan or "wide_counters" in plan, plan
        assert mariadb.rows("SELECT * FROM policyd.schema_migration") == []
    finally:
        configured.migrate()
    types = {row["COLUMN_NAME"]: row["COLUMN_TYPE"] for row in mariadb.rows(
        "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.columns"
        " WHERE table_schema = 'iredapd'"
        " AND table_name = 'throttle_tracking'")}
    assert types["cur_msgs"] == types["cur_quota"] == "bigint(20) unsigned"
    assert "admitted" in types
    # The default row was deleted by the administrator and stays deleted.
    assert mariadb.rows("SELECT * FROM iredapd.greylisting") == []


def test_the_daemon_says_which_migration_is_missing(configured, mariadb):
    mariadb.execute("DELETE FROM policyd.schema_migration"
                    " WHERE database_name = 'iredapd' AND number = 3")
    try:
        configured.spawn()
        configured.wait_for_log("migrat")
        assert "003" in configured.log() or \
            "reservation" in configured.log()
    finally:
        configured.migrate()
