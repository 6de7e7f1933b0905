"""The milter, with a real Postfix before it and a server behind that shows
the messages as they are delivered."""

import os
import pwd
import re
import signal
import threading
import uuid

import pytest

from harness import wait_for
from harness.daemon import WITH_SPF, is_sanitized
from harness.dns import SERVFAIL, Answer, DnsServer
from harness.milter import SILENT, Milter
from harness.ports import free_ports
from harness.postfix import Postfix

CLIENT, OTHER = "192.0.2.10", "198.51.100.10"
ALICE = "alice@example.com"
RESULTS = "Authentication-Results"


@pytest.fixture(scope="module")
def milter_postfix(directory, ports, sink, milter_port):
    """On its first port Postfix asks the milter over inet, on its second one
    over a unix socket."""
    smtp, submission = free_ports(2)
    server = Postfix(os.path.join(directory, "postfix-milter"), smtp,
                     submission, "inet:127.0.0.1:%d" % ports[0])
    to_sink = "smtp:[127.0.0.1]:%d" % sink.port
    server.configure(changes={
        "smtpd_milters": "inet:127.0.0.1:%d" % milter_port,
        "non_smtpd_milters": "inet:127.0.0.1:%d" % milter_port,
        "submission_milters": "unix:" + unix_socket(directory),
        "milter_default_action": "tempfail",
        "smtputf8_enable": "yes",
        "virtual_transport": to_sink,
        "local_transport": to_sink,
        "default_transport": to_sink,
        "relay_transport": to_sink})
    try:
        yield server.start()
    finally:
        server.stop()


def unix_socket(directory):
    return os.path.join(directory, "policyd", "milter")


def zone():
    return {
        "pass.example": Answer(TXT="v=spf1 ip4:192.0.2.0/24 -all"),
        "fail.example": Answer(TXT="v=spf1 -all"),
        "gone.example": Answer(rcode=SERVFAIL),
        "11.2.0.192.in-addr.arpa": Answer(rcode=SERVFAIL),
        "12.2.0.192.in-addr.arpa": Answer(PTR="a.example"),
        "mx.pass.example": Answer(TXT="v=spf1 ip4:192.0.2.10 -all"),
    }


@pytest.fixture
def dns():
    with DnsServer(zone()) as server:
        yield server


@pytest.fixture
def policyd(configured, dns, milter_port, marked_settings):
    settings = dict(WITH_SPF, **{
        "spf.mode": "off", "greylisting.mode": "off", "throttle.mode": "off",
        "dmarc.mode": "off",
        "reject_sender_login_mismatch.mode": "off",
        "dns.resolver": dns.address, "dns.timeout": "2s",
        "spf.timeout": "2s",
        "milter.listen": "inet:127.0.0.1:%d" % milter_port,
        "milter.authserv_id": "mx.example.com"})
    settings.update(marked_settings)
    configured.configure(**settings)
    configured.settings = settings
    return configured.start()


@pytest.fixture
def deliver(milter_postfix, policyd, sink):
    """Sends one message; as it was delivered."""
    def once(sender, header="", **more):
        mark = uuid.uuid4().hex
        with milter_postfix.session(**more) as client:
            reply = client.send(
                sender, ALICE, header + "Subject: %s\n\ntest\n" % mark)
            assert reply.code == 250, reply
        return sink.find(mark)
    return once


def results(message):
    """Without what DMARC says: that is for test_milter_dmarc.py."""
    return [re.sub(r" dmarc=[^;]*;", "", field)
            for field in message.fields(RESULTS)]


def test_a_stranger_gets_spf_and_iprev(deliver, policyd):
    message = deliver("a@pass.example", address=CLIENT, name="mx.pass.example",
                      helo="mx.pass.example")
    assert results(message) == [
        "mx.example.com; spf=pass smtp.mailfrom=a@pass.example;"
        " spf=pass smtp.helo=mx.pass.example;"
        " dkim=none; iprev=pass policy.iprev=192.0.2.10"]
    assert message.names()[:2] == ["authentication-results", "received"]
    (queue_id,) = re.findall(r"id ([0-9A-F]+);?", message.fields("Received")[0])
    policyd.wait_for_log(
        "message action=accept queue_id=%s client_address=192.0.2.10"
        " helo_name=mx.pass.example sender=a@pass.example spf=pass"
        " spf_helo=pass iprev=pass" % queue_id)


@pytest.mark.parametrize("sender, client, expected", [
    ("a@fail.example", {}, "spf=fail smtp.mailfrom=a@fail.example;"
     " spf=none smtp.helo=client.example;"),
    ("a@gone.example", {}, "spf=temperror smtp.mailfrom=a@gone.example;"
     " spf=none smtp.helo=client.example;"),
    ("", {"helo": "mx.pass.example"}, "spf=pass smtp.helo=mx.pass.example;"),
    ("\"a;b\"@none.example", {"helo": "x;y"},
     "spf=none smtp.mailfrom=\"\\\"a;b\\\"@none.example\";"
     " spf=none smtp.helo=\"x;y\";"),
])
def test_what_spf_says(deliver, sender, client, expected):
    message = deliver(sender, address=CLIENT, **client)
    assert results(message) == [
        "mx.example.com; %s dkim=none; iprev=permerror policy.iprev=192.0.2.10"
        % expected]


@pytest.mark.parametrize("client, expected", [
    ({"address": CLIENT, "name": "a.example"}, "pass policy.iprev=192.0.2.10"),
    ({"address": CLIENT, "reverse_name": "a.example"},
     "fail policy.iprev=192.0.2.10"),
    ({"address": CLIENT}, "permerror policy.iprev=192.0.2.10"),
    ({"address": "192.0.2.11"}, "temperror policy.iprev=192.0.2.11"),
    ({"address": "2001:db8::25", "name": "a.example"},
     "pass policy.iprev=\"2001:db8::25\""),
])
def test_what_iprev_says(deliver, client, expected):
    message = deliver("", **client)
    assert results(message)[0].endswith("iprev=" + expected)


def test_nothing_is_said_of_a_name_that_postfix_did_not_look_for(deliver):
    assert "iprev" not in results(deliver("", address="192.0.2.12"))[0]


def test_a_login_gets_auth(deliver):
    message = deliver("bob@example.com", address=OTHER,
                      login="bob@example.com")
    assert results(message) == [
        "mx.example.com; auth=pass (XCLIENT) smtp.auth=bob@example.com"]


@pytest.mark.settings({"milter.auth": "no"})
def test_a_login_need_not_be_told(deliver):
    assert not results(deliver("bob@example.com", address=OTHER,
                               login="bob@example.com"))


FORGED = "".join("%s: %s\n" % one for one in [
    (RESULTS, "mx.example.com; spf=pass smtp.mailfrom=forged1"),
    (RESULTS, "other.example; spf=pass smtp.mailfrom=kept1"),
    ("AUTHENTICATION-results", " (a (b) \\) c) MX.Example.COM (d) 1;\n"
     "\tspf=pass smtp.mailfrom=forged2"),
    (RESULTS, "\"mx.\\example.com\"; spf=pass smtp.mailfrom=forged3"),
    (RESULTS, "mx.example.com.other.example; spf=pass smtp.mailfrom=kept2"),
    (RESULTS, "; spf=pass smtp.mailfrom=forged4"),
    ("X-" + RESULTS, "mx.example.com; kept3"),
])


@pytest.mark.parametrize("client", [
    {"address": CLIENT}, {"address": OTHER, "login": "bob@example.com"}])
def test_forged_fields_are_removed(deliver, client):
    message = deliver("bob@example.com", header=FORGED, **client)
    assert b"forged" not in message.data
    assert [one for one in results(message) if "kept" in one] == [
        "other.example; spf=pass smtp.mailfrom=kept1",
        "mx.example.com.other.example; spf=pass smtp.mailfrom=kept2"]
    assert message.fields("X-" + RESULTS)
    assert results(message)[0].startswith("mx.example.com; ")


def test_trusted_clients_bring_what_they_like(deliver):
    message = deliver("a@fail.example", header=FORGED)
    assert len(results(message)) == 6
    assert message.names()[0] == "received"


def test_mail_entered_locally_is_trusted(milter_postfix, policyd, sink):
    mark = uuid.uuid4().hex
    milter_postfix.sendmail("bob@example.com", ALICE,
                            FORGED + "Subject: %s\n\ntest\n" % mark)
    assert len(results(sink.find(mark))) == 6


# --- one session ------------------------------------------------------------

def send_and_find(client, sink, sender, header=""):
    mark = uuid.uuid4().hex
    reply = client.send(sender, ALICE,
                        header + "Subject: %s\n\ntest\n" % mark)
    assert reply.code == 250, reply
    return sink.find(mark)


def test_messages_of_one_session_are_apart(milter_postfix, policyd, sink):
    with milter_postfix.session(CLIENT) as client:
        for n in range(3):
            message = send_and_find(client, sink, "a%d@pass.example" % n,
                                    FORGED)
            assert "smtp.mailfrom=a%d@pass.example" % n in results(message)[0]
            assert len(results(message)) == 3


@pytest.mark.parametrize("stage", range(5))
def test_a_message_is_reset_at_each_stage(milter_postfix, policyd, sink,
                                          stage):
    commands = ["EHLO again.example", "MAIL FROM:<x@fail.example>",
                "RCPT TO:<%s>" % ALICE, "RCPT TO:<bob@example.com>"]
    with milter_postfix.session(CLIENT) as client:
        for command in commands[:stage]:
            assert client.command(command).code == 250
        assert client.command("RSET").code == 250
        message = send_and_find(client, sink, "a@pass.example")
        assert "fail" not in results(message)[0]
        assert len(results(message)) == 1


def sessions(policyd):
    return policyd.json("stats")["metrics"]["milter_sessions"]


@pytest.mark.parametrize("stage", range(4))
def test_clients_that_vanish_leave_nothing(milter_postfix, policyd, stage):
    commands = ["MAIL FROM:<x@fail.example>", "RCPT TO:<%s>" % ALICE, "DATA"]
    client = milter_postfix.session(CLIENT)
    for command in commands[:stage]:
        assert client.command(command).code in (250, 354)
    wait_for(lambda: sessions(policyd) == 1, "the session")
    client.abort()
    wait_for(lambda: sessions(policyd) == 0, "the end of the session")


@pytest.mark.settings({"milter.header_fields": "20"})
def test_a_header_with_many_fields_is_refused(milter_postfix, policyd, sink):
    with milter_postfix.session(CLIENT) as client:
        reply = client.send("a@pass.example", ALICE, "X-A: b\n" * 25 + "\n")
        assert str(reply) == ("550 5.6.0 The header or an address of this"
                              " message is too long")
        send_and_find(client, sink, "a@pass.example")


@pytest.mark.settings({"milter.header_bytes": "200K"})
def test_a_header_may_be_long(milter_postfix, policyd, sink):
    """Postfix cuts a field to 60000 bytes when there is a milter."""
    field = "X-Long: " + "\n ".join(["x" * 900] * 100) + "\n"
    with milter_postfix.session(CLIENT) as client:
        message = send_and_find(client, sink, "a@pass.example", field)
        assert len(message.fields("X-Long")[0]) > 55000
        reply = client.send("a@pass.example", ALICE, 4 * field + "\n")
        assert reply.code == 550


# --- what SMTP can do --------------------------------------------------------

def test_pipelining(milter_postfix, policyd, sink):
    marks = [uuid.uuid4().hex for _ in range(2)]
    with milter_postfix.session(CLIENT) as client:
        replies = client.pipeline("".join(
            "MAIL FROM:<a@pass.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % ALICE
            + "Subject: %s\r\n\r\ntest\r\n.\r\n" % mark
            for mark in marks).encode(), 8)
        assert [reply.code for reply in replies] == 2 * [250, 250, 354, 250]
    for mark in marks:
        assert len(results(sink.find(mark))) == 1


def test_chunks(milter_postfix, policyd, sink):
    mark = uuid.uuid4().hex
    parts = [("Subject: %s\r\n%s" % (mark, FORGED.replace("\n", "\r\n")))
             .encode(), b"\r\ntest\r\n"]
    with milter_postfix.session(CLIENT) as client:
        client.mail("a@pass.example")
        client.rcpt(ALICE)
        for at, part in enumerate(parts):
            line = b"BDAT %d%s\r\n" % (len(part), b" LAST" * at)
            assert client.pipeline(line + part, 1)[0].code == 250
    message = sink.find(mark)
    assert len(results(message)) == 3
    assert b"forged" not in message.data


def test_addresses_in_utf8(milter_postfix, policyd, sink):
    mark = uuid.uuid4().hex
    with milter_postfix.session(CLIENT) as client:
        line = "MAIL FROM:<m\u00fcller@pass.example> SMTPUTF8"
        assert client.command(line).code == 250
        assert client.rcpt(ALICE).code == 250
        assert client.data("Subject: %s \u00e4\n\ntest\n" % mark).code == 250
    message = sink.find(mark)
    assert "smtp.mailfrom=\"m\u00fcller@pass.example\"".encode() \
        in message.data


def test_eight_bits(milter_postfix, policyd, sink):
    mark = uuid.uuid4().hex
    with milter_postfix.session(CLIENT) as client:
        line = "MAIL FROM:<a@pass.example> BODY=8BITMIME"
        assert client.command(line).code == 250
        assert client.rcpt(ALICE).code == 250
        assert client.data("Subject: %s\n\n\u00e4\u00f6\n" % mark).code == 250
    message = sink.find(mark)
    assert "\u00e4\u00f6".encode() in message.data
    assert len(results(message)) == 1


@pytest.fixture
def over_unix(configured, dns, directory, milter_postfix):
    configured.configure(**{
        "dns.resolver": dns.address,
        "greylisting.mode": "off", "throttle.mode": "off",
        "milter.listen": "unix:" + unix_socket(directory),
        "milter.authserv_id": "mx.example.com"})
    return configured.start()


def test_a_unix_socket(milter_postfix, over_unix, sink):
    with milter_postfix.submission(None, CLIENT) as client:
        message = send_and_find(client, sink, "a@pass.example", FORGED)
    assert len(results(message)) == 3


# --- trouble -----------------------------------------------------------------

def milter_of(policyd):
    for pid in policyd.children():
        with open("/proc/%d/comm" % pid) as file:
            if file.read().strip() == "policyd: milter":
                return pid
    return None


class Asking(threading.Thread):
    """Policy requests, one after the other, until it is told to stop."""

    def __init__(self, policyd):
        super().__init__(daemon=True)
        self._policyd = policyd
        self._is_over = threading.Event()
        self.answers = []
        self.error = None

    def run(self):
        try:
            with self._policyd.client() as client:
                while not self._is_over.is_set():
                    self.answers.append(client.ask(
                        sender="a@pass.example", recipient=ALICE,
                        client_address=CLIENT))
        except Exception as error:
            self.error = error

    def stop(self):
        self._is_over.set()
        self.join(60)
        assert self.error is None, self.error
        assert set(self.answers) == {"DUNNO"}
        return len(self.answers)


def kill_milter(policyd):
    """And waits for the next one."""
    pid = wait_for(lambda: milter_of(policyd), "the milter")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: milter_of(policyd) not in (None, pid), "another milter")


def test_policy_does_not_mind_the_milters_death(milter_postfix, policyd,
                                                sink):
    asking = Asking(policyd)
    asking.start()
    for n in range(3):
        wait_for(lambda: len(asking.answers) > 100 * n, "some answers")
        kill_milter(policyd)
        with milter_postfix.session(CLIENT) as session:
            assert results(send_and_find(session, sink, "a@pass.example"))
    assert asking.stop() > 200


def test_a_message_in_flight_is_deferred_and_not_lost(milter_postfix, policyd,
                                                      sink):
    with milter_postfix.session(CLIENT) as client:
        assert client.mail("a@pass.example").code == 250
        assert client.rcpt(ALICE).code == 250
        kill_milter(policyd)
        reply = client.data()
        assert str(reply).startswith("451 4.7.1"), reply
    with milter_postfix.session(CLIENT) as client:
        assert results(send_and_find(client, sink, "a@pass.example"))


def test_the_status_counts_messages(deliver, policyd):
    assert policyd.json("status")["milter_messages"] == 0
    deliver("a@pass.example", address=CLIENT)
    wait_for(lambda: policyd.json("status")["milter_messages"] == 1,
             "the message to be counted")
    assert "messages seen by the milter" in policyd.ctl("status")


def test_the_milter_is_in_a_sandbox(policyd):
    with open("/proc/%d/status" % milter_of(policyd)) as file:
        status = dict(line.split(":\t", 1) for line in file)
    assert status["NoNewPrivs"].strip() == "1"
    assert is_sanitized(milter_of(policyd)) or status["Seccomp"].strip() == "2"
    assert status["Uid"].split() == 4 * [str(pwd.getpwnam("nobody").pw_uid)]


# What a sanitizer keeps its books in is larger by far than all else.
REGION_MAX = 256 << 20


def memory_of(pid):
    """What a process may write to."""
    with open("/proc/%d/maps" % pid) as file:
        rows = [line.split() for line in file]
    with open("/proc/%d/mem" % pid, "rb", 0) as file:
        for row in rows:
            if row[1].startswith("rw") and row[-1] != "[vvar]":
                start, end = (int(one, 16) for one in row[0].split("-"))
                if end - start <= REGION_MAX:
                    file.seek(start)
                    yield file.read(end - start)


def name_of(milter_port):
    """The name in what the milter adds."""
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        client.message()
        letter, data = client.end()[0]
        assert letter == "i"
        return data.split(b"\0")[-2].split(b";")[0].decode()


def test_the_milter_knows_no_password(policyd, milter_port):
    secret = b"not for the milter"
    with open(os.path.join(policyd.directory, "second"), "wb") as file:
        file.write(secret + b"\n")
    os.chmod(file.name, 0o600)
    policyd.stop()
    settings = dict(policyd.settings, **{
        "notify.user": "somebody", "notify.password_file": file.name})
    policyd.configure(**settings)
    policyd.start()
    milter = milter_of(policyd)
    (policy,) = set(policyd.children()) - {milter}

    def know():
        return [any(secret in part for part in memory_of(pid))
                for pid in (policy, milter)]
    assert know() == [True, False]
    policyd.configure(**dict(settings, **{
        "milter.authserv_id": "other.example"}))
    policyd.ctl("reload")
    wait_for(lambda: name_of(milter_port) == "other.example", "the new name")
    assert know() == [True, False]


@pytest.mark.settings({"milter.user": "postfix"})
def test_the_milter_has_an_account_of_its_own(policyd):
    milter = milter_of(policyd)
    for pid in policyd.children():
        name = "postfix" if pid == milter else "nobody"
        assert os.stat("/proc/%d" % pid).st_uid in (
            0, pwd.getpwnam(name).pw_uid)
        with open("/proc/%d/status" % pid) as file:
            assert "\nUid:\t%d\t" % pwd.getpwnam(name).pw_uid in file.read()


def test_it_is_told_of_a_reload(policyd, milter_port):
    assert name_of(milter_port) == "mx.example.com"
    policyd.configure(**dict(policyd.settings,
                             **{"milter.authserv_id": "other.example"}))
    milter = milter_of(policyd)
    policyd.send_signal(signal.SIGHUP)
    policyd.wait_for_log("configuration reloaded")
    wait_for(lambda: name_of(milter_port) == "other.example", "the new name")
    assert milter_of(policyd) == milter


def test_signals_for_others_do_not_end_it(policyd, milter_port):
    """libmilter would take each of these for an order to stop."""
    milter = milter_of(policyd)
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        for _ in range(200):
            os.kill(milter, signal.SIGHUP)
            os.kill(milter, signal.SIGINT)
        client.message()
        assert client.end()[-1][0] == "c"
    assert milter_of(policyd) == milter


# --- stopping ----------------------------------------------------------------

def test_a_session_is_served_to_its_end(policyd, milter_port):
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        client.message()
        policyd.send_signal(signal.SIGTERM)
        policyd.wait_for_log("stopping")
        wait_for(lambda: len(policyd.children()) == 1, "the policy process")
        assert [letter for letter, _ in client.end()] == ["i", "c"]
        client.message()
        assert [letter for letter, _ in client.end()] == ["i", "c"]
    policyd.stop()


@pytest.mark.settings({"policyd.stop_timeout": "1s"})
def test_a_session_without_end_is_left(policyd, milter_port):
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        policyd.stop()
        assert "1 sessions of the milter are left" in policyd.log()
        assert "killed" not in policyd.log()


def holds_socket(pid, port):
    """Whether the process has the socket that listens on the port."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    (inode,) = [row[9] for row in rows
                if row[1].endswith(":%04X" % port) and row[3] == "0A"]
    folder = "/proc/%d/fd" % pid
    return "socket:[%s]" % inode in [
        os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


def test_one_that_is_told_to_stop_leaves_its_socket_to_the_next(
        policyd, milter_port):
    """It takes no more clients; those wait for the process that follows."""
    first = milter_of(policyd)
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        assert holds_socket(first, milter_port)
        os.kill(first, signal.SIGTERM)
        wait_for(lambda: not holds_socket(first, milter_port),
                 "the first process to let go of the socket")
        waiting = Milter(milter_port)
        client.message()
        assert client.end()[-1][0] == "c"
    with waiting:
        waiting.negotiate()
        assert waiting.connect() == "c"
        assert milter_of(policyd) != first


# --- time --------------------------------------------------------------------

def silent_zone():
    return {"gone.example": Answer(silent=("TXT",))}


@pytest.mark.settings({"spf.timeout": "1s", "dns.timeout": "1s"})
def test_a_dns_that_is_silent(policyd, dns, milter_port):
    dns.zone.update(silent_zone())
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        client.message("a@gone.example")
        replies = client.end()
    assert replies[-1][0] == "c"
    assert b"spf=temperror smtp.mailfrom=a@gone.example" in replies[0][1]


LATE = {"spf.timeout": "60s", "dns.timeout": "60s", "milter.timeout": "200ms",
        "milter.message": "100% busy"}


@pytest.mark.settings(LATE)
def test_what_is_not_known_in_time(policyd, dns, milter_port):
    dns.zone.update(silent_zone())
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        client.message("a@gone.example")
        replies = client.end()
    assert replies[-1][0] == "c"
    assert b"spf=temperror (not known in time)" in replies[0][1]


@pytest.mark.settings(dict(LATE, **{"milter.on_error": "defer"}))
def test_what_is_not_known_in_time_defers(milter_postfix, policyd, dns):
    dns.zone.update(silent_zone())
    with milter_postfix.session(CLIENT) as client:
        assert client.send("a@gone.example", ALICE) \
            == "451 4.7.1 100% busy"
        assert client.send("a@pass.example", ALICE).code == 250


def test_what_is_asked_is_asked_at_once(policyd, dns, milter_port):
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        client.say("M", "<a@pass.example>")
        wait_for(lambda: dns.asked("pass.example"), "the question")


# --- the protocol ------------------------------------------------------------

def test_no_client_is_served_beyond_the_limit(policyd, milter_port):
    policyd.configure(**dict(policyd.settings, **{"milter.sessions": "2"}))
    policyd.ctl("reload")
    clients = [Milter(milter_port).negotiate() for _ in range(3)]
    assert [client.connect() for client in clients] == ["c", "c", "a"]
    clients[0].close()
    wait_for(lambda: sessions(policyd) == 2, "room for another")
    for client in clients[1:]:
        client.close()
    wait_for(lambda: sessions(policyd) == 0, "room for all")


def test_one_that_wants_answers_gets_them(policyd, milter_port):
    with Milter(milter_port, steps=0x7f) as client:
        client.negotiate()
        assert not client.steps & SILENT
        assert client.connect() == "c"
        client.say("H", "h.example")
        client.say("M", "<a@pass.example>")
        client.say("R", "<alice@example.com>")
        client.say("L", "Subject", "test")
        client.say("N")
        client.say("B", b"text\r\n")
        assert [letter for letter, _ in client.end()] == ["i", "c"]


ODD = [
    ("nothing", []),
    ("half a packet", [b"\0\0"]),
    ("a packet without end", [b"\xff\xff\xff\xff"]),
    ("no negotiation", [b"\0\0\0\x0bM<a@b.test>"]),
]


@pytest.mark.parametrize("name, data", ODD)
def test_odd_clients(policyd, milter_port, name, data):
    milter = milter_of(policyd)
    with Milter(milter_port) as client:
        for part in data:
            client.socket.sendall(part)
    with Milter(milter_port) as client:
        client.negotiate()
    with Milter(milter_port) as client:
        client.negotiate()
        client.send("M", "<a@b.example>")
        client.send("E")
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect() == "c"
        for _ in range(3):
            client.send("A")
            client.message()
        client.send("A")
        client.message()
        assert client.end()[-1][0] == "c"
        client.send("Q")
    wait_for(lambda: sessions(policyd) == 0, "the end of all sessions")
    assert milter_of(policyd) == milter
