"""policyd beside the daemon whose place it will take: the other one answers,
and policyd says where it would have answered otherwise."""

import pytest

from harness import wait_for
from harness.dunno import Dunno
from harness.policy import request
from harness.ports import free_ports

LATER = "451 4.7.1 Intentional policy rejection, please try again later"
UNAVAILABLE = ("451 4.3.0 Service temporarily unavailable, please try again"
               " later")
OLD_PORT = free_ports(1)[0]
OLD = "inet:127.0.0.1:%d" % OLD_PORT

pytestmark = pytest.mark.settings({"policyd.parallel": OLD})


@pytest.fixture
def old():
    server = Dunno(OLD_PORT)
    yield server
    server.stop()


@pytest.fixture
def client(policyd):
    with policyd.client() as one:
        yield one


def answer(policyd, status=None):
    return policyd.json("parallel", status=status)


def differences(policyd):
    return answer(policyd)["differences"]


def wait_for_counts(policyd, **wanted):
    def are_there():
        counts = answer(policyd)["counts"]
        return {key: counts[key] for key in wanted} == wanted
    wait_for(are_there, "counts %r" % wanted)


def test_the_other_answers(old, policyd, client, mariadb):
    old.answer(b"REJECT not today")
    assert client.ask() == "REJECT not today"
    assert len(old.requests) == 1
    assert old.requests[0]["recipient"] == "alice@example.com"
    assert old.requests[0]["instance"] == "1.2.3"
    wait_for_counts(policyd, compared=1, unanswered=0)


def test_nothing_is_changed(old, policyd, client, mariadb):
    mariadb.execute("INSERT INTO iredapd.throttle (account, kind, period,"
                    " max_msgs) VALUES ('@.', 'outbound', 3600, 1)")
    policyd.ctl("reload")
    old.answer(LATER.encode())
    assert client.ask() == LATER
    old.answer(b"DUNNO")
    for _ in range(3):
        assert client.ask_at_end(sasl_username="alice@example.com",
                                 sender="alice@example.com",
                                 recipient="x@far.example") == "DUNNO"
    wait_for_counts(policyd, compared=4, stricter=0, laxer=0)
    policyd.stop()
    for table in ("greylisting_tracking", "throttle_tracking",
                  "smtp_sessions"):
        assert mariadb.rows("SELECT * FROM iredapd." + table) == []
    assert mariadb.rows("SELECT * FROM policyd.decision") == []


def test_policyd_is_stricter(old, policyd, client):
    assert client.ask() == "DUNNO"
    wait_for_counts(policyd, compared=1, stricter=1, laxer=0)
    wait_for(lambda: differences(policyd), "the difference")
    [difference] = differences(policyd)
    assert difference["rule"] == "greylisting"
    assert difference["old_reply"] == "DUNNO"
    assert difference["reply"] == LATER
    assert answer(policyd)["rules"] == [
        {"rule": "greylisting", "stricter": 1, "laxer": 0}]
    said = policyd.ctl("explain", difference["code"])
    assert "greylisting" in said and "deferred" in said, said
    # Findings, for a script; and those of one rule only.
    assert policyd.ctl_run("parallel").returncode == 1
    assert policyd.json("parallel", "--rule", "throttle",
                        status=1)["differences"] == []


def test_policyd_is_laxer(old, policyd, client, mariadb):
    old.answer(b"REJECT Throttling quota exceeded")
    assert client.ask_at_end() == "REJECT Throttling quota exceeded"
    wait_for_counts(policyd, compared=1, stricter=0, laxer=1)
    assert answer(policyd)["rules"] == [
        {"rule": "throttle", "stricter": 0, "laxer": 1}]
    wait_for(lambda: differences(policyd), "the difference")
    [difference] = differences(policyd)
    assert difference["rule"] == "throttle"
    assert difference["reply"] == "DUNNO"


@pytest.mark.parametrize("action", [b"OK", b"DUNNO", b"PREPEND X-Old: yes"])
def test_words_that_let_mail_go_on_agree(old, policyd, client, action):
    old.answer(action)
    assert client.ask_at_end() == action.decode()
    wait_for_counts(policyd, compared=1, stricter=0, laxer=0)
    assert policyd.ctl_run("parallel").returncode == 0


def test_a_limit_is_previewed(old, policyd, client, mariadb):
    """The other daemon counts; policyd reads what it has counted."""
    mariadb.execute("INSERT INTO iredapd.throttle (id, account, kind, period,"
                    " max_msgs) VALUES (7, '@.', 'outbound', 3600, 2)")
    mariadb.execute("INSERT INTO iredapd.throttle_tracking (tid, account,"
                    " period, cur_msgs, init_time) VALUES"
                    " (7, 'alice@example.com', 3600, 2, UNIX_TIMESTAMP())")
    policyd.ctl("reload")
    old.answer(b"REJECT Throttling quota exceeded")
    client.ask_at_end(sasl_username="alice@example.com",
                      sender="alice@example.com", recipient="x@far.example")
    wait_for_counts(policyd, compared=1, stricter=0, laxer=0)
    old.answer(b"DUNNO")
    client.ask_at_end(sasl_username="alice@example.com",
                      sender="alice@example.com", recipient="x@far.example")
    wait_for_counts(policyd, compared=2, stricter=1, laxer=0)
    assert mariadb.rows("SELECT cur_msgs FROM iredapd.throttle_tracking") == [
        {"cur_msgs": 2}]


def test_recipients_are_remembered(old, policyd, client, mariadb):
    """At END-OF-MESSAGE of several recipients their limits are known."""
    mariadb.execute("INSERT INTO iredapd.throttle (account, kind, period,"
                    " max_msgs, max_rcpts) VALUES"
                    " ('bob@example.com', 'inbound', 3600, 1, 1)")
    policyd.ctl("reload")
    for recipient in ("alice@example.com", "bob@example.com"):
        client.ask(recipient=recipient, client_address="127.0.0.1",
                   sender="x@far.example", instance="7.7.7")
    client.ask_at_end(recipient="", recipient_count="2", instance="7.7.7",
                      client_address="127.0.0.1", sender="x@far.example")
    wait_for_counts(policyd, compared=3, stricter=1)


def test_the_other_is_away(policyd, client):
    assert client.ask() == UNAVAILABLE
    assert client.ask() == UNAVAILABLE
    policyd.wait_for_log("does not answer, mail is deferred")
    wait_for_counts(policyd, compared=0, unanswered=2)
    # It is said once, and again when it is back.
    assert policyd.log().count("does not answer") == 1
    server = Dunno(OLD_PORT)
    try:
        assert client.ask_at_end() == "DUNNO"
    finally:
        server.stop()
    policyd.wait_for_log("answers again")


def test_the_other_closes_idle_connections(old, policyd, client):
    assert client.ask_at_end() == "DUNNO"
    old.connections[0].shutdown(2)
    assert client.ask_at_end() == "DUNNO"
    assert len(old.connections) == 2
    wait_for_counts(policyd, unanswered=0)


def test_the_other_hangs_up(old, policyd, client):
    old.answer(lambda attributes: None)
    assert client.ask() == UNAVAILABLE
    wait_for_counts(policyd, unanswered=1, compared=0)


def test_a_second_answer_is_never_the_next(old, policyd, client):
    """iRedAPD answers an address it does not like twice."""
    def twice(attributes):
        if "'" in attributes["sender"]:
            return b"DUNNO Error: Invalid sender address\n\naction=OK late"
        return b"DUNNO"
    old.answer(twice)
    for _ in range(20):
        assert client.ask_at_end(sender="o'brien@sender.example") == \
            "DUNNO Error: Invalid sender address"
        assert client.ask_at_end() == "DUNNO"


@pytest.mark.parametrize("action", [
    b"x" * 1001, b"REJECT a\x01b", b"", b"x" * 5000])
def test_nonsense_is_not_passed_on(old, policyd, client, action):
    old.answer(action)
    assert client.ask() == UNAVAILABLE


def test_malformed_requests_reach_nobody(old, policyd, client):
    client.send(b"this is no attribute\n\n")
    client.assert_closed()
    assert old.requests == []


def test_many_clients(old, policyd):
    old.answer(lambda attributes: b"REJECT " + attributes["sender"].encode())
    clients = [policyd.client() for _ in range(50)]
    for turn in range(4):
        for i, one in enumerate(clients):
            one.send(request(sender="s%d-%d@x.example" % (i, turn)))
        for i, one in enumerate(clients):
            assert one.reply() == "REJECT s%d-%d@x.example" % (i, turn)
    assert len(old.connections) == 50
    # Some leave before their answer.
    old.answer(lambda attributes: None)
    for one in clients:
        one.send(request())
        one.close()
    wait_for_counts(policyd, compared=200)


@pytest.mark.settings({"policyd.parallel": OLD, "limits.connections": 2})
def test_what_policyd_cannot_judge_does_not_pile_up(old, policyd, client,
                                                    mariadb):
    """The other one answers at once, whatever policyd waits for."""
    def n_compared():
        return policyd.json("stats")["metrics"]["parallel_compared_total"]

    client.ask()
    wait_for(lambda: n_compared() == 1, "the first")
    mariadb.freeze()
    try:
        for number in range(30):
            assert client.ask(sender="x%d@far.example" % number) == "DUNNO"
        assert n_compared() == 1
        wait_for(lambda: n_compared() > 1, "what was judged without an answer")
        assert n_compared() <= 5
    finally:
        mariadb.thaw()


def test_cutting_over_is_one_setting(old, policyd, client, mariadb):
    assert client.ask() == "DUNNO"
    with open(policyd.path) as file:
        text = file.read()
    policyd.write_config(text.replace("parallel = " + OLD, ""))
    policyd.ctl("reload")
    wait_for(lambda: answer(policyd)["counts"]["daemon"] == "",
             "the reload")
    assert client.ask() == LATER
    assert len(old.requests) == 1
    wait_for(lambda: mariadb.rows("SELECT * FROM"
                                  " iredapd.greylisting_tracking"),
             "the triplet")


def test_through_postfix(old, policyd, postfix):
    old.answer(b"REJECT Sender is not same as SMTP authenticate username")
    with postfix.session("192.0.2.10") as client:
        reply = client.send("x@far.example", "alice@example.com")
    assert reply == ("554 5.7.1 <alice@example.com>: Recipient address"
                     " rejected: Sender is not same as SMTP authenticate"
                     " username")
