""""policyctl dmarc check": what DMARC says of a message, asked of a DNS server
and of nothing else."""

import json
import os
import subprocess

import pytest

from harness import BIN
from harness.dns import SERVFAIL, Answer, DnsServer

DONE, USAGE = 0, 2
PATIENT = "20s"
RECORD = "v=DMARC1; p=reject; sp=quarantine; np=none"


@pytest.fixture
def dns():
    with DnsServer({
            "_dmarc.sender.example": Answer(TXT=["something else", RECORD]),
            "sender.example": ["192.0.2.1"],
            "news.sender.example": ["192.0.2.1"]}) as server:
        yield server


def run(*words):
    done = subprocess.run(
        [os.path.join(BIN, "policyctl"), "dmarc", "check", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def succeed(dns, domain, *words):
    status, out, err = run("--resolver", dns.address, "--timeout", PATIENT,
                           "--from", domain, *words)
    assert (status, err) == (DONE, ""), out + err
    return out


def check(dns, domain, *words):
    """(the result, the lines behind it)"""
    lines = succeed(dns, domain, *words).splitlines()
    return lines[0], lines[1:]


def names(dns):
    return [name for name, _, _ in dns.asked()]


def test_what_is_aligned_passes(dns):
    assert check(dns, "sender.example", "--spf", "pass:sender.example") == (
        "pass", ["from: sender.example", "record: " + RECORD,
                 "policy: p=reject of sender.example",
                 "spf: pass sender.example, aligned"])
    assert names(dns) == ["_dmarc.sender.example"]


def test_what_is_not_fails(dns):
    result, lines = check(dns, "sender.example", "--spf",
                          "softfail:sender.example", "--dkim",
                          "pass:other.example")
    assert result == "fail"
    assert lines == [
        "action: reject", "from: sender.example", "record: " + RECORD,
        "policy: p=reject of sender.example", "organization: sender.example",
        "spf: softfail sender.example",
        "dkim: pass other.example, not aligned"]


def test_a_subdomain_by_the_tree_walk(dns):
    result, lines = check(dns, "news.sender.example", "--dkim",
                          "pass:a.b.sender.example")
    assert result == "pass"
    assert "policy: sp=quarantine of sender.example" in lines
    assert "dkim: pass a.b.sender.example, aligned" in lines
    result, lines = check(dns, "news.sender.example")
    assert (result, lines[0]) == ("fail", "action: quarantine")


def test_a_subdomain_that_does_not_exist(dns):
    result, lines = check(dns, "nowhere.sender.example")
    assert (result, lines[0]) == ("fail", "action: none")
    assert "policy: np=none of sender.example" in lines
    # An alias is there, though what it stands for is not.
    dns.zone["nowhere.sender.example"] = Answer(CNAME="gone.example")
    result, lines = check(dns, "nowhere.sender.example")
    assert (result, lines[0]) == ("fail", "action: quarantine")


def test_suffixes_say_that_they_are(dns):
    dns.zone["_dmarc.bank.example"] = Answer(
        TXT="v=DMARC1; p=reject; psd=y")
    result, lines = check(dns, "giant.bank.example", "--spf",
                          "pass:mega.bank.example")
    assert result == "fail"
    assert "organization: giant.bank.example" in lines
    assert check(dns, "giant.bank.example", "--spf",
                 "pass:mail.giant.bank.example")[0] == "pass"


def test_the_public_suffix_list_helps_old_records(dns):
    dns.zone["_dmarc.a.example.co.uk"] = Answer(TXT="v=DMARC1; p=reject")
    result, lines = check(dns, "a.example.co.uk", "--dkim",
                          "pass:example.co.uk")
    assert result == "pass"
    assert "organization: a.example.co.uk; example.co.uk by the public" \
        " suffix list" in lines


def test_test_mode(dns):
    dns.zone["_dmarc.sender.example"] = Answer(TXT="v=DMARC1; p=reject; t=y")
    result, lines = check(dns, "sender.example")
    assert (result, lines[0]) == ("fail", "action: quarantine")
    assert "policy: p=reject of sender.example, tested only" in lines


def test_without_a_record(dns):
    assert check(dns, "other.example", "--spf", "pass:other.example") == (
        "none", ["from: other.example", "organization: other.example",
                 "spf: pass other.example"])


@pytest.mark.parametrize("record, result", [
    ("v=DMARC1; p=x", "permerror"), ("v=DMARC1", "permerror"),
    ("v=DMARC1; rua=mailto:a@sender.example", "fail"),
    ("v=spf1 -all", "none"), ("v=DMARC1 p=reject", "none")])
def test_records_that_are_out_of_order(dns, record, result):
    dns.zone["_dmarc.sender.example"] = Answer(TXT=record)
    got, lines = check(dns, "sender.example")
    assert got == result
    assert any(line.startswith("problem: _dmarc.sender.example: ")
               for line in lines) == (result == "permerror")


def test_several_records(dns):
    dns.zone["_dmarc.sender.example"] = Answer(TXT=[RECORD, RECORD])
    assert check(dns, "sender.example")[0] == "none"
    told = succeed(dns, "sender.example", "--explain")
    assert "several DMARC records" in told


@pytest.mark.parametrize("name", ["_dmarc.news.sender.example",
                                  "_dmarc.sender.example", "_dmarc.example"])
def test_an_answer_that_cannot_be_had(dns, name):
    dns.zone[name] = Answer(rcode=SERVFAIL)
    result, lines = check(dns, "news.sender.example", "--dkim",
                          "pass:news.sender.example")
    assert result == "temperror"
    assert lines[-1].startswith("problem: %s: " % name)


def test_a_resolver_that_says_nothing(dns):
    dns.zone["_dmarc.sender.example"] = Answer(silent=True)
    status, out, err = run("--resolver", dns.address, "--timeout", "1s",
                           "--from", "sender.example")
    assert (status, err) == (DONE, "")
    assert out.splitlines()[0] == "temperror"


def test_what_is_known_in_time_may_be_enough(dns):
    dns.zone["_dmarc.example"] = Answer(silent=True)
    status, out, err = run("--resolver", dns.address, "--timeout", "5s",
                           "--from", "sender.example", "--spf",
                           "pass:a.sender.example", "--dkim",
                           "pass:sender.example")
    assert (status, err) == (DONE, "")
    assert out.splitlines()[0] == "pass"
    assert "spf: pass a.sender.example, unknown" in out


def test_a_long_name_is_asked_for_eight_times(dns):
    domain = "a.b.c.d.e.f.g.h.i.j.mail.sender.example"
    assert check(dns, domain)[0] == "fail"
    assert sorted({one for one in names(dns) if one.startswith("_")}) == sorted(
        "_dmarc." + one for one in [
            domain, "h.i.j.mail.sender.example"] + [
            "sender.example", "mail.sender.example", "j.mail.sender.example",
            "i.j.mail.sender.example", "g.h.i.j.mail.sender.example",
            "example"])


def test_explain_shows_questions_and_answers(dns):
    lines = succeed(dns, "nowhere.sender.example", "--explain").splitlines()
    rows = [line for line in lines if line.split()[0] in
            ("TXT", "A", "AAAA", "MX")]
    assert [line.split()[:2] for line in rows] == [
        ["TXT", "_dmarc.nowhere.sender.example"],
        ["TXT", "_dmarc.sender.example"], ["TXT", "_dmarc.example"],
        ["A", "nowhere.sender.example"], ["AAAA", "nowhere.sender.example"],
        ["MX", "nowhere.sender.example"]]
    assert RECORD in rows[1] and "no such name" in rows[3]


def test_json(dns):
    got = json.loads(succeed(
        dns, "news.sender.example", "--json", "--spf", "fail:sender.example",
        "--dkim", "pass:other.example", "--dkim", "pass:other.invalid"))
    assert got == {
        "result": "fail", "from": "news.sender.example",
        "action": "quarantine", "tag": "sp", "requested": "quarantine",
        "test": "n", "policy_domain": "sender.example",
        "organization": "sender.example",
        "identifiers": [
            {"mechanism": "spf", "domain": "sender.example",
             "result": "fail", "alignment": ""},
            {"mechanism": "dkim", "domain": "other.example",
             "result": "pass", "alignment": "not aligned"},
            {"mechanism": "dkim", "domain": "other.invalid",
             "result": "pass", "alignment": "not aligned"}]}
    got = json.loads(succeed(dns, "sender.example", "--json", "--explain"))
    assert [one["name"] for one in got["questions"]] == [
        "_dmarc.sender.example"]


def test_names_in_other_scripts_are_a_labels(dns):
    dns.zone["_dmarc.xn--bcher-kva.example"] = Answer(TXT=RECORD)
    assert check(dns, "B\u00fccher.example", "--dkim",
                 "pass:b\u00fccher.example")[0] == "pass"


@pytest.mark.parametrize("words", [(), ("--explain",)])
def test_nothing_in_the_dns_writes_lines(dns, words):
    dns.zone["_dmarc.sender.example"] = Answer(
        TXT=b"v=DMARC1; p=reject\npass\r\x1b[31m\x9b \xff")
    result, lines = check(dns, "sender.example", *words)
    assert result == "permerror"
    assert "pass" not in lines
    assert [line for line in lines if not line.isprintable()] == []


def test_nothing_else_has_to_be_there(dns, tmp_path):
    """No configuration, no daemon, no database, no home."""
    done = subprocess.run(
        [os.path.join(BIN, "policyctl"), "--config",
         str(tmp_path / "policyd.conf"), "--socket", str(tmp_path / "control"),
         "dmarc", "check", "--from", "sender.example",
         "--resolver", dns.address],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=60, cwd=tmp_path, env={})
    assert (done.returncode, done.stderr) == (DONE, "")
    assert done.stdout.startswith("fail\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("domain", ["[192.0.2.1]", "a..example", "a b"])
def test_a_from_that_is_no_name(dns, domain):
    assert check(dns, domain) == (
        "none", ["problem: From: has no domain name"])
    assert names(dns) == []


FROM = ("--from", "sender.example")


@pytest.mark.parametrize("words, said", [
    ((), "--from is missing"),
    (("--from", ""), "is not a domain"),
    (FROM + ("--spf", "sender.example"), "--spf"),
    (FROM + ("--spf", "good:sender.example"), "is not a result of SPF"),
    (FROM + ("--spf", "pass:"), "is not a domain"),
    (FROM + ("--dkim", "softfail:sender.example"),
     "is not a result of DKIM"),
    (FROM + ("--dkim", "pass:a.example", "--dkim", "x"), "--dkim"),
    (FROM + ("--dkim", "pass:a.example") * 9, "--dkim may be given 8 times"),
    (FROM + ("--timeout", "0"), "--timeout"),
    (FROM + ("--resolver", "dns.example"), "--resolver")])
def test_what_is_wrong_with_the_words(words, said):
    status, out, err = run(*words)
    assert (status, out) == (USAGE, "")
    assert said in err
