"""What we make of signatures and chains of others: of the public messages
beside the repository, with the keys that are known, and of mail that real
Postfix is sent, signed by dkimpy, with keys in a DNS of the test."""

import os
import re
import subprocess
import time
import uuid

import pytest
import yaml

from harness import BUILD, SOURCE
from harness.daemon import WITH_SPF
from harness.dns import SERVFAIL, Answer, DnsServer
from harness.ports import free_ports
from harness.postfix import Postfix

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")

SUITES = os.path.abspath(os.environ.get(
    "POLICYD_SUITES", os.path.join(SOURCE, "../shared/suites")))
VERIFY = os.path.join(BUILD, "tests/verify_tool")
NOW = 1700000000

needs_suites = pytest.mark.skipif(
    not os.path.isdir(SUITES), reason="no " + SUITES)
no_daemon = pytest.mark.needs_no_daemon


def verify(kind, message, records, now=NOW, step=1000):
    done = subprocess.run(
        [VERIFY, kind, str(now), str(step)] +
        ["%s=%s" % (name, text) for name, one in records.items()
         for text in ([one] if isinstance(one, str) else one)],
        input=message, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8").splitlines()


def read(*path):
    with open(os.path.join(SUITES, *path), "rb") as file:
        return file.read()


# --- ARC ---------------------------------------------------------------------

def arc_cases():
    if not os.path.isdir(SUITES):
        return []
    scenarios = yaml.safe_load_all(
        read("arc-valimail", "arc-draft-validation-tests.yml"))
    return [(name, case, scenario["txt-records"]) for scenario in scenarios
            for name, case in scenario["tests"].items()]


# A chain that says of itself that it was broken has no result there, since the
# draft said nothing of it; by RFC 8617 (5.2, step 2) it fails.
@no_daemon
@needs_suites
@pytest.mark.parametrize("step", [1, 100000])
def test_all_chains_of_the_suite(step):
    cases, wrong = arc_cases(), []
    for name, case, records in cases:
        expected = "fail" if case["cv"] == "" else str(case["cv"]).lower()
        (line,) = verify("arc", case["message"].encode(), records, step=step)
        if line.split(" ")[0] != expected:
            wrong.append((name, expected, line))
    assert not wrong
    assert len(cases) == 171


# --- public messages ---------------------------------------------------------

# Of Gmail, as dkimpy's own tests have it.
GMAIL_2012 = (
    "k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Kd87/UeJjenpabgbFwh"
    "+eBCsSTrqmwIYYvywlbhbqoo2DymndFkbjOVIPIldNs/m40KF+yzMn1skyoxcTUGCQ"
    "s8g3FgD2Ap3ZB5DekAo5wMmk4wimDO+U8QzI3SD07y2+07wlNWwIt8svnxgdxGkVbb"
    "hzY8i+RQ9DpSVpPbF7ykQxtKXkv/ahW3KjViiAH+ghvvIhkx4xYSIc9oSwVmAl5Oct"
    "MEeWUwg8Istjqz8BZeTWbf41fbNhte7Y+YqZOwq1Sd0DbvYAD9NOZK9vlfuac0598H"
    "Y+vtSBczUiKERHv1yRbcaQtZFh5wtiRrN04BLUTD21MycBX5jYchHjPY/wIDAQAB")
RFC8032 = ("v=DKIM1; k=ed25519;"
           " p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")


def dkimpy(name):
    return read("dkim-dkimpy", name).decode("ascii").strip()


def known_keys():
    return {
        "20120113._domainkey.gmail.com": GMAIL_2012,
        "test._domainkey.football.example.com": dkimpy("test.txt"),
        "brisbane._domainkey.football.example.com": RFC8032,
        "sed._domainkey.test.ex": dkimpy("eximtest.dns"),
    }


NO_KEY = "there is no key"
SHA1 = "rsa-sha1 is not accepted any more"

# File: for each signature its result and why. Where there is no key in the
# suite, what can be said without it; by RFC 6376, 6.1.2, that is a permerror.
MESSAGES = {
    "dkim-dkimpy/ed25519test2.msg": [
        ("pass", "")],  # Exim, with its key
    "dkim-dkimpy/message.mbox": [("permerror", NO_KEY)],
    "dkim-dkimpy/rfc6376.signed.msg": [("pass", ""), ("pass", "")],
    "dkim-dkimpy/rfc6376.signed.rsa.msg": [("pass", "")],
    "dkim-dkimpy/test.message.baddomain": [
        ("neutral", "d= or s= is no name")],  # 3.5: d= is a name
    "dkim-dkimpy/test2.message": [("pass", "")],
    "dkim-jdkim/corpus/FAIL_BADBH_s1024_yahoo.com.eml": [
        ("permerror", NO_KEY)],
    "dkim-jdkim/corpus/FAIL_illegalargumentexception.eml": [
        ("permerror", SHA1)],  # RFC 8301, 3.1
    "dkim-jdkim/corpus/gamma_gmail.com.eml": [("permerror", NO_KEY)],
    "dkim-jdkim/corpus/gamma_gmail.com_duplicateheaders.eml": [
        ("permerror", NO_KEY)],
    "dkim-jdkim/corpus/multiHeader.eml": [("permerror", NO_KEY)],
    "dkim-jdkim/corpus/pmta_myspace.com.eml": [("permerror", SHA1)],
    "dkim-jdkim/corpus/s1024_yahoo.com.eml": [("permerror", NO_KEY)],
    "mime-mimekit/messages/issue358.txt": [("permerror", NO_KEY)],
    "mime-mox/dmarc-reports/google.eml": [("permerror", NO_KEY)],
    "mime-mox/dmarc-reports/mailru.eml": [("permerror", NO_KEY)],
    "mime-mox/dmarc-reports/outlook.eml": [("permerror", NO_KEY)],
    "mime-mox/dmarc-reports/xs4all.eml": [("permerror", NO_KEY)],
    "mime-mox/dmarc-reports/yahoo.eml": [("permerror", NO_KEY)],
    "mime-mox/imaptest/imaptest.mbox": [("permerror", NO_KEY)],
    "mime-mox/junk/parse.eml": [("permerror", SHA1)],
    "mime-mox/junk/parse2.eml": [("permerror", SHA1)],
    "mime-mox/junk/parse3.eml": [("permerror", NO_KEY)],
    "mime-pymilter/hairloss.eml": [("permerror", NO_KEY)],
}


def as_sent(raw):
    """A line of a mailbox file is not part of the message; lines end with
    CR LF."""
    if raw.startswith(b"From "):
        raw = raw.split(b"\n", 1)[1]
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def names_of_signed():
    found = []
    for suite in sorted(os.listdir(SUITES) if os.path.isdir(SUITES) else ()):
        if not suite.startswith(("mime-", "dkim-")):
            continue
        for folder, _, files in os.walk(os.path.join(SUITES, suite)):
            for name in files:
                path = os.path.relpath(os.path.join(folder, name), SUITES)
                # A header of a message, not of a part of it.
                header = as_sent(read(path)).split(b"\r\n\r\n")[0]
                if b"\r\ndkim-signature:" in b"\r\n" + header.lower():
                    found.append(path)
    return sorted(found)


@no_daemon
@needs_suites
def test_every_signed_message_is_in_the_table():
    assert names_of_signed() == sorted(MESSAGES)


@no_daemon
@needs_suites
@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_public_messages(name):
    for step in (1, 7, 100000):
        lines = verify("dkim", as_sent(read(name)), known_keys(), step=step)
        assert [(line.split(" ")[0], " ".join(line.split(" ")[5:]))
                for line in lines] == MESSAGES[name]


# The records of dkimpy's tests for one message.
@no_daemon
@needs_suites
@pytest.mark.parametrize("record, expected", [
    ("test.txt", "pass football.example.com test 1024 w "),
    ("test2.txt", "pass football.example.com test 1024 w "),  # without k=
    # Not base64; k= that there is not; v= that does not end; for TLS reports.
    ("test_bad.txt", "permerror football.example.com test 0 - p= is"),
    ("badk.txt", "permerror football.example.com test 0 - the key is of an"
     " unknown type"),
    ("badversion.txt", "permerror football.example.com test 0 - v= is not"),
    ("test_tlsrpt.txt", "permerror football.example.com test 1024 - the key"
     " is not for mail"),
])
def test_public_records(record, expected):
    name = "test._domainkey.football.example.com"
    (line,) = verify("dkim", as_sent(
        read("dkim-dkimpy", "rfc6376.signed.rsa.msg")),
        {name: dkimpy(record)})
    assert line.startswith(expected)


# --- dkimpy signs ------------------------------------------------------------

MESSAGE = (b"From: Joe <joe@example.org>\r\nTo: alice@example.com\r\n"
           b"Subject:  Is   dinner\tready? \r\n\r\nHello.\r\n\r\n  Joe \r\n")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """RSA of 2048 and of 1024 bits: (PEM, record)."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for bits in (2048, 1024):
        path = str(folder / str(bits))
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", path,
                        str(bits)], check=True, capture_output=True)
        public = subprocess.run(
            ["openssl", "rsa", "-in", path, "-pubout"], check=True,
            capture_output=True, text=True).stdout
        with open(path, "rb") as file:
            made[str(bits)] = file.read(), "v=DKIM1; k=rsa; p=" + "".join(
                public.splitlines()[1:-1])
    return made


def sign(keys, which="2048", message=MESSAGE, **more):
    options = dict(canonicalize=(b"relaxed", b"relaxed"),
                   include_headers=[b"from", b"to", b"subject"])
    options.update(more)
    field = dkim.sign(message, b"s", b"example.org", keys[which][0],
                      **options)
    return field + message


@no_daemon
@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("which, flags", [("2048", "-"), ("1024", "w")])
def test_dkimpy_is_understood(keys, header, body, which, flags):
    signed = sign(keys, which, canonicalize=(header, body))
    records = {"s._domainkey.example.org": keys[which][1]}
    now = int(time.time())
    assert verify("dkim", signed, records, now=now) == [
        "pass example.org s %s %s " % (which, flags)]
    assert verify("dkim", signed + b"more\r\n", records, now=now) == [
        "fail example.org s %s %s the body has been changed" % (which, flags)]


# --- through Postfix ---------------------------------------------------------

CLIENT = "192.0.2.10"


@pytest.fixture(scope="module")
def milter_postfix(directory, ports, sink, milter_port):
    smtp, submission = free_ports(2)
    server = Postfix(os.path.join(directory, "postfix-verify"), smtp,
                     submission, "inet:127.0.0.1:%d" % ports[0])
    server.configure(changes={
        "smtpd_milters": "inet:127.0.0.1:%d" % milter_port,
        "milter_default_action": "tempfail",
        "virtual_transport": "smtp:[127.0.0.1]:%d" % sink.port})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def dns(keys):
    name = "._domainkey.example.org"
    with DnsServer({
            "s" + name: Answer(TXT=keys["2048"][1]),
            "other" + name: Answer(TXT=keys["1024"][1]),
            "gone" + name: Answer(rcode=SERVFAIL),
            "silent" + name: Answer(silent=True),
            "two" + name: Answer(TXT=[keys["2048"][1], keys["1024"][1]]),
            "beside" + name: Answer(TXT=["hello", keys["2048"][1]]),
            "revoked" + name: Answer(TXT="v=DKIM1; p="),
            "testing" + name: Answer(
                TXT=keys["2048"][1].replace("k=", "t=y; k=")),
            "mail" + name: Answer(TXT=keys["2048"][1])}) as server:
        yield server


@pytest.fixture
def policyd(configured, dns, milter_port, marked_settings):
    settings = dict(WITH_SPF, **{
        "spf.mode": "off", "greylisting.mode": "off", "throttle.mode": "off",
        "reject_sender_login_mismatch.mode": "off",
        "dns.resolver": dns.address, "dns.timeout": "1s",
        "spf.timeout": "1s",
        "milter.listen": "inet:127.0.0.1:%d" % milter_port,
        "milter.authserv_id": "mx.example.com"})
    settings.update(marked_settings)
    configured.configure(**settings)
    return configured.start()


@pytest.fixture
def results_of(milter_postfix, policyd, sink):
    """Sends one message that was signed; what is said of its signatures."""
    def once(message, sender="", **more):
        mark = uuid.uuid4().hex
        message = b"X-Mark: %s\r\n" % mark.encode() + message
        with milter_postfix.session(address=CLIENT, **more) as client:
            reply = client.send(
                sender, "alice@example.com",
                message.replace(b"\r\n", b"\n").decode("latin-1"))
            assert reply.code == 250, reply
        ours = sink.find(mark).fields("Authentication-Results")[0]
        assert ours.startswith("mx.example.com;")
        return [part.strip() for part in ours.split(";")
                if part.strip().startswith(("dkim=", "arc="))]
    return once


def signed_by(keys, selector, **more):
    return dkim.sign(MESSAGE, selector.encode(), b"example.org",
                     keys["2048"][0], include_headers=[b"from", b"subject"],
                     **more) + MESSAGE


FIELDS = "header.d=example.org header.i=@example.org header.s=%s" \
    " header.a=rsa-sha256 header.b="


@pytest.mark.parametrize("selector, expected", [
    ("s", "dkim=pass (2048-bit key)"),
    ("testing", "dkim=pass (2048-bit key, testing)"),
    ("beside", "dkim=pass (2048-bit key)"),
    ("other", "dkim=fail (1024-bit key, weak)"
     " reason=\"it does not fit the header and the key\""),
    ("none", "dkim=permerror reason=\"there is no key\""),
    ("two", "dkim=permerror reason=\"there are several keys\""),
    ("revoked", "dkim=permerror reason=\"the key has been revoked\""),
    ("gone", "dkim=temperror reason=\"the DNS has no answer\""),
    ("silent", "dkim=temperror reason=\"the DNS has no answer\""),
])
def test_what_the_dns_has(keys, results_of, selector, expected):
    (result,) = results_of(signed_by(keys, selector))
    assert result.startswith(expected + " " + FIELDS % selector)


def test_a_body_that_was_changed(keys, results_of):
    (result,) = results_of(signed_by(keys, "s") + b"more\r\n")
    assert result.startswith("dkim=fail (2048-bit key)"
                             " reason=\"the body has been changed\"")


def test_a_header_that_was_changed(keys, results_of, policyd):
    (result,) = results_of(signed_by(keys, "s").replace(b"dinner", b"lunch"))
    assert result.startswith("dkim=fail (2048-bit key)"
                             " reason=\"it does not fit the header and the")
    policyd.wait_for_log(" dkim=fail:example.org")


def test_a_part_of_the_body(keys, results_of):
    (result,) = results_of(signed_by(keys, "s", length=True) + b"more\r\n")
    assert result.startswith("dkim=pass (2048-bit key, a part of the body)")


# Judged before anything is computed, so it need not be signed so.
@pytest.mark.parametrize("times, expected", [
    (b"t=1000; x=2000", "dkim=fail reason=\"the signature has expired\""),
    (b"t=99999999999",
     "dkim=policy reason=\"the signature is from the future\""),
])
def test_times(keys, results_of, dns, times, expected):
    (result,) = results_of(re.sub(rb"\bt=\d+", times, signed_by(keys, "s")))
    assert result.startswith(expected)
    assert not dns.asked("s._domainkey.example.org")


def test_several_signatures_and_none(keys, results_of, policyd):
    one = signed_by(keys, "s")
    two = dkim.sign(MESSAGE, b"other", b"example.org", keys["1024"][0],
                    include_headers=[b"from"]) + one
    results = results_of(two)
    assert [result.split(" ")[0] for result in results] == [
        "dkim=pass", "dkim=pass"]
    policyd.wait_for_log(" dkim=pass:example.org,pass:example.org")
    assert results_of(MESSAGE) == ["dkim=none"]


def test_more_than_eight_signatures(keys, results_of, policyd):
    signed = MESSAGE
    for _ in range(10):
        signed = dkim.sign(MESSAGE, b"s", b"example.org", keys["2048"][0],
                           include_headers=[b"from"]) + signed
    assert len(results_of(signed)) == 8
    policyd.wait_for_log(",ignored:2")


def test_a_login_is_not_verified(keys, results_of, dns):
    assert results_of(signed_by(keys, "s"), sender="bob@example.com",
                      login="bob@example.com") == []
    assert not dns.asked("s._domainkey.example.org")


LATE = {"dns.timeout": "60s", "spf.timeout": "60s", "milter.timeout": "300ms",
        "milter.message": "try later", "milter.on_error": "defer"}


@pytest.mark.settings(LATE)
def test_what_is_not_known_in_time_defers(keys, milter_postfix, policyd):
    with milter_postfix.session(address=CLIENT) as client:
        assert client.send(
            "", "alice@example.com",
            signed_by(keys, "silent").replace(b"\r\n", b"\n").decode()) == \
            "451 4.7.1 try later"
        assert client.send(
            "", "alice@example.com",
            signed_by(keys, "s").replace(b"\r\n", b"\n").decode()).code == 250


@needs_suites
def test_a_chain(results_of, dns):
    (case, records), = [(case, records) for name, case, records in arc_cases()
                        if name == "cv_pass_i2_1"]
    for name, text in records.items():
        dns.zone[name] = Answer(TXT=text)
    results = results_of(case["message"].encode().replace(b"\n", b"\r\n"))
    assert results == ["dkim=none", "arc=pass header.oldest-pass=0"]
    results = results_of(case["message"].replace(
        "Example 1", "Example 2").encode().replace(b"\n", b"\r\n"))
    assert results == [
        "dkim=none", "arc=fail reason=\"a signature does not fit\""]
