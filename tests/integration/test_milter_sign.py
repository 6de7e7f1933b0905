"""What logins, trusted clients and programs on the host send is signed by the
milter. A real Postfix takes it and delivers it to a server of ours, and dkimpy
and OpenDKIM's library verify what arrives there."""

import os
import re
import signal
import subprocess
import threading
import time
import uuid

import pytest

from harness import BUILD, wait_for
from harness.milter import Closed, Milter
from harness.ports import free_ports
from harness.postfix import Postfix

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")

STRANGER = "192.0.2.10"
ALICE, BOB = "alice@example.com", "bob@example.com"
OUTSIDE = "carol@example.net"
DOMAIN = "example.com"
ALGORITHMS = ["ed25519-sha256", "rsa-sha256"]
SIGN = os.path.join(BUILD, "tests/dkim_sign_tool")
VERIFY = os.path.join(BUILD, "tests/dkim_verify_tool")
SIGNATURE = "DKIM-Signature"


# --- keys -------------------------------------------------------------------

class Keys:
    """One of each kind, and what is published of them."""

    def __init__(self, directory):
        self.paths, self.records = {}, {}
        for kind in ("rsa", "ed25519"):
            self.paths[kind] = os.path.join(directory, kind + ".pem")
            with open(self.paths[kind], "wb") as file:
                file.write(run(SIGN, "make", kind))
            os.chmod(file.name, 0o600)
            self.records[kind] = run(SIGN, "publish",
                                     self.paths[kind]).strip()

    def look_up(self, name, timeout=None):
        """In place of dkimpy's DNS."""
        selector, rest = name.decode("ascii").split(".", 1)
        assert rest == "_domainkey." + DOMAIN + "."
        return self.records[selector]


def run(*command, given=b""):
    # The library of others need not be free of leaks.
    return subprocess.run(
        command, input=given, capture_output=True, timeout=60, check=True,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=%d" %
             (command[0] != VERIFY)}).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys"))


def import_keys(policyd, keys, domain=DOMAIN):
    for kind, path in keys.paths.items():
        policyd.ctl("dkim", "import", domain, kind, path)
        policyd.ctl("dkim", "activate", domain, kind, "--force")


# --- programs ---------------------------------------------------------------

@pytest.fixture(scope="module")
def signing_postfix(directory, ports, sink, milter_port):
    milter = "inet:127.0.0.1:%d" % milter_port
    smtp, submission = free_ports(2)
    server = Postfix(os.path.join(directory, "postfix-sign"), smtp, submission,
                     "inet:127.0.0.1:%d" % ports[0])
    to_sink = "smtp:[127.0.0.1]:%d" % sink.port
    server.configure(changes={
        "smtpd_milters": milter, "non_smtpd_milters": milter,
        "submission_milters": milter, "milter_default_action": "tempfail",
        "smtputf8_enable": "yes", "virtual_transport": to_sink,
        "local_transport": to_sink, "default_transport": to_sink,
        "relay_transport": to_sink,
        # What Postfix changes before it shows a message to a milter.
        "masquerade_domains": DOMAIN,
        "header_checks": "regexp:{{/^X-Old:/ REPLACE Reply-To: %s}}" % BOB})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def policyd(configured, milter_port, marked_settings, keys):
    settings = {
        "greylisting.mode": "off", "throttle.mode": "off",
        "reject_sender_login_mismatch.mode": "off",
        "milter.listen": "inet:127.0.0.1:%d" % milter_port,
        "milter.authserv_id": "mx.example.com"}
    settings.update(marked_settings)
    configured.configure(**settings)
    configured.settings = settings
    configured.start()
    import_keys(configured, keys)
    return configured


# --- messages ---------------------------------------------------------------

def as_sent(text):
    """With CR LF, and dots doubled as SMTP wants it."""
    data = text if isinstance(text, bytes) else text.encode()
    data = data.replace(b"\n", b"\r\n")
    return re.sub(rb"(?m)^\.", b"..", data)


def submit(client, header, body, sender=BOB, mail_parameters="",
           recipient=OUTSIDE):
    """Over an SMTP session; the reply to the end of the message."""
    mail = "MAIL FROM:<%s>%s" % (sender, mail_parameters)
    assert client.command(mail).code == 250
    assert client.rcpt(recipient).code == 250
    assert client.command("DATA").code == 354
    return client.pipeline(as_sent(header) + b"\r\n" + as_sent(body)
                           + b".\r\n", 1)[0]


def header_of(mark, author=BOB):
    return "From: Bob <%s>\nTo: %s\nSubject: %s\n" % (author, OUTSIDE, mark)


def tags(message):
    """Of each signature."""
    found = []
    for value in message.fields(SIGNATURE):
        pairs = (part.split("=", 1) for part in value.split(";") if part)
        found.append({name.strip(): text.strip() for name, text in pairs})
    return found


def verdicts(keys, message):
    """Of dkimpy and of OpenDKIM's library, for each signature."""
    n = len(message.fields(SIGNATURE))
    own = []
    for at in range(n):
        try:
            own.append(dkim.DKIM(message.data).verify(
                idx=at, dnsfunc=keys.look_up))
        except dkim.ValidationError as error:
            own.append(str(error))
    if not os.path.exists(VERIFY):
        return own
    records = [text for selector, record in keys.records.items()
               for text in (selector, record.decode())]
    return own + [word == "pass" or word for word in run(
        VERIFY, DOMAIN, *records, given=message.data).decode().splitlines()]


def assert_signed(keys, message):
    """Once with each key, and both are valid for others."""
    found = tags(message)
    assert sorted(one["a"] for one in found) == ALGORITHMS, message.data
    assert {one["d"] for one in found} == {DOMAIN}
    assert {one["s"]: one["a"] for one in found} == {
        "rsa": "rsa-sha256", "ed25519": "ed25519-sha256"}
    assert all("l" not in one for one in found)
    results = verdicts(keys, message)
    assert len(results) in (2, 4) and set(results) == {True}, message.data


def assert_unsigned(message):
    assert not message.fields(SIGNATURE)


@pytest.fixture
def client(signing_postfix, policyd, request):
    """By its kind: "login" or "trusted"."""
    kind = getattr(request, "param", "login")
    session = signing_postfix.submission(BOB, STRANGER) \
        if kind == "login" else signing_postfix.session()
    with session:
        yield session


# --- what is signed ---------------------------------------------------------

LINE = "All work and no play makes Jack a dull boy."

BODIES = {
    "text": "Hello.\n\nBye.\n",
    "nothing": "",
    "an empty line": "\n",
    "empty lines": "\n" * 100,
    "empty lines at the end": "Hello.\n\n\n\n",
    "blanks": " a \t b \n\tc\t\n \n\t\n",
    "dots": ".\n..\n.a\nb.\n.\n",
    "long lines": ("x" * 998 + "\n") * 10,
    "From in the body": "From me\nFrom: eve@example.org\n\nFrom you\n",
    "a megabyte": (LINE + "\n") * 24000,
}


@pytest.mark.parametrize("client", ["login", "trusted"], indirect=True)
@pytest.mark.parametrize("name", sorted(BODIES))
def test_bodies(client, sink, keys, name):
    mark = uuid.uuid4().hex
    reply = submit(client, header_of(mark), BODIES[name])
    assert reply.code == 250, reply
    assert_signed(keys, sink.find(mark))


HEADERS = {
    "folded": "From: Bob\n <bob@example.com>\nTo: a@example.net,\n"
              "\tb@example.net\nSubject:\n %s\n",
    "blanks": "From:   Bob \t <bob@example.com>  \nSubject: \t %s \t \nTo:\n",
    "no blanks": "From:bob@example.com\nSubject:%s\n",
    "odd case": "fROM: bob@EXAMPLE.com\nSUBJECT: %s\n",
    "only From": "From: bob@example.com\nX-Mark: %s\n",
    "many": "From: bob@example.com\nSubject: %s\n" + "X-A: b\n" * 300,
    "of a list": "From: bob@example.com\nSubject: %s\nList-Id: <a.example>\n"
                 "List-Post: <mailto:a@a.example>\nSender: a@a.example\n",
    "resent": "Resent-From: a@example.net\nFrom: bob@example.com\n"
              "Subject: %s\nResent-To: b@example.net\n",
    "two authors": "From: bob@example.com, alice@example.com\n"
                   "Sender: bob@example.com\nSubject: %s\n",
    "a signature of others":
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa;\n"
        " h=From; bh=abcd; b=abcd\nFrom: bob@example.com\nSubject: %s\n",
}


@pytest.mark.parametrize("name", sorted(set(HEADERS)
                                        - {"a signature of others"}))
def test_headers(client, sink, keys, name):
    mark = uuid.uuid4().hex
    reply = submit(client, HEADERS[name] % mark, "Hello.\n")
    assert reply.code == 250, reply
    assert_signed(keys, sink.find(mark))


def test_signatures_of_others_stay(client, sink, keys):
    mark = uuid.uuid4().hex
    reply = submit(client, HEADERS["a signature of others"] % mark, "Hello.\n")
    assert reply.code == 250, reply
    message = sink.find(mark)
    assert [one["d"] for one in tags(message)] == [
        DOMAIN, DOMAIN, "example.org"]
    # Those of ours come first.
    for at in range(2):
        assert dkim.DKIM(message.data).verify(idx=at, dnsfunc=keys.look_up)


@pytest.mark.parametrize("to_outside", [True, False])
def test_programs_on_the_host(signing_postfix, policyd, sink, keys,
                              to_outside):
    mark = uuid.uuid4().hex
    signing_postfix.sendmail(BOB, OUTSIDE if to_outside else ALICE,
                             header_of(mark) + "\nHello.\n\n.a\n")
    assert_signed(keys, sink.find(mark))


def test_mail_within_the_domain(client, sink, keys):
    mark = uuid.uuid4().hex
    assert submit(client, header_of(mark), "a\n", recipient=ALICE).code == 250
    assert_signed(keys, sink.find(mark))


@pytest.mark.parametrize("client", ["trusted"], indirect=True)
def test_what_postfix_rewrites(client, sink, keys):
    mark = uuid.uuid4().hex
    header = header_of(mark, "bob@host.example.com") + "X-Old: a\n"
    assert submit(client, header, "a\n").code == 250
    message = sink.find(mark)
    assert message.fields("From") == ["Bob <%s>" % BOB]
    assert message.fields("Reply-To") == [BOB]
    assert_signed(keys, message)


def test_eight_bits(client, sink, keys):
    mark = uuid.uuid4().hex
    header = header_of(mark) + "MIME-Version: 1.0\n" \
        "Content-Type: text/plain; charset=utf-8\n" \
        "Content-Transfer-Encoding: 8bit\n"
    reply = submit(client, header, "\u00e4\u00f6\u00fc\n",
                   mail_parameters=" BODY=8BITMIME")
    assert reply.code == 250, reply
    message = sink.find(mark)
    assert "\u00e4\u00f6".encode() in message.data
    assert_signed(keys, message)


def test_utf8(client, sink, keys):
    mark = uuid.uuid4().hex
    header = "From: J\u00f6rg <bob@example.com>\nTo: \u00e4@example.net\n" \
        "Subject: %s \u20ac\n" % mark
    reply = submit(client, header, "\u00e4\n",
                   mail_parameters=" BODY=8BITMIME SMTPUTF8")
    assert reply.code == 250, reply
    assert_signed(keys, sink.find(mark))


@pytest.mark.parametrize("body", [b"Hello.\r\n", b"Hello.", b"", b"\r\n",
                                  b".\r\n..\r\n.", b"a\nb\nc"],
                         ids=["text", "no end of the line", "nothing",
                              "an empty line", "dots", "bare LF"])
def test_chunks(client, sink, keys, body):
    mark = uuid.uuid4().hex
    header = header_of(mark).replace("\n", "\r\n").encode() + b"\r\n"
    assert client.mail(BOB).code == 250
    assert client.rcpt(OUTSIDE).code == 250
    for at, part in enumerate([header[:20], header[20:], body]):
        line = b"BDAT %d%s\r\n" % (len(part), b" LAST" * (at == 2))
        reply = client.pipeline(line + part, 1)[0]
        assert reply.code == 250, reply
    assert_signed(keys, sink.find(mark))


@pytest.mark.parametrize("form", [
    "relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
def test_canonical_forms(signing_postfix, policyd, sink, keys, form):
    policyd.configure(**dict(policyd.settings, **{
        "dkim.canonicalization": form, "dkim.expire": "7d",
        "dkim.headers": "From, Subject, X-Own"}))
    policyd.ctl("reload")

    def reloaded():
        mark = uuid.uuid4().hex
        with signing_postfix.submission(BOB, STRANGER) as client:
            header = header_of(mark) + "X-Own:  a  b \n\tc\n"
            assert submit(client, header, " a \t b \n\n\n").code == 250
        message = sink.find(mark)
        return message if tags(message)[0]["c"] == form else None
    message = wait_for(reloaded, "the new settings")
    assert_signed(keys, message)
    for one in tags(message):
        assert int(one["x"]) - int(one["t"]) == 7 * 86400
        assert one["h"].replace(" ", "") == \
            "From:From:Subject:Subject:X-Own:X-Own"


def test_lines_that_postfix_breaks(client, sink, keys):
    """It does so when it delivers, as the manual says."""
    mark = uuid.uuid4().hex
    assert submit(client, header_of(mark), "x" * 999 + "\n").code == 250
    message = sink.find(mark)
    assert len(message.fields(SIGNATURE)) == 2
    assert b"x" * 998 + b"\r\n x\r\n" in message.data
    assert True not in verdicts(keys, message)


# --- what is not ------------------------------------------------------------

def test_strangers(signing_postfix, policyd, sink):
    mark = uuid.uuid4().hex
    with signing_postfix.session(STRANGER) as client:
        assert submit(client, header_of(mark), "a\n", sender="a@example.org",
                      recipient=ALICE).code == 250
    assert_unsigned(sink.find(mark))
    assert "signed=" not in [line for line in policyd.log().splitlines()
                             if "client_address=" + STRANGER in line][-1]


UNCLEAR = {
    "two fields": "From: bob@example.com\nFrom: alice@example.com\n",
    "two domains": "From: bob@example.com, eve@example.org\n",
    "another domain": "From: eve@example.org\n",
    "an address of a machine": "From: a@[192.0.2.1]\n",
}


@pytest.mark.parametrize("name", sorted(UNCLEAR))
def test_unclear_authors(client, sink, policyd, name):
    mark = uuid.uuid4().hex
    header = UNCLEAR[name] + "Subject: %s\n" % mark
    assert submit(client, header, "a\n").code == 250
    assert_unsigned(sink.find(mark))
    policyd.wait_for_log("unsigned=")


def test_off(signing_postfix, policyd, sink):
    policyd.stop()
    policyd.configure(**dict(policyd.settings, **{"dkim.sign": "no"}))
    policyd.start()
    mark = uuid.uuid4().hex
    with signing_postfix.submission(BOB, STRANGER) as client:
        assert submit(client, header_of(mark), "a\n").code == 250
    assert_unsigned(sink.find(mark))


def again(signing_postfix, sink, message):
    """As a content filter gives it back, from loopback; as it arrives."""
    mark = uuid.uuid4().hex
    with signing_postfix.session() as client:
        assert client.mail(BOB).code == 250
        assert client.rcpt(OUTSIDE).code == 250
        assert client.command("DATA").code == 354
        data = b"X-Filtered: " + mark.encode() + b"\r\n" + message.data
        reply = client.pipeline(re.sub(rb"(?m)^\.", b"..", data)
                                + b".\r\n", 1)[0]
        assert reply.code == 250, reply
    return sink.find(mark)


def test_mail_of_a_login_that_comes_back(client, signing_postfix, sink, keys,
                                         policyd):
    mark = uuid.uuid4().hex
    assert submit(client, header_of(mark), "a\n").code == 250
    message = again(signing_postfix, sink, sink.find(mark))
    assert_signed(keys, message)
    policyd.wait_for_log('unsigned="it came through us before"')


@pytest.mark.settings({"milter.auth": "no"})
def test_what_has_our_signatures_gets_no_others(client, signing_postfix, sink,
                                                keys, policyd):
    """Nothing else tells that it came through us."""
    mark = uuid.uuid4().hex
    assert submit(client, header_of(mark), "a\n").code == 250
    message = sink.find(mark)
    assert not message.fields("Authentication-Results")
    assert_signed(keys, again(signing_postfix, sink, message))
    policyd.wait_for_log('unsigned="it is signed already"')


def test_mail_of_a_stranger_that_comes_back(signing_postfix, policyd, sink):
    mark = uuid.uuid4().hex
    with signing_postfix.session(STRANGER) as client:
        assert submit(client, header_of(mark), "a\n", sender="",
                      recipient=ALICE).code == 250
    message = sink.find(mark)
    assert message.fields("Authentication-Results")
    assert_unsigned(again(signing_postfix, sink, message))


# --- sessions ---------------------------------------------------------------

def test_messages_of_one_session(client, sink, keys):
    marks = [uuid.uuid4().hex for _ in range(4)]
    for at, mark in enumerate(marks):
        author = BOB if at != 1 else "eve@example.org"
        reply = submit(client, header_of(mark, author), "%d\n" % at)
        assert reply.code == 250, reply
    for at, mark in enumerate(marks):
        if at == 1:
            assert_unsigned(sink.find(mark))
        else:
            assert_signed(keys, sink.find(mark))


def test_pipelining(client, sink, keys):
    marks = [uuid.uuid4().hex for _ in range(2)]
    replies = client.pipeline("".join(
        "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (BOB, OUTSIDE)
        + header_of(mark).replace("\n", "\r\n") + "\r\ntest\r\n.\r\n"
        for mark in marks).encode(), 8)
    assert [reply.code for reply in replies] == 2 * [250, 250, 354, 250]
    for mark in marks:
        assert_signed(keys, sink.find(mark))


@pytest.mark.parametrize("stage", range(4))
def test_a_message_is_reset_at_each_stage(client, sink, keys, stage):
    commands = ["EHLO again.example", "MAIL FROM:<%s>" % BOB,
                "RCPT TO:<%s>" % OUTSIDE]
    for command in commands[:stage]:
        assert client.command(command).code == 250
    assert client.command("RSET").code == 250
    mark = uuid.uuid4().hex
    assert submit(client, header_of(mark), "a\n").code == 250
    assert_signed(keys, sink.find(mark))


def sessions(policyd):
    return policyd.json("stats")["metrics"]["milter_sessions"]


def tell(client, upto, author=BOB, body=b"Hello.\r\n"):
    """The first so many commands of a message."""
    for command, *words in [("M", "<%s>" % BOB), ("R", "<%s>" % OUTSIDE),
                            ("L", "From", author), ("L", "Subject", "a"),
                            ("N",), ("B", body)][:upto]:
        client.send(command, *words)
        # A piece of a body is answered.
        if command == "B":
            assert client.reply()[0] in "cs"


def inserted(replies):
    """Values of the signatures that are put into a message."""
    return [data.split(b"\0")[-2] for letter, data in replies
            if letter == "i" and data[4:].startswith(SIGNATURE.encode())]


@pytest.mark.parametrize("stage", range(7))
def test_aborts_at_each_stage(policyd, milter_port, stage):
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect("127.0.0.1", "localhost") == "c"
        for _ in range(3):
            tell(client, stage)
            client.send("A")
        tell(client, 6)
        replies = client.end()
        assert replies[-1][0] == "c" and len(inserted(replies)) == 2
        # And one that is left at this stage by who vanishes.
        tell(client, stage)
    wait_for(lambda: sessions(policyd) == 0, "the end of the session")


# --- trouble ----------------------------------------------------------------

def processes(policyd):
    """(the milter, the others)"""
    found = {}
    for pid in policyd.children():
        with open("/proc/%d/comm" % pid) as file:
            found.setdefault(file.read().strip(), []).append(pid)
    milter = found.pop("policyd: milter", [None])[0]
    return milter, sum(found.values(), [])


@pytest.mark.parametrize("on_error", ["defer", "accept"])
@pytest.mark.settings({"milter.timeout": "300ms", "milter.message": "busy"})
def test_keys_that_are_not_to_be_had(policyd, milter_port, on_error):
    """The policy process does not answer; that is not "no key"."""
    policyd.configure(**dict(policyd.settings, **{"dkim.on_error": on_error}))
    policyd.ctl("reload")
    time.sleep(0.2)
    _, others = processes(policyd)
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        with Milter(milter_port) as client:
            client.negotiate()
            assert client.connect("127.0.0.1", "localhost") == "c"
            tell(client, 6)
            replies = client.end()
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    assert not inserted(replies)
    if on_error == "defer":
        assert replies[-1] == ("y", b"451 4.7.1 busy\0")
    else:
        assert replies[-1][0] == "c"
    policyd.wait_for_log('unsigned="the keys are not to be had"')
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect("127.0.0.1", "localhost") == "c"
        tell(client, 6)
        assert len(inserted(client.end())) == 2


def test_a_policy_process_that_dies_is_not_noticed(policyd, milter_port):
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect("127.0.0.1", "localhost") == "c"
        for _ in range(3):
            for pid in processes(policyd)[1]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)  # What is remembered has aged.
            tell(client, 6)
            replies = client.end()
            assert replies[-1][0] == "c" and len(inserted(replies)) == 2


def send_some(signing_postfix, marks, accepted):
    for mark in marks:
        try:
            with signing_postfix.submission(BOB, STRANGER) as client:
                if submit(client, header_of(mark), "a\n").code == 250:
                    accepted.append(mark)
        except AssertionError:
            pass  # Deferred before its data.


def test_no_message_is_unsigned_or_lost_when_the_milter_dies(
        signing_postfix, policyd, sink, keys):
    accepted = []
    threads = [threading.Thread(target=send_some, args=(
        signing_postfix, [uuid.uuid4().hex for _ in range(40)], accepted))
        for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(3):
        wait_for(lambda: len(accepted) > 15 * n, "some messages")
        milter = wait_for(lambda: processes(policyd)[0], "the milter")
        os.kill(milter, signal.SIGKILL)
    for thread in threads:
        thread.join(120)
    assert len(accepted) > 45
    for mark in accepted:
        assert_signed(keys, sink.find(mark))


def test_what_is_told_of_it(client, sink, policyd):
    mark = uuid.uuid4().hex
    assert submit(client, header_of(mark), "a\n").code == 250
    sink.find(mark)
    policyd.wait_for_log("signed=example.com/")
    wait_for(lambda: policyd.json("stats")["metrics"]["dkim_signed_total"]
             == 1, "the message to be counted")
    assert submit(client, header_of(mark, "eve@example.org"),
                  "a\n").code == 250
    policyd.wait_for_log('unsigned="no key"')
    wait_for(lambda: policyd.json("stats")["metrics"]["dkim_unsigned_total"]
             == 1, "the message to be counted")


def test_the_protocol_without_blanks_and_a_domain_without_keys(
        policyd, milter_port):
    with Milter(milter_port) as client:
        client.negotiate()
        assert client.connect("127.0.0.1", "localhost") == "c"
        tell(client, 5, author="eve@example.org")
        time.sleep(0.5)
        # What is known to be without keys need not be told.
        client.send("B", b"text\r\n")
        assert client.reply()[0] == "s"
        replies = client.end()
        assert replies[-1][0] == "c" and not inserted(replies)


def test_sessions_end_early(policyd, milter_port):
    """Nothing waits for keys when a message is over."""
    for _ in range(20):
        with Milter(milter_port) as client:
            client.negotiate()
            assert client.connect("127.0.0.1", "localhost") == "c"
            tell(client, 5, author="a@%s.example.org" % uuid.uuid4().hex)
            try:
                client.send("Q")
            except Closed:
                pass
    wait_for(lambda: sessions(policyd) == 0, "the end of the sessions")
