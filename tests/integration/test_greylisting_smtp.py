"""Greylisting as an SMTP client meets it, through Postfix."""

import re

import pytest

pytestmark = pytest.mark.settings({"throttle.mode": "off"})

CLIENT = "192.0.2.10"
SENDER = "news@sender.example"
ALICE = "alice@example.com"
BOB = "bob@example.com"
LATER = ("451 4.7.1 <%s>: Recipient address rejected: Intentional policy"
         " rejection, please try again later")
FIFTEEN_MINUTES = 900
DAY = 86400


@pytest.fixture
def send(postfix, policyd):
    """Sends one message; the reply that decided, as text."""
    def once(sender=SENDER, recipient=ALICE, address=CLIENT):
        with postfix.session(address) as client:
            return str(client.send(sender, recipient))
    return once


def is_accepted(reply):
    return reply.startswith("250 2.0.0 Ok: queued as ")


def triplets(policyd):
    return policyd.database.rows(
        "SELECT * FROM iredapd.greylisting_tracking ORDER BY id")


def stop_and_triplets(policyd):
    """Effects are written before the daemon ends."""
    policyd.stop()
    return triplets(policyd)


def test_first_contact_retry_and_pass(send, policyd, clock):
    start = clock.now()
    assert send() == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES - 30)
    assert send() == LATER % ALICE
    clock.advance(31)
    assert is_accepted(send())
    assert is_accepted(send())
    rows = stop_and_triplets(policyd)
    assert len(rows) == 1
    row = rows[0]
    assert (row["sender"], row["recipient"], row["sender_domain"],
            row["rcpt_domain"], row["passed"]) == (
        SENDER, ALICE, "sender.example", "example.com", 1)
    assert row["client_address"] == "192.0.2.0/24"
    assert 0 <= row["init_time"] - start <= 60
    assert row["block_expired"] == row["init_time"] + FIFTEEN_MINUTES
    passed_at = row["record_expired"] - 30 * DAY
    assert 0 <= passed_at - row["block_expired"] <= 60


def test_a_blocked_triplet_is_stored(send, policyd):
    assert send() == LATER % ALICE
    assert send() == LATER % ALICE
    rows = stop_and_triplets(policyd)
    assert len(rows) == 1
    assert rows[0]["blocked_count"] == 2
    assert rows[0]["passed"] == 0
    assert rows[0]["record_expired"] == rows[0]["init_time"] + DAY


def test_a_client_that_passed_is_free_for_all(send, clock):
    assert send() == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send())
    assert is_accepted(send(sender="other@else.example", recipient=BOB))


def test_passing_removes_the_clients_waiting_triplets(send, policyd, clock):
    assert send() == LATER % ALICE
    assert send(recipient=BOB) == LATER % BOB
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send())
    assert [row["recipient"] for row in stop_and_triplets(policyd)] == [ALICE]


def test_a_record_that_expired_begins_again(send, policyd, clock):
    assert send() == LATER % ALICE
    clock.advance(DAY + 60)
    assert send() == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send())


def test_a_pass_lasts_thirty_days_from_its_last_use(send, clock):
    send()
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send())
    clock.advance(29 * DAY)
    assert is_accepted(send())
    clock.advance(29 * DAY)
    assert is_accepted(send())
    clock.advance(31 * DAY)
    assert send() == LATER % ALICE


def test_it_survives_a_restart(send, policyd, clock):
    assert send() == LATER % ALICE
    policyd.stop()
    policyd.start()
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send())
    policyd.stop()
    policyd.start()
    assert is_accepted(send())


@pytest.mark.parametrize("first, second, is_same", [
    ("192.0.2.10", "192.0.2.200", True),
    ("192.0.2.10", "192.0.3.10", False),
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
    ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
])
def test_clients_are_grouped_by_network(send, clock, first, second, is_same):
    assert send(address=first) == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send(address=second)) == is_same


@pytest.mark.settings({"greylisting.ipv4_prefix": "32",
                       "greylisting.ipv6_prefix": "128"})
def test_exact_addresses_when_told(send, policyd, clock):
    for address in ("192.0.2.10", "2001:db8::10"):
        assert send(address=address) == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert send(address="192.0.2.11") == LATER % ALICE
    assert is_accepted(send(address="192.0.2.10"))
    assert is_accepted(send(address="2001:db8::10"))
    assert {row["client_address"] for row in stop_and_triplets(policyd)} >= {
        "192.0.2.10", "2001:db8::10"}


@pytest.mark.parametrize("table", [
    "greylisting_whitelists", "greylisting_whitelist_domain_spf"])
@pytest.mark.parametrize("entry, address, sender, is_white", [
    ("192.0.2.10", "192.0.2.10", SENDER, True),
    ("192.0.2.10", "192.0.2.11", SENDER, False),
    ("192.0.2.*", "192.0.2.11", SENDER, True),
    ("192.0.2.0/24", "192.0.2.11", SENDER, True),
    ("192.0.2.77/24", "192.0.2.11", SENDER, True),
    ("128.0.0.0/1", "192.0.2.11", SENDER, True),
    ("192.0.3.0/24", "192.0.2.11", SENDER, False),
    ("2001:db8::/32", "2001:db8:5::1", SENDER, True),
    ("2001:db8:0:1::/64", "2001:db8:0:1::9", SENDER, True),
    ("2001:db8:0:1::/64", "2001:db8:0:2::9", SENDER, False),
    ("2001:0DB8:0:1::9", "2001:db8:0:1::9", SENDER, True),
    (SENDER, CLIENT, SENDER, True),
    ("NEWS@Sender.Example", CLIENT, SENDER, True),
    ("@sender.example", CLIENT, SENDER, True),
    ("@.example", CLIENT, SENDER, True),
    ("@.sender.example", CLIENT, "x@a.b.sender.example", True),
    ("@sender.example", CLIENT, "x@a.sender.example", False),
    (SENDER, CLIENT, "news+extension@sender.example", True),
    ("news@*", CLIENT, SENDER, True),
    ("news@*", CLIENT, "x@sender.example", False),
    ("@.", CLIENT, SENDER, True),
    ("@.", CLIENT, "", True),
    ("@sender.example", CLIENT, "", False),
    (CLIENT, CLIENT, "", True),
])
def test_whitelists(postfix, configured, table, entry, address, sender,
                    is_white):
    configured.database.execute(
        "INSERT INTO iredapd.%s (account, sender) VALUES ('@.', %%s)" % table,
        (entry,))
    configured.start()
    with postfix.session(address) as client:
        reply = str(client.send(sender, ALICE))
    if is_white:
        assert is_accepted(reply)
    else:
        assert reply == LATER % ALICE


@pytest.mark.parametrize("account, recipient, is_white", [
    (ALICE, ALICE, True),
    (ALICE, BOB, False),
    ("@example.com", BOB, True),
    ("@other.example", BOB, False),
    (ALICE, "alice@alias.example", True),
    ("@alias.example", "alice@alias.example", True),
    ("@example.com", "alice@alias.example", True),
    (ALICE, "alice+folder@example.com", True),
])
def test_whitelists_of_a_recipient(postfix, configured, account, recipient,
                                   is_white):
    configured.database.execute(
        "INSERT INTO iredapd.greylisting_whitelists (account, sender)"
        " VALUES (%s, %s)", (account, CLIENT))
    configured.start()
    with postfix.session(CLIENT) as client:
        reply = str(client.send(SENDER, recipient))
    if is_white:
        assert is_accepted(reply)
    else:
        assert reply == LATER % recipient


@pytest.mark.parametrize("rows, recipient, address, is_greylisted", [
    ([], ALICE, CLIENT, False),
    ([("@.", 0, "@.", 0, 1)], ALICE, CLIENT, True),
    ([("@.", 0, "@.", 0, 0)], ALICE, CLIENT, False),
    ([("@.", 0, "@.", 0, 1), ("@example.com", 60, "@.", 0, 0)],
     ALICE, CLIENT, False),
    ([("@.", 0, "@.", 0, 1), ("@example.com", 60, "@.", 0, 0),
      (ALICE, 100, "@.", 0, 1)], ALICE, CLIENT, True),
    ([("@.", 0, "@.", 0, 1), ("@example.com", 60, "@.", 0, 0),
      (ALICE, 100, "@.", 0, 1)], BOB, CLIENT, False),
    ([("@.", 0, "@.", 0, 1), ("@.", 0, "@sender.example", 60, 0)],
     ALICE, CLIENT, False),
    ([("@.", 0, "@.", 0, 1), ("@.", 0, CLIENT, 80, 0)],
     ALICE, CLIENT, False),
    # Networks as iRedAPD's tools store them, with priority 0, and with 70.
    ([("@.", 0, "@.", 0, 1), ("@.", 0, "192.0.2.0/24", 70, 0)],
     ALICE, CLIENT, False),
    ([("@.", 0, "@.", 0, 1), ("@.", 0, "2001:db8::/32", 70, 0)],
     ALICE, "2001:db8::5", False),
    # The alias domain's recipient has its target's settings.
    ([("@.", 0, "@.", 0, 0), ("@example.com", 60, "@.", 0, 1)],
     "alice@alias.example", CLIENT, True),
])
def test_settings_as_iredapd_stores_them(postfix, configured, rows, recipient,
                                         address, is_greylisted):
    configured.database.execute("DELETE FROM iredapd.greylisting")
    for row in rows:
        configured.database.execute(
            "INSERT INTO iredapd.greylisting (account, priority, sender,"
            " sender_priority, active) VALUES (%s, %s, %s, %s, %s)", row)
    configured.start()
    with postfix.session(address) as client:
        reply = str(client.send(SENDER, recipient))
    if is_greylisted:
        assert reply == LATER % recipient
    else:
        assert is_accepted(reply)


def insert_triplet(policyd, now, address, block_in, expire_in, passed):
    """A row as iRedAPD writes it: exact address, no network."""
    policyd.database.execute(
        "INSERT INTO iredapd.greylisting_tracking (sender, recipient,"
        " client_address, sender_domain, rcpt_domain, init_time,"
        " block_expired, record_expired, blocked_count, passed) VALUES"
        " (%s, %s, %s, 'sender.example', 'example.com', %s, %s, %s, 1, %s)",
        (SENDER, ALICE, address, now - 1000, now + block_in,
         now + expire_in, passed))


@pytest.mark.parametrize("address", [CLIENT, "2001:db8::10"])
@pytest.mark.parametrize("block_in, expire_in, passed, is_through", [
    (-100, 80000, 0, True),
    (500, 80000, 0, False),
    (-100, -10, 0, False),
    (-100, 80000, 1, True),
])
def test_rows_that_iredapd_wrote(postfix, configured, clock, address,
                                 block_in, expire_in, passed, is_through):
    insert_triplet(configured, clock.now(), address, block_in, expire_in,
                   passed)
    configured.start()
    with postfix.session(address) as client:
        reply = str(client.send(SENDER, ALICE))
    if is_through:
        assert is_accepted(reply)
    else:
        assert reply == LATER % ALICE


def test_a_row_of_a_passed_client_frees_its_other_mail(postfix, configured,
                                                       clock):
    insert_triplet(configured, clock.now(), CLIENT, -100, 80000, 1)
    configured.start()
    with postfix.session(CLIENT) as client:
        assert is_accepted(str(client.send("other@else.example", BOB)))


@pytest.mark.settings({"greylisting.training": "yes"})
def test_training_lets_through_and_learns(send, policyd):
    assert is_accepted(send())
    rows = stop_and_triplets(policyd)
    assert [(row["sender"], row["passed"]) for row in rows] == [(SENDER, 0)]


def test_a_null_sender_is_greylisted(send, policyd, clock):
    assert send(sender="") == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send(sender=""))
    rows = stop_and_triplets(policyd)
    assert [(row["sender"], row["sender_domain"]) for row in rows] == [
        ("", "")]


def test_extensions_are_one_triplet(send, policyd, clock):
    assert send(sender="news+1@sender.example") == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send(sender="news+2@sender.example"))
    assert [row["sender"] for row in stop_and_triplets(policyd)] == [SENDER]


def test_logins_and_loopback_are_not_greylisted(postfix, policyd):
    with postfix.submission("alice@example.com") as client:
        assert is_accepted(str(client.send("alice@example.com", BOB)))
    with postfix.session() as client:
        assert is_accepted(str(client.send(SENDER, ALICE)))
    assert stop_and_triplets(policyd) == []


@pytest.mark.settings({"mail.trusted_networks": "192.0.2.0/28, 2001:db8::/32"})
@pytest.mark.parametrize("address, is_trusted", [
    ("192.0.2.15", True), ("192.0.2.16", False), ("2001:db8:7::1", True)])
def test_trusted_networks(send, address, is_trusted):
    assert is_accepted(send(address=address)) == is_trusted


def test_each_recipient_by_itself(postfix, policyd, clock):
    with postfix.session(CLIENT) as client:
        client.mail(SENDER)
        assert client.rcpt(ALICE) == LATER % ALICE
        assert client.rcpt(BOB) == LATER % BOB
    clock.advance(FIFTEEN_MINUTES + 1)
    with postfix.session(CLIENT) as client:
        client.mail(SENDER)
        assert client.rcpt(ALICE) == "250 2.1.5 Ok"
        assert client.rcpt(BOB) == "250 2.1.5 Ok"
        assert is_accepted(str(client.data()))


@pytest.mark.settings({"greylisting.message": "Come back soon"})
def test_the_message_is_configurable(send):
    assert send() == ("451 4.7.1 <%s>: Recipient address rejected:"
                      " Come back soon" % ALICE)


@pytest.mark.settings({"greylisting.tell_delay": "yes"})
def test_the_delay_is_told(send, clock):
    told = LATER % ALICE + " (try again in %d seconds)"
    assert send() == told % FIFTEEN_MINUTES
    clock.advance(FIFTEEN_MINUTES - 60)
    assert send() in [told % left for left in range(40, 61)]


@pytest.mark.settings({"greylisting.mode": "observe"})
def test_observe_learns_and_lets_through(send, policyd):
    assert is_accepted(send())
    policyd.wait_for_log("would")
    assert len(stop_and_triplets(policyd)) == 1


@pytest.mark.settings({"policyd.reply_code": "yes"})
def test_the_code_in_the_reply_is_explained(send, policyd):
    reply = send()
    assert reply.startswith(LATER % ALICE), reply
    code = re.search(r"\[(\w+)\]$", reply).group(1)
    explained = policyd.ctl("explain", code)
    for word in ("greylisting", SENDER, ALICE, CLIENT):
        assert word in explained, explained


def test_sessions_are_logged_as_iredapd_logged_them(send, policyd, clock):
    start = clock.now()
    assert send() == LATER % ALICE
    clock.advance(FIFTEEN_MINUTES + 1)
    assert is_accepted(send())
    policyd.stop()
    rows = policyd.database.rows(
        "SELECT *, UNIX_TIMESTAMP(time) AS stamp FROM iredapd.smtp_sessions"
        " ORDER BY id")
    assert [(row["action"], row["reason"]) for row in rows] == [
        ("451", "4.7.1 Intentional policy rejection, please try again later"),
        ("DUNNO", "")]
    for row in rows:
        assert row["sender"] == SENDER
        assert row["sender_domain"] == "sender.example"
        assert row["recipient"] == ALICE
        assert row["recipient_domain"] == "example.com"
        assert row["client_address"] == CLIENT
        assert row["helo_name"] == "client.example"
        assert row["stamp"] == row["time_num"]
    assert 0 <= rows[0]["time_num"] - start <= 60
