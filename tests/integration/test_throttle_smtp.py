"""Throttling as an SMTP client meets it, through Postfix."""

import pytest

from harness.smtp import message_of

pytestmark = pytest.mark.settings({"greylisting.mode": "off"})

ALICE = "alice@example.com"
BOB = "bob@example.com"
FAR = "friend@elsewhere.example"
CLIENT = "192.0.2.10"
END = "554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: "
EXCEEDED = END + "Throttling quota exceeded"
TOO_LARGE = END + "Message size is too large"
TOO_MANY = END + "Too many recipients in single message"
HOUR = 3600

PRIORITIES = {"@.": 0, "@ip": 0}


def priority_of(account):
    """As iRedAPD's tools compute it when they store a rule."""
    if account in PRIORITIES:
        return PRIORITIES[account]
    if account.startswith("@."):
        return 50 if account.count(".") > 1 else 40
    if account.startswith("@"):
        return 60
    if account.endswith("@*"):
        return 90
    if "@" in account:
        return 100
    if "/" in account:
        return 0
    return 70 if "*" in account else 80


def add_rule(policyd, account, kind="outbound", period=HOUR, **limits):
    """A row as iRedAdmin writes it; its id."""
    row = {"msg_size": -1, "max_msgs": -1, "max_quota": -1, "max_rcpts": -1}
    row.update(limits)
    database = policyd.database
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " msg_size, max_msgs, max_quota, max_rcpts)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (account, kind, priority_of(account), period, row["msg_size"],
         row["max_msgs"], row["max_quota"], row["max_rcpts"]))
    return database.value("SELECT id FROM iredapd.throttle"
                          " WHERE account = %s AND kind = %s",
                          (account, kind))


def counters(policyd):
    """{account: cur_msgs} of all counters, after the daemon has ended."""
    policyd.stop()
    return {row["account"]: row["cur_msgs"] for row in policyd.database.rows(
        "SELECT account, cur_msgs FROM iredapd.throttle_tracking")}


def is_accepted(reply):
    return reply.startswith("250 2.0.0 Ok: queued as ")


def replies(send, n):
    """What n equal messages are told, an accepted one as "ok"."""
    told = [send() for _ in range(n)]
    return ["ok" if is_accepted(reply) else reply for reply in told]


@pytest.fixture
def submit(postfix):
    def once(login=ALICE, recipients=FAR, sender=None,
             body="Subject: test\n\ntest\n"):
        with postfix.submission(login) as client:
            return str(client.send(sender or login, recipients, body))
    return once


@pytest.fixture
def receive(postfix):
    def once(recipients=ALICE, sender="x@sender.example", address=CLIENT,
             body="Subject: test\n\ntest\n"):
        with postfix.session(address) as client:
            return str(client.send(sender, recipients, body))
    return once


def test_no_rule_counts_nothing(configured, submit):
    configured.start()
    assert replies(submit, 3) == ["ok"] * 3
    assert counters(configured) == {}


def test_msg_size(configured, submit):
    add_rule(configured, ALICE, msg_size=20000)
    configured.start()
    assert is_accepted(submit(body=message_of(15000)))
    assert submit(body=message_of(30000)) == TOO_LARGE
    assert is_accepted(submit(body=message_of(15000)))
    assert counters(configured) == {}


def test_max_rcpts(configured, submit):
    add_rule(configured, ALICE, max_rcpts=2)
    configured.start()
    people = ["p%d@elsewhere.example" % at for at in range(3)]
    assert is_accepted(submit(recipients=people[:2]))
    assert submit(recipients=people) == TOO_MANY
    assert counters(configured) == {}


def test_max_msgs(configured, submit, clock):
    add_rule(configured, ALICE, max_msgs=3)
    configured.start()
    assert replies(submit, 5) == ["ok"] * 3 + [EXCEEDED] * 2
    assert is_accepted(submit(login=BOB))
    clock.advance(HOUR + 1)
    assert is_accepted(submit())
    assert counters(configured) == {ALICE: 1}


def test_max_msgs_counts_recipients(configured, submit):
    add_rule(configured, ALICE, max_msgs=4)
    configured.start()
    people = ["p%d@elsewhere.example" % at for at in range(3)]
    assert is_accepted(submit(recipients=people))
    assert submit(recipients=people[:2]) == EXCEEDED
    assert is_accepted(submit(recipients=people[:1]))
    assert submit(recipients=people[:1]) == EXCEEDED
    assert counters(configured) == {ALICE: 4}


def test_max_quota_is_overrun_by_one_message_at_most(configured, submit):
    add_rule(configured, ALICE, max_quota=15000)
    configured.start()
    large = message_of(10000)
    assert is_accepted(submit(body=large))
    assert is_accepted(submit(body=large))
    assert submit(body=large) == EXCEEDED
    configured.stop()
    quota = configured.database.value(
        "SELECT cur_quota FROM iredapd.throttle_tracking")
    assert 20000 <= quota <= 22000


def test_counters_hold_more_than_four_gigabytes(configured, submit, clock):
    tid = add_rule(configured, ALICE, max_msgs=2 ** 40, max_quota=2 ** 50)
    now = clock.now()
    configured.database.execute(
        "INSERT INTO iredapd.throttle_tracking (tid, account, period,"
        " cur_msgs, cur_quota, init_time, last_time)"
        " VALUES (%s, %s, %s, 16777215, 4294967295, %s, %s)",
        (tid, ALICE, HOUR, now, now))
    configured.start()
    assert is_accepted(submit())
    configured.stop()
    row = configured.database.rows(
        "SELECT * FROM iredapd.throttle_tracking")[0]
    assert row["cur_msgs"] == 16777216
    assert row["cur_quota"] > 4294967295


def test_counters_that_iredapd_wrote_go_on(configured, submit, clock):
    tid = add_rule(configured, ALICE, max_msgs=10)
    now = clock.now()
    configured.database.execute(
        "INSERT INTO iredapd.throttle_tracking (tid, account, period,"
        " cur_msgs, cur_quota, init_time, last_time)"
        " VALUES (%s, %s, %s, 9, 900, %s, %s)",
        (tid, ALICE, HOUR, now - 60, now - 60))
    configured.start()
    assert replies(submit, 2) == ["ok", EXCEEDED]
    configured.stop()
    row = configured.database.rows(
        "SELECT * FROM iredapd.throttle_tracking")[0]
    assert row["cur_msgs"] == 10
    assert row["init_time"] == now - 60


@pytest.mark.parametrize("account", [
    ALICE, "@example.com", "@.example.com", "@.com", "@."])
def test_senders_accounts(configured, submit, account):
    add_rule(configured, account, max_msgs=1)
    configured.start()
    assert replies(submit, 2) == ["ok", EXCEEDED]
    assert is_accepted(submit(login=BOB))
    expected = {ALICE: 1} if account == ALICE else {ALICE: 1, BOB: 1}
    assert counters(configured) == expected


@pytest.mark.parametrize("account, counted", [
    (CLIENT, CLIENT), ("@ip", CLIENT), ("192.0.2.*", "192.0.2.*")])
def test_clients_accounts(configured, receive, account, counted):
    add_rule(configured, account, "external", max_msgs=1)
    configured.start()
    assert replies(receive, 2) == ["ok", EXCEEDED]
    assert is_accepted(receive(address="198.51.100.1"))
    found = counters(configured)
    assert found[counted] == 1


@pytest.mark.parametrize("network, inside, outside", [
    ("192.0.2.0/24", "192.0.2.99", "192.0.3.99"),
    ("2001:db8:7::/48", "2001:db8:7:1::5", "2001:db8:8::5")])
def test_networks(configured, receive, network, inside, outside):
    add_rule(configured, network, "external", max_msgs=1)
    configured.start()
    assert is_accepted(receive(address=inside))
    assert receive(address=inside) == EXCEEDED
    assert is_accepted(receive(address=outside))
    assert is_accepted(receive(address=outside))


def test_zero_ends_inheritance_and_minus_one_goes_on(configured, submit):
    add_rule(configured, "@example.com", max_msgs=1)
    add_rule(configured, ALICE, max_msgs=0)
    add_rule(configured, BOB, msg_size=20000)
    configured.start()
    assert replies(submit, 3) == ["ok"] * 3
    assert replies(lambda: submit(login=BOB), 2) == ["ok", EXCEEDED]
    assert submit(login=BOB, body=message_of(30000)) == TOO_LARGE


def test_the_stored_priority_orders(configured, submit):
    add_rule(configured, "@example.com", max_msgs=1)
    add_rule(configured, ALICE, max_msgs=5)
    configured.database.execute(
        "UPDATE iredapd.throttle SET priority = 120"
        " WHERE account = '@example.com'")
    configured.start()
    assert replies(submit, 2) == ["ok", EXCEEDED]


def test_period_zero_switches_a_rule_off(configured, submit):
    add_rule(configured, ALICE, period=0, max_msgs=1, msg_size=10)
    configured.start()
    assert replies(submit, 2) == ["ok", "ok"]


def test_kinds_do_not_mix(configured, submit, receive):
    add_rule(configured, "@.", "outbound", max_msgs=1)
    configured.start()
    assert replies(receive, 2) == ["ok", "ok"]
    assert replies(submit, 2) == ["ok", EXCEEDED]


def test_external(configured, receive):
    add_rule(configured, "@sender.example", "external", max_msgs=1)
    configured.start()
    assert replies(receive, 2) == ["ok", EXCEEDED]
    assert is_accepted(receive(sender="y@sender.example"))
    assert is_accepted(receive(sender="x@other.example"))


def test_inbound(configured, receive):
    add_rule(configured, "@example.com", "inbound", max_msgs=1)
    configured.start()
    assert replies(receive, 2) == ["ok", EXCEEDED]
    assert is_accepted(receive(recipients=BOB))
    assert counters(configured) == {ALICE: 1, BOB: 1}


def test_inbound_holds_for_many_recipients(configured, receive):
    """Postfix names no recipient at the end; the RCPT stage did."""
    add_rule(configured, ALICE, "inbound", max_msgs=2)
    configured.start()
    both = [ALICE, BOB]
    assert is_accepted(receive(recipients=both))
    assert is_accepted(receive(recipients=both))
    assert receive(recipients=both) == EXCEEDED
    assert is_accepted(receive(recipients=BOB))
    assert counters(configured) == {ALICE: 2}


def test_inbound_of_an_alias_domain(configured, receive):
    add_rule(configured, "@example.com", "inbound", max_msgs=1)
    configured.start()
    assert is_accepted(receive(recipients="alice@alias.example"))
    assert receive(recipients="alice@alias.example") == EXCEEDED


def test_what_is_refused_is_given_back(configured, receive):
    """The sender's counter had room; the recipient's had not."""
    add_rule(configured, "@sender.example", "external", max_msgs=10)
    add_rule(configured, ALICE, "inbound", max_msgs=1)
    configured.start()
    assert replies(receive, 4) == ["ok"] + [EXCEEDED] * 3
    assert counters(configured) == {"x@sender.example": 1, ALICE: 1}


def test_a_login_may_write_to_colleagues(configured, submit):
    add_rule(configured, "@.", max_msgs=1)
    add_rule(configured, BOB, "inbound", max_msgs=1)
    configured.start()
    assert replies(lambda: submit(recipients=BOB), 3) == ["ok"] * 3
    assert counters(configured) == {}


@pytest.mark.settings({"throttle.bypass_same_domain": "no",
                       "throttle.bypass_local_recipient": "no"})
def test_unless_told_otherwise(configured, submit):
    add_rule(configured, BOB, "inbound", max_msgs=1)
    configured.start()
    assert replies(lambda: submit(recipients=BOB), 2) == ["ok", EXCEEDED]


@pytest.mark.settings({"mail.trusted_networks": "192.0.2.0/24",
                       "throttle.bypass_trusted_networks": "yes"})
def test_trusted_networks_when_told(configured, receive):
    add_rule(configured, "@ip", "external", max_msgs=1)
    configured.start()
    assert replies(receive, 2) == ["ok", "ok"]
    assert is_accepted(receive(address="198.51.100.1"))
    assert receive(address="198.51.100.1") == EXCEEDED


@pytest.mark.settings({"throttle.over_limit": "defer"})
def test_over_limit_may_defer(configured, submit):
    add_rule(configured, ALICE, max_msgs=1)
    configured.start()
    assert replies(submit, 2) == [
        "ok", "451 4.7.1 <END-OF-MESSAGE>: End-of-data rejected:"
        " Throttling quota exceeded"]


def test_a_domain_may_be_counted_as_a_whole(configured, submit):
    add_rule(configured, "@example.com", max_msgs=2)
    configured.start()
    configured.ctl("policy", "set", "example.com", "throttle.count",
                   "domain")
    assert is_accepted(submit())
    assert is_accepted(submit(login=BOB))
    assert submit() == EXCEEDED
    assert submit(login=BOB) == EXCEEDED
    assert counters(configured) == {"@example.com": 2}


@pytest.mark.settings({"throttle.mode": "observe"})
def test_observe_counts_and_lets_through(configured, submit):
    add_rule(configured, ALICE, max_msgs=1)
    configured.start()
    assert replies(submit, 3) == ["ok"] * 3
    assert configured.json("stats")["metrics"]["answers_observed_total"] == 2


def test_counting_survives_a_restart(configured, submit):
    add_rule(configured, ALICE, max_msgs=2)
    configured.start()
    assert is_accepted(submit())
    configured.stop()
    configured.start()
    assert replies(submit, 2) == ["ok", EXCEEDED]


def test_a_limit_set_by_policyctl_holds_at_once(configured, submit):
    configured.start()
    assert is_accepted(submit())
    configured.ctl("throttle", "set", ALICE, "outbound", "--max-msgs", "1",
                   "--period", "1h")
    assert replies(submit, 2) == ["ok", EXCEEDED]
    assert ALICE in configured.ctl("throttle", "list")
    configured.ctl("throttle", "reset", ALICE)
    assert replies(submit, 2) == ["ok", EXCEEDED]


def test_the_refusal_is_explained(configured, submit):
    add_rule(configured, ALICE, max_msgs=1)
    configured.start()
    assert replies(submit, 2) == ["ok", EXCEEDED]
    explained = configured.ctl("explain", ALICE)
    for word in ("throttle", "Throttling quota exceeded", "max_msgs", FAR):
        assert word in explained, explained
