""""policyctl test": what a request would be answered, and nothing comes of
it."""

import pytest

from harness import wait_for
from harness.policy import end_of_message

ALICE = "alice@example.com"
STRANGER = "someone@sender.example"
CLIENT = "192.0.2.10"
DONE, USAGE = 0, 2

# Everything that a request leaves behind, in the database.
STATE = (
    "SELECT * FROM iredapd.greylisting_tracking",
    "SELECT * FROM iredapd.throttle_tracking",
    "SELECT * FROM iredapd.smtp_sessions",
    "SELECT * FROM policyd.decision")

# What was counted of mail; statements and commands are counted, of course.
IGNORED = ("sql_", "control_", "memory_")


def words(**options):
    out = ["test"]
    for name, value in options.items():
        out += ["--" + name.replace("_", "-"), value]
    return out


def rehearse(policyd, **options):
    given = {"sender": STRANGER, "recipient": ALICE, "client": CLIENT}
    given.update(options)
    decisions = policyd.json(*words(**given))
    assert len(decisions) == 1
    return decisions[0]


def metrics(policyd):
    stats = policyd.json("stats")
    return ({name: value for name, value in stats["metrics"].items()
             if not name.startswith(IGNORED)},
            stats["rules"], stats["latency_us"])


def state(policyd):
    status = policyd.json("status")
    return ([policyd.database.rows(sql) for sql in STATE],
            metrics(policyd),
            status["instances"], status["decisions_in_memory"],
            status["writes_waiting"], status["requests"])


def wait_for_writes(policyd):
    """What was done in earnest is in the tables."""
    wait_for(lambda: policyd.json("status")["writes_waiting"] == 0,
             "the writes")


def ask(policyd, **attributes):
    """The same request in earnest."""
    with policyd.client() as client:
        return client.ask(sender=STRANGER, recipient=ALICE,
                          client_address=CLIENT, **attributes)


def test_greylisting_in_each_of_its_states(policyd, clock):
    before = state(policyd)
    first = rehearse(policyd)
    assert first["reply"].startswith("451 4.7.1 ")
    assert first["rule"] == "greylisting"
    assert first["code"] == ""
    assert rehearse(policyd)["reply"] == first["reply"]
    assert state(policyd) == before
    # In earnest it waits 15 minutes from now, not from the rehearsal.
    assert ask(policyd) == first["reply"]
    wait_for_writes(policyd)
    clock.advance(870)
    before = state(policyd)
    assert rehearse(policyd)["reply"] == first["reply"]
    clock.advance(31)
    after = rehearse(policyd)
    assert after["reply"] == "DUNNO"
    assert "the client has passed" in str(after["rules"])
    assert state(policyd) == before
    # It has not passed by that: its row says so.
    assert policyd.database.value(
        "SELECT passed FROM iredapd.greylisting_tracking") == 0
    assert ask(policyd) == "DUNNO"


@pytest.mark.settings({"greylisting.mode": "off"})
def test_throttling_counts_nothing(policyd):
    policyd.ctl("throttle", "set", STRANGER, "external", "--period", "1h",
                "--max-msgs", "2")
    with policyd.client() as client:
        def send(instance):
            client.send(end_of_message(sender=STRANGER, recipient=ALICE,
                                       client_address=CLIENT,
                                       instance=instance))
            return client.reply()

        end = {"stage": "END-OF-MESSAGE", "size": "1K"}
        assert send("1.1.1") == "DUNNO"
        wait_for_writes(policyd)
        before = state(policyd)
        for _ in range(3):
            seen = rehearse(policyd, **end)
            assert seen["reply"] == "DUNNO"
        counters = [fact["value"] for fact in seen["facts"]
                    if fact["fact"] == "reservation"][0]
        assert (counters[0]["messages_before"], counters[0]["messages"]
                ) == (1, 2)
        assert seen["size"] == 1024
        assert state(policyd) == before
        assert send("1.1.2") == "DUNNO"
        wait_for_writes(policyd)
        before = state(policyd)
        refused = rehearse(policyd, **end)
        assert refused["reply"] == "REJECT Throttling quota exceeded"
        assert refused["rule"] == "throttle"
        # Refused, but not given back either: the counter stands at 2.
        assert state(policyd) == before
        assert policyd.database.value(
            "SELECT cur_msgs FROM iredapd.throttle_tracking") == 2
        assert send("1.1.3") == refused["reply"]


@pytest.mark.settings({"greylisting.mode": "off"})
def test_limits_on_one_message(policyd):
    policyd.ctl("throttle", "set", STRANGER, "external", "--period", "1h",
                "--msg-size", "10M", "--max-rcpts", "3")
    assert rehearse(policyd, stage="end-of-message", size="11M")[
        "reply"] == "REJECT Message size is too large"
    assert rehearse(policyd, stage="end-of-message", recipients="4")[
        "reply"] == "REJECT Too many recipients in single message"
    assert rehearse(policyd, stage="end-of-message", size="10M",
                    recipients="3")["reply"] == "DUNNO"


def test_for_people(policyd):
    done = policyd.ctl_run(*words(sender="<>", recipient=ALICE,
                                  client=CLIENT, login=ALICE,
                                  helo="mx.example", client_name="mx.example"))
    assert (done.returncode, done.stderr) == (DONE, "")
    assert "REJECT Policy rejection due to null sender" in done.stdout
    assert "by reject_null_sender" in done.stdout
    assert "nothing was counted" in done.stdout


@pytest.mark.settings({"policyd.reply_code": "yes"})
def test_it_gives_out_no_code(policyd):
    assert "[" not in rehearse(policyd)["reply"]
    assert "[" in ask(policyd)


@pytest.mark.parametrize("local", [
    "o'brien", "a$b", "=x", "--client", "üñî", '"a b"', "a\\b", "%s%n",
    "x\u202ey", "<script>"])
def test_hostile_addresses(policyd, local):
    sender = local + "@sender.example"
    before = state(policyd)
    seen = rehearse(policyd, sender=sender, recipient=local + "@example.com")
    assert seen["sender"] == sender
    assert seen["recipient"] == local + "@example.com"
    assert seen["reply"].startswith("451 4.7.1 ")
    assert state(policyd) == before


@pytest.mark.parametrize("options, text", [
    ({"client": "nowhere"}, "--client is an IP address"),
    ({"client": ""}, "--client is an IP address"),
    ({"recipient": "<>"}, "--recipient is an address"),
    ({"sender": "a@b.cc\nsasl_username=root"}, "--sender must be one line"),
    ({"helo": "h" * 9000}, "--helo must be one line"),
    ({"stage": "DATA"}, "--stage is RCPT, END-OF-MESSAGE or MESSAGE"),
    ({"size": "-1"}, "--size is a size"),
    ({"recipients": "many"}, "--recipients is a number")])
def test_what_is_no_request(policyd, options, text):
    given = {"sender": STRANGER, "recipient": ALICE, "client": CLIENT}
    given.update(options)
    done = policyd.ctl_run(*words(**given))
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert text in done.stderr


def test_what_is_missing_is_named(policyd):
    done = policyd.ctl_run("test", "--sender", STRANGER, "--client", CLIENT)
    assert done.returncode == USAGE
    assert "--recipient is missing" in done.stderr


@pytest.mark.settings({"policyd.decision_deadline": "1s"})
def test_without_the_database(policyd, mariadb):
    before = metrics(policyd)
    mariadb.kill()
    try:
        seen = rehearse(policyd)
        assert seen["reply"] == "DUNNO"
        assert [rule["outcome"] for rule in seen["rules"]
                if rule["rule"] == "greylisting"] == [
            "could not judge, accepted"]
        assert metrics(policyd) == before
    finally:
        mariadb.start()


def test_a_notification_is_not_sent(policyd):
    """The limit is reached: in earnest, somebody would be told."""
    policyd.ctl("throttle", "set", STRANGER, "external", "--period", "1h",
                "--max-msgs", "1")
    seen = rehearse(policyd, stage="END-OF-MESSAGE", recipients="2")
    assert seen["action"] in ("DUNNO", "REJECT")
    refused = rehearse(policyd, stage="END-OF-MESSAGE")
    assert refused["reply"] == "DUNNO"
    assert policyd.database.rows(STATE[1]) == []
    assert "limit_reached" not in policyd.log()
    assert "decision stage=" not in policyd.log()
