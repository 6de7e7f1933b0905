""""policyctl spf check": what SPF says of a client and a sender, asked of a
DNS server and of nothing else."""

import json
import os
import socket
import subprocess
import time

import pytest

from harness import BIN
from harness.dns import SERVFAIL, Answer, DnsServer
from harness.ports import free_ports

DONE, USAGE = 0, 2
GOOD, BAD, V6 = "192.0.2.1", "198.51.100.1", "2001:db8::1"
SENDER, HELO = "alice@sender.example", "mail.sender.example"
PATIENT = "20s"


@pytest.fixture
def dns():
    with DnsServer({
            "sender.example": Answer(TXT=[
                "what is no SPF record",
                "v=spf1 include:_spf.sender.example -all exp=why.%{d}"]),
            "_spf.sender.example": Answer(TXT="v=spf1 ip4:192.0.2.0/24 -all"),
            "why.sender.example": Answer(TXT="%{i} is not ours"),
            HELO: Answer(TXT="v=spf1 a -all", A=GOOD)}) as server:
        yield server


def run(*words):
    done = subprocess.run(
        [os.path.join(BIN, "policyctl"), "spf", "check", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def check(dns, *words, ip=GOOD, helo=HELO, sender=SENDER):
    """The lines for people; an option that is None is not given."""
    return succeed(dns, *words, ip=ip, helo=helo, sender=sender).splitlines()


def succeed(dns, *words, ip=GOOD, helo=HELO, sender=SENDER):
    options = [one for name, value in (("--ip", ip), ("--helo", helo),
                                       ("--sender", sender))
               if value is not None for one in (name, value)]
    status, out, err = run("--resolver", dns.address, "--timeout", PATIENT,
                           *options, *words)
    assert (status, err) == (DONE, ""), out + err
    return out


def trace(lines):
    """What follows the result: {key: value}."""
    for line in lines[1:]:
        assert ": " in line, line
    return dict(line.split(": ", 1) for line in lines[1:])


def questions(dns):
    return [(name, kind) for name, kind, _ in dns.asked()]


@pytest.mark.parametrize("result, record", [
    ("none", None), ("none", "v=spf2 -all"), ("neutral", "v=spf1 ?all"),
    ("pass", "v=spf1 +all"), ("fail", "v=spf1 -all"),
    ("softfail", "v=spf1 ~all"), ("permerror", "v=spf1 -al")])
def test_the_first_line_is_the_result(dns, result, record):
    dns.zone["sender.example"] = Answer(TXT=[record] if record else [])
    lines = check(dns)
    assert lines[0] == result
    assert ("problem" in trace(lines)) == (result == "permerror")


def test_an_answer_that_cannot_be_had(dns):
    dns.zone["sender.example"] = Answer(rcode=SERVFAIL)
    lines = check(dns)
    assert lines[0] == "temperror"
    assert "sender.example" in trace(lines)["problem"]


def test_the_path_of_what_matched(dns):
    lines = check(dns)
    assert lines[0] == "pass"
    assert trace(lines)["matched"] == (
        "include:_spf.sender.example ip4:192.0.2.0/24")
    dns.zone["alias.example"] = Answer(TXT="v=spf1 redirect=sender.example")
    lines = check(dns, sender="x@alias.example")
    assert lines[0] == "pass"
    assert trace(lines)["matched"] == (
        "redirect=sender.example include:_spf.sender.example"
        " ip4:192.0.2.0/24")
    lines = check(dns, ip=BAD)
    assert lines[0] == "fail"
    assert trace(lines)["matched"] == "-all"


def test_the_explanation_comes_with_a_fail(dns):
    assert trace(check(dns, ip=BAD))["explanation"] == BAD + " is not ours"
    assert ("why.sender.example", "TXT") in questions(dns)
    assert "explanation" not in trace(check(dns))
    # Without exp=, and where there is nothing that it names.
    dns.zone["_spf.sender.example"] = Answer(TXT="v=spf1 -all")
    lines = check(dns, ip=BAD, sender="x@_spf.sender.example")
    assert lines[0] == "fail"
    assert "explanation" not in trace(lines)
    del dns.zone["why.sender.example"]
    lines = check(dns, ip=BAD)
    assert lines[0] == "fail"
    assert "explanation" not in trace(lines)


def test_explain_shows_questions_and_answers(dns):
    lines = check(dns, "--explain", sender="x@mail.sender.example", ip=BAD)
    assert lines[0] == "fail"
    assert sorted(questions(dns)) == [(HELO, "A"), (HELO, "TXT")]
    assert [line for line in lines
            if HELO in line and "TXT" in line and "v=spf1 a -all" in line]
    assert [line for line in lines if HELO in line and GOOD in line]
    assert "v=spf1 a" not in "\n".join(
        check(dns, sender="x@mail.sender.example", ip=BAD))


def test_explain_shows_what_is_not_there(dns):
    dns.zone[HELO] = Answer(TXT="v=spf1 a mx:nowhere.example -all")
    lines = check(dns, "--explain", helo="x", sender="x@" + HELO)
    assert lines[0] == "fail"
    told = "\n".join(lines)
    assert "no such name" in told and "nowhere.example" in told


def test_json(dns):
    got = json.loads(succeed(dns, "--json", ip=BAD))
    assert got["result"] == "fail"
    assert got["explanation"] == BAD + " is not ours"
    assert got["matched"] == "-all"
    assert "problem" not in got or not got["problem"]
    assert "questions" not in got
    got = json.loads(succeed(dns, "--json", "--explain", ip=BAD))
    assert {(one["name"], one["type"]) for one in got["questions"]} == set(
        questions(dns))


@pytest.mark.parametrize("sender", ["", None])
def test_the_null_sender_is_the_postmaster_of_the_helo_name(dns, sender):
    dns.zone[HELO] = Answer(TXT="v=spf1 -all exp=why.sender.example")
    dns.zone["why.sender.example"] = Answer(TXT="%{s} %{o}")
    lines = check(dns, sender=sender)
    assert lines[0] == "fail"
    assert trace(lines)["explanation"] == "postmaster@%s %s" % (HELO, HELO)
    assert ("sender.example", "TXT") not in questions(dns)


def test_a_sender_without_a_helo_name(dns):
    assert check(dns, helo=None)[0] == "pass"
    assert check(dns, helo=None, sender=None)[0] == "none"


@pytest.mark.parametrize("sender, helo", [
    ("alice@localhost", HELO), ("alice@[192.0.2.1]", HELO), ("alice@", HELO),
    ("alice@a..example", HELO), ("alice@%s.example" % ("a" * 64), HELO),
    ("alice@" + "a." * 130 + "example", HELO), ("", "mail"),
    ("", "[192.0.2.1]"), ("", "")])
def test_what_is_no_domain_has_no_policy(dns, sender, helo):
    assert check(dns, sender=sender, helo=helo)[0] == "none"
    assert questions(dns) == []


@pytest.mark.parametrize("sender", [
    "alice@SENDER.Example", "alice@sender.example.", "@sender.example",
    "sender.example", "a@b@sender.example", '"a@b"@sender.example'])
def test_other_ways_to_write_a_sender(dns, sender):
    assert check(dns, sender=sender)[0] == "pass"


def test_a_mapped_address_is_an_ipv4_client(dns):
    dns.zone["sender.example"] = Answer(
        TXT="v=spf1 -ip6:::/0 ip4:192.0.2.1 ?all")
    lines = check(dns, ip="::ffff:192.0.2.1")
    assert lines[0] == "pass"
    assert trace(lines)["client"] == GOOD
    dns.zone["sender.example"] = Answer(TXT="v=spf1 exists:%{ir}.%{v}.example")
    dns.zone["1.2.0.192.in-addr.example"] = ["127.0.0.2"]
    assert check(dns, ip="::ffff:192.0.2.1")[0] == "pass"


def test_an_ipv6_client(dns):
    dns.zone[HELO] = Answer(TXT="v=spf1 a -all", A=GOOD, AAAA=V6)
    assert check(dns, ip=V6, sender="")[0] == "pass"
    assert ("mail.sender.example", "A") not in questions(dns)
    assert check(dns, ip="2001:db8::2", sender="")[0] == "fail"


def test_the_hosts_of_a_domain_are_judged_by_preference(dns):
    """RFC 7208, 5.4: while a resolver gives them in any order, so several
    names are tried."""
    dns.zone["broken.example"] = Answer(rcode=SERVFAIL)
    for i in range(8):
        dns.zone["good%d.example" % i] = Answer(
            TXT="v=spf1 mx -all", MX=[(20, "broken.example"), (10, HELO)])
        dns.zone["bad%d.example" % i] = Answer(
            TXT="v=spf1 mx -all", MX=[(20, HELO), (10, "broken.example")])
    assert {(name, check(dns, sender="x@%s%d.example" % (name, i))[0])
            for name in ("good", "bad") for i in range(8)} == {
        ("good", "pass"), ("bad", "temperror")}


def test_names_in_other_scripts_are_a_labels(dns):
    name = "xn--bcher-kva.example"
    dns.zone[name] = Answer(TXT="v=spf1 include:_spf.%{d} -all")
    dns.zone["_spf." + name] = Answer(TXT="v=spf1 a:mail.xn--bcher-kva.example")
    dns.zone["mail." + name] = [GOOD]
    for sender in ("alice@" + name, "alice@b\u00fccher.example",
                   "alice@B\u00dcCHER.Example"):
        lines = check(dns, sender=sender)
        assert lines[0] == "pass", sender
        assert "a:mail." + name in trace(lines)["matched"]
    lines = check(dns, sender="", helo="b\u00fccher.example")
    assert lines[0] == "pass"
    dns.zone["sender.example"] = Answer(
        TXT="v=spf1 a:mail.b\u00fccher.example -all".encode())
    lines = check(dns)
    assert lines[0] == "permerror"
    assert trace(lines)["problem"]


def test_a_local_part_in_another_script_is_no_label(dns):
    """RFC 8616, 4: a term with its macro matches nothing."""
    dns.zone["sender.example"] = Answer(
        TXT="v=spf1 exists:%{l}.example -exists:%{s} include:%{l}.example"
            " ip4:192.0.2.1 -all")
    lines = check(dns, sender="\u00e4lice@sender.example")
    assert lines[0] == "pass"
    assert trace(lines)["matched"] == "ip4:192.0.2.1"
    assert questions(dns) == [("sender.example", "TXT")]


def test_only_these_types_are_asked_for(dns):
    dns.zone["sender.example"] = Answer(
        TXT="v=spf1 a mx ptr exists:%{i}.example exp=why.sender.example -all",
        MX=[(10, HELO)])
    dns.zone["1.100.51.198.in-addr.arpa"] = Answer(PTR=HELO)
    assert check(dns, ip=BAD)[0] == "fail"
    assert {kind for _, kind in questions(dns)} == {"TXT", "A", "MX", "PTR"}


def test_a_record_that_needs_tcp(dns):
    terms = " ".join("ip4:10.%d.%d.0/24" % (i // 250, i % 250)
                     for i in range(300))
    dns.zone["sender.example"] = Answer(
        TXT="v=spf1 %s ip4:%s -all" % (terms, GOOD))
    assert check(dns)[0] == "pass"
    assert [one[2] for one in dns.asked("sender.example")] == ["udp", "tcp"]


def test_a_domain_may_be_an_alias(dns):
    dns.zone["alias.example"] = Answer(CNAME="sender.example")
    lines = check(dns, sender="x@alias.example")
    assert lines[0] == "pass"
    assert trace(lines)["matched"].startswith("include:_spf.sender.example")


@pytest.mark.parametrize("zone", [
    # Macros, which are an author's, and text as it stands, which is anybody's.
    {"sender.example": Answer(TXT="v=spf1 -all exp=why.sender.example"),
     "why.sender.example": Answer(TXT=b"no\npass\r\x1b[31m\x9b \xff%{l}")},
    {"sender.example": Answer(TXT=b"v=spf1 \x1b[31m\npass -all")},
    {"sender.example": Answer(TXT=b"v=spf1 a:\x1b.%{l}.example -all")},
    {"sender.example": Answer(TXT=b"v=spf1 include:%{l}.example -all"),
     "\x1b\n.example": Answer(TXT=b"v=spf1 \x9b\x07")}])
@pytest.mark.parametrize("words", [(), ("--explain",)])
def test_nothing_in_the_dns_or_a_sender_writes_lines(dns, zone, words):
    dns.zone.update(zone)
    lines = check(dns, *words, sender="\x1b\n@sender.example", ip=BAD)
    assert lines[0] in ("fail", "permerror")
    assert "pass" not in lines
    assert [line for line in lines if not line.isprintable()] == []


def test_nothing_else_has_to_be_there(dns, tmp_path):
    """No configuration, no daemon, no database, no home."""
    done = subprocess.run(
        [os.path.join(BIN, "policyctl"), "--config",
         str(tmp_path / "policyd.conf"), "--socket", str(tmp_path / "control"),
         "spf", "check", "--ip", GOOD, "--sender", SENDER,
         "--resolver", dns.address],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=60, cwd=tmp_path, env={})
    assert (done.returncode, done.stderr) == (DONE, "")
    assert done.stdout.startswith("pass\n")
    assert list(tmp_path.iterdir()) == []


def seconds_until_temperror(resolver, timeout):
    start = time.monotonic()
    status, out, err = run("--ip", GOOD, "--sender", SENDER,
                           "--resolver", resolver, "--timeout", timeout)
    assert (status, err) == (DONE, "")
    lines = out.splitlines()
    assert lines[0] == "temperror"
    assert trace(lines)["problem"]
    return time.monotonic() - start


def test_a_resolver_that_says_nothing(dns):
    dns.zone["sender.example"] = Answer(silent=True)
    assert 1 <= seconds_until_temperror(dns.address, "1s") < 20
    assert dns.asked("sender.example")


def test_a_resolver_that_is_not_there():
    assert seconds_until_temperror(
        "127.0.0.1@%d" % free_ports(1)[0], "1s") < 20


def test_a_resolver_that_talks_nonsense():
    """Which libunbound does not take for an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = "127.0.0.1@%d" % server.getsockname()[1]
        server.settimeout(30)
        process = subprocess.Popen(
            [os.path.join(BIN, "policyctl"), "spf", "check", "--ip", GOOD,
             "--sender", SENDER, "--resolver", address, "--timeout", "1s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        data, peer = server.recvfrom(4096)
        for nonsense in (b"", data, data[:2] + b"\x81\x80" + b"\xff" * 200):
            server.sendto(nonsense, peer)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (DONE, "")
    assert out.startswith("temperror\n")


@pytest.mark.parametrize("words, told", [
    ((), "--ip"),
    (("--sender", SENDER), "--ip"),
    (("--ip",), "--ip"),
    (("--ip", ""), "--ip"),
    (("--ip", "192.0.2"), "192.0.2"),
    (("--ip", "192.0.2.0/24"), "192.0.2.0/24"),
    (("--ip", "mail.example"), "mail.example"),
    (("--ip", GOOD, "--resolver", "localhost"), "localhost"),
    (("--ip", GOOD, "--resolver", "127.0.0.1:53"), "127.0.0.1:53"),
    (("--ip", GOOD, "--resolver", "127.0.0.1@0"), "127.0.0.1@0"),
    (("--ip", GOOD, "--resolver", "127.0.0.1@65536"), "127.0.0.1@65536"),
    (("--ip", GOOD, "--resolver", "recursive, 127.0.0.1"), "recursive"),
    (("--ip", GOOD, "--resolver", ""), "--resolver"),
    (("--ip", GOOD, "--timeout", "soon"), "soon"),
    (("--ip", GOOD, "--timeout", "0s"), "0s"),
    (("--ip", GOOD, "--timeout", ""), "--timeout"),
    (("--ip", GOOD, "--sendre", SENDER), "--sender"),
    (("--ip", GOOD, SENDER), SENDER)])
def test_a_wrong_command_line(words, told):
    status, out, err = run(*words)
    assert (status, out) == (USAGE, "")
    assert told in err
    assert err.count("\n") == 1 and err.endswith("\n"), err
