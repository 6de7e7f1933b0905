"""Every rule at once, while databases come and go, settings change, and
processes die."""

import os
import signal
import subprocess
import threading
import time

import pytest

from harness import SOURCE, wait_for
from harness.dns import Answer, DnsServer, listed
from harness.policy import Client, Closed

ALICE, BOB = "alice@example.com", "bob@example.com"
FAR = "x@elsewhere.example"
NEWS, TEAM = "news@example.com", "team@example.com"
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
UNAVAILABLE = ("451 4.3.0 Service temporarily unavailable, "
               "please try again later")
BLACKLISTED = "REJECT Blacklisted"
NO = "REJECT Not authorized"
BAD_CLIENT = "192.0.2.66"

# rule: (request, answer, whether what was read before stays in force)
CASES = {
    "reject_sender_login_mismatch": (
        {"sender": BOB, "sasl_username": ALICE, "recipient": FAR},
        "REJECT Sender is not same as SMTP authenticate username", False),
    "force_password_change": (
        {"sender": ALICE, "sasl_username": ALICE, "recipient": FAR},
        "REJECT Password expired or never changed, please change your "
        "password in webmail before sending email", False),
    "ml_access_policy": ({"recipient": NEWS}, NO, False),
    "alias_access_policy": ({"recipient": TEAM}, NO, False),
    "amavisd_wblist": (
        {"sender": "bad@remote.example"}, BLACKLISTED, True),
    "wblist_rdns": (
        {"reverse_client_name": "bad.remote.example"}, BLACKLISTED, True),
    "reputation": (
        {"client_address": BAD_CLIENT},
        "REJECT Server IP address %s has bad reputation, listed by "
        "bl.example" % BAD_CLIENT, True),
    "greylisting": ({}, LATER, False),
}
ALL = {"%s.mode" % rule: "enforce" for rule in
       list(CASES) + ["throttle", "whitelist_outbound_recipient",
                      "reject_to_hostname"]}


@pytest.fixture
def dns():
    with DnsServer({listed(BAD_CLIENT, "bl.example"):
                    Answer(A=["127.0.0.2"], ttl=1)}) as server:
        yield server


@pytest.fixture
def site(configured, mariadb, vmail, dns):
    """Rows that each rule refuses something for."""
    vmail.database.execute(
        "UPDATE vmail.mailbox SET passwordlastchange = '2001-01-01'")
    vmail.database.execute("DELETE FROM vmail.alias WHERE address = %s", TEAM)
    vmail.database.execute(
        "DELETE FROM vmail.forwardings WHERE address = %s", TEAM)
    vmail.alias(TEAM, "membersonly")
    vmail.member(TEAM, "member@example.com")
    vmail.maillist(NEWS, "domain")
    mariadb.execute("INSERT INTO iredapd.wblist_rdns (rdns, wb)"
                    " VALUES ('bad.remote.example', 'B')")
    mariadb.execute("INSERT INTO amavisd.mailaddr (priority, email)"
                    " VALUES (10, 'bad@remote.example')")
    mariadb.execute(
        "INSERT INTO amavisd.wblist (rid, sid, wb) SELECT u.id, m.id, 'B'"
        " FROM amavisd.users u, amavisd.mailaddr m WHERE u.email = '@.'")

    def configure(**changes):
        settings = dict(ALL, **{
            "dns.resolver": dns.address, "reputation.lists": "bl.example",
            "policyd.decision_deadline": "1s",
            "database.connect_timeout": "500ms"})
        settings.update(changes)
        configured.configure(**settings)
        return configured
    yield configure
    if mariadb.is_running:
        mariadb.thaw()


def ask(policyd, attributes):
    with policyd.client() as client:
        return client.ask(**attributes)


def only(rule):
    """The rules that must not answer for this one."""
    return {"%s.mode" % other: "off" for other in ALL_NAMES if other != rule}


ALL_NAMES = [key.split(".")[0] for key in ALL]
count = iter(range(1000000))


def fresh(rule, attributes):
    """Greylisting remembers: it is asked for somebody else each time."""
    at = next(count)
    if rule == "greylisting":
        return dict(attributes, sender="s%d@sender.example" % at,
                    client_address="198.51.%d.9" % (at % 250))
    return attributes


@pytest.mark.parametrize("on_error", ["accept", "defer"])
@pytest.mark.parametrize("rule", sorted(CASES))
def test_the_database_comes_and_goes(site, mariadb, rule, on_error):
    attributes, answer, stays = CASES[rule]
    unread = UNAVAILABLE if on_error == "defer" else "DUNNO"
    away = answer if stays else unread
    policyd = site(**dict(only(rule), **{rule + ".on_error": on_error}))

    def now():
        return ask(policyd, fresh(rule, attributes))

    mariadb.kill()
    policyd.spawn()
    wait_for(lambda: policyd.ctl_run("status").returncode in (0, 6),
             "the control socket")
    assert now() == unread
    mariadb.start()
    wait_for(lambda: now() == answer, "the rule to work")
    mariadb.freeze()
    try:
        began = time.monotonic()
        assert now() in (away, answer)
        assert time.monotonic() - began < 10
    finally:
        mariadb.thaw()
    wait_for(lambda: now() == answer, "the rule to work after the frost")
    mariadb.kill()
    assert now() in (away, answer)
    mariadb.start()
    wait_for(lambda: now() == answer, "the rule to work again")


def test_a_site_without_amavisd(site):
    policyd = site(**{"amavisd_db.name": "", "greylisting.mode": "off",
                      "amavisd_wblist.on_error": "defer"}).start()
    assert ask(policyd, CASES["amavisd_wblist"][0]) == "DUNNO"
    assert "this site has no database amavisd" in policyd.ctl_run(
        "access", "list").stderr


def test_entries_wait_for_the_database_they_are_in(site, mariadb, clock):
    """Without its note an entry with an end would hold for good."""
    policyd = site(**{"greylisting.mode": "off"}).start()
    policyd.ctl("access", "add", "short@remote.example", "--black",
                "--expires", "1h")
    policyd.stop()
    site(**{"amavisd_db.name": ""}).start()
    clock.advance(3601)
    for options in (("--dry-run",), ()):
        tables = [row["table"]
                  for row in policyd.json("db", "prune", *options)]
        assert "policyd.access" not in tables
    assert mariadb.value("SELECT COUNT(*) FROM policyd.access") == 1
    policyd.stop()
    site().start()
    for options, left in ((("--dry-run",), 1), ((), 0)):
        rows = {row["table"]: row["rows"]
                for row in policyd.json("db", "prune", *options)}
        assert rows["policyd.access"] == 1
        assert mariadb.value("SELECT COUNT(*) FROM policyd.access") == left
    assert mariadb.value("SELECT COUNT(*) FROM amavisd.wblist") == 1


def test_vmail_without_mailing_lists(site, mariadb):
    """As iRedMail made it before it knew mlmmj: what the addresses of vmail
    are cannot be told, and on_error answers; the other rules go on."""
    tables = ("maillists", "maillist_owners")
    for table in tables:
        mariadb.execute("RENAME TABLE vmail.%s TO vmail.%s_away"
                        % (table, table))
    try:
        policyd = site(**{"greylisting.mode": "off"}).start()
        with policyd.client() as client:
            for name in ("wblist_rdns", "amavisd_wblist", "reputation"):
                attributes, answer, _ = CASES[name]
                assert client.ask(**attributes) == answer
            assert client.ask(recipient=TEAM) == "DUNNO"
            policyd.wait_for_log("maillists")
            site(**{"greylisting.mode": "off",
                    "alias_access_policy.on_error": "defer"})
            policyd.ctl("reload")
            assert client.ask(recipient=TEAM) == UNAVAILABLE
    finally:
        for table in tables:
            mariadb.execute("RENAME TABLE vmail.%s_away TO vmail.%s"
                            % (table, table))
    wait_for(lambda: ask(policyd, {"recipient": TEAM}) == NO, "the alias")
    assert ask(policyd, {"recipient": NEWS}) == NO


def test_reload_switches_every_rule(site):
    policyd = site(**{"greylisting.mode": "off"}).start()
    children = policyd.children()
    for mode in ("off", "enforce", "observe", "enforce"):
        changes = {rule + ".mode": mode for rule in ALL_NAMES}
        site(**changes)
        policyd.ctl("reload")
        for rule, (attributes, answer, _) in CASES.items():
            if rule == "greylisting":
                continue
            if mode != "enforce":
                answer = "DUNNO"
            assert ask(policyd, attributes) == answer, (rule, mode)
    assert policyd.children() == children


# --- three processes ----------------------------------------------------------

THREE = {"policyd.policy_processes": "3", "database.table_ttl": "1h",
         "greylisting.mode": "off"}


def paths_of(policyd):
    """Of the control sockets."""
    base = os.path.join(policyd.directory, "control")
    return [base, base + "-1", base + "-2"]


def test_three_processes_know_at_once(site):
    policyd = site(**THREE).start()
    wait_for(lambda: all(map(os.path.exists, paths_of(policyd))), "sockets")
    clients = [policyd.client() for _ in range(30)]

    def answers(sender):
        return {client.ask(sender=sender) for client in clients}

    sender = "someone@remote.example"
    assert answers(sender) == {"DUNNO"}
    policyd.ctl("access", "add", sender, "--black")
    # Each process reads its tables anew when it is told.
    wait_for(lambda: answers(sender) == {BLACKLISTED}, "all processes")
    policyd.ctl("access", "remove", sender, "--black")
    wait_for(lambda: answers(sender) == {"DUNNO"}, "all processes")
    for client in clients:
        client.close()


def test_only_the_first_process_cleans_up(site):
    policyd = site(**dict(THREE, **{"cleanup.enabled": "yes",
                                    "cleanup.interval": "1s"})).start()
    wait_for(lambda: policyd.log().count("cleanup rows=") >= 3, "three runs")
    lines = [line for line in policyd.log().splitlines()
             if "cleanup rows=" in line]
    assert len(lines) <= 8
    assert "clean-up:" not in policyd.log()


def test_killed_under_load_with_all_rules(site):
    """No answer is wrong, and every process is replaced."""
    policyd = site(**THREE).start()
    is_over, wrong, n_right = threading.Event(), [], [0]
    cases = [case for rule, case in CASES.items() if rule != "greylisting"]

    def ask_all():
        at = 0
        while not is_over.is_set():
            try:
                with Client(policyd.ports[0]) as client:
                    while not is_over.is_set():
                        attributes, answer, _ = cases[at % len(cases)]
                        got = client.ask(**attributes)
                        if got != answer:
                            wrong.append((attributes, got))
                        n_right[0] += 1
                        at += 1
            except (Closed, ConnectionError):
                pass

    threads = [threading.Thread(target=ask_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            goal = n_right[0] + 100
            wait_for(lambda: n_right[0] >= goal, "answers")
            os.kill(policyd.children()[-1], signal.SIGKILL)
            wait_for(lambda: len(policyd.children()) == 3, "three processes")
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    # A process that just began may not have read a table yet: it says so.
    assert [one for one in wrong if one[1] not in ("DUNNO", UNAVAILABLE)] == []
    assert len(wrong) < n_right[0] / 10


# --- who asks goes away -------------------------------------------------------

ASKING = [
    ("test", "--sender", "s@sender.example", "--recipient", ALICE,
     "--client", BAD_CLIENT),
    ("db", "prune"), ("db", "prune", "--dry-run"),
    ("reputation", "show", BAD_CLIENT), ("reputation", "allow", BAD_CLIENT),
    ("reputation", "forget", BAD_CLIENT), ("reputation", "list"),
    ("srs", "exclude", "add", "example.org"), ("srs", "exclude", "list"),
    ("access", "add", "a@b.example", "--black"), ("access", "list"),
    ("access", "remove", "a@b.example"),
    ("access", "test", "--sender", "a@b.example", "--recipient", ALICE),
    ("greylist", "list"), ("greylist", "enable"), ("rdns", "list"),
    ("throttle", "list"), ("explain", "ABCDEFGH"), ("refresh",), ("reload",),
    ("policy", "check"), ("stats",), ("status",)]


def ask_and_leave(policyd, words, seconds):
    asking = subprocess.Popen(
        [policyd.ctl_path, "--config", policyd.path] + list(words),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    asking.kill()
    asking.wait()


def test_who_asks_goes_away(site, mariadb, dns):
    """While the database and the DNS keep it waiting, and at any time."""
    policyd = site(**{"database.statement_timeout": "3s"}).start()
    children = policyd.children()
    is_answered = threading.Event()
    dns.zone[listed(BAD_CLIENT, "bl.example")] = Answer(
        A=["127.0.0.2"], ttl=0, until=is_answered)
    mariadb.freeze()
    try:
        for words in ASKING:
            ask_and_leave(policyd, words, 0.08)
    finally:
        mariadb.thaw()
        is_answered.set()
    for words in ASKING:
        for seconds in (0, 0.01, 0.02, 0.04):
            ask_and_leave(policyd, words, seconds)
    for words in ASKING:
        policyd.ctl(*words, status=None)
    assert policyd.children() == children


def test_stopped_while_it_is_asked(site, mariadb, dns):
    policyd = site(**{"policyd.stop_timeout": "1s"}).start()
    dns.zone[listed(BAD_CLIENT, "bl.example")] = Answer(silent=True)
    mariadb.freeze()
    asking = [subprocess.Popen(
        [policyd.ctl_path, "--config", policyd.path] + list(words),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL) for words in ASKING]
    time.sleep(0.5)
    try:
        policyd.stop()
    finally:
        mariadb.thaw()
        for one in asking:
            one.wait(30)


# --- the schema of before ------------------------------------------------------

BEFORE = ("iredapd/001_schema", "iredapd/002_wide_counters",
          "iredapd/003_reservation", "policyd/001_schema_migration",
          "policyd/002_setting", "policyd/003_decision", "policyd/004_node")


def describe(mariadb):
    """What every table looks like, and what is recorded."""
    return (mariadb.rows(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE,"
        " COLUMN_KEY, COLUMN_DEFAULT FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA IN ('iredapd', 'policyd')"
        " ORDER BY 1, 2, ORDINAL_POSITION"),
        mariadb.rows("SELECT * FROM policyd.schema_migration"
                     " ORDER BY 1, 2, 3"))


def test_a_schema_of_before_is_brought_up_to_date(site, mariadb):
    """By two nodes at the same time; once more changes nothing."""
    policyd = site()
    wanted = describe(mariadb)[0]
    for name in ("iredapd", "policyd"):
        mariadb.execute("DROP DATABASE " + name)
        mariadb.execute("CREATE DATABASE %s CHARACTER SET utf8mb4"
                        " COLLATE utf8mb4_unicode_ci" % name)
    try:
        for path in sorted(BEFORE, reverse=True, key=lambda one:
                           one.startswith("policyd")):
            name, file_name = path.split("/")
            with open(os.path.join(SOURCE, "conf/sql", path + ".sql")) as file:
                mariadb.run_script(file.read(), name)
            mariadb.execute(
                "INSERT INTO policyd.schema_migration VALUES (%s, %s, %s, 1)",
                (name, int(file_name[:3]), file_name[4:]))
        mariadb.execute(
            "INSERT INTO iredapd.greylisting_whitelists"
            " (account, sender, comment) VALUES ('@.', 'a@b.example', '')")
        made = []
        threads = [threading.Thread(
            target=lambda: made.append(policyd.migrate()))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 2
        first = describe(mariadb)
    finally:
        policyd.migrate()
    assert first[0] == wanted
    assert mariadb.value("SELECT created_at FROM"
                         " iredapd.greylisting_whitelists") == 0
    assert describe(mariadb) == first
    policyd.start()
    assert ask(policyd, {"sender": "a@b.example"}) == "DUNNO"
    assert ask(policyd, {"sender": "c@b.example"}) == LATER
