"""The public suites of SPF: RFC 7208's, RFC 4408's and one of pyspf, each
case by "policyctl spf check" and by a policy request."""

import contextlib
import ipaddress
import os
import re
import subprocess

import pytest

from harness import BIN, policy, spf_suites

SUITES = spf_suites.load()
if not SUITES:
    pytest.skip("no public SPF suites in %s; POLICYD_SUITES may name the"
                " folder above" % spf_suites.FOLDER, allow_module_level=True)

NEW, OLD = "rfc7208-tests.yml", "rfc4408-tests.yml"
# What is silent is waited for. Nothing depends on how fast the rest is.
HURRIED, PATIENT = "300ms", "5s"
# Of a daemon that tells every result and refuses nothing.
SETTINGS = {"rules.order": "spf", "spf.mode": "enforce", "spf.fail": "header",
            "spf.helo_fail": "header"}

# Where RFC 7208 says otherwise than a suite, or decides what that leaves open:
# file, case, result, section of RFC 7208, reason.
DIFFERENT = [
    (OLD, "txtonly", "fail", "3.1", "only TXT records are looked up"),
    (OLD, "spfonly", "none", "3.1", "only TXT records are looked up"),
    (OLD, "spftimeout", "fail", "3.1", "only TXT records are looked up"),
    (OLD, "txttimeout", "temperror", "4.4",
     "no answer about TXT records: there is nothing else to look up"),
    (OLD, "nospftxttimeout", "temperror", "4.4",
     "no answer about TXT records: there is nothing else to look up"),
    (OLD, "spfoverride", "fail", "3.1", "the TXT record is the one"),
    (OLD, "multitxt1", "permerror", "4.5", "there are two TXT records"),
    (OLD, "multispf2", "pass", "3.1", "there is one TXT record"),
    (OLD, "exists-dnserr", "temperror", "5",
     "a question without an answer ends every mechanism"),
    (OLD, "cidr6-0-ip4", "neutral", "5",
     "ip6 does not match an IPv4 client, whatever its network"),
    (OLD, "cidr6-ip4", "neutral", "5",
     "a mapped address is an IPv4 client's"),
    (OLD, "mx-limit", "permerror", "4.6.4",
     "more than ten names in an MX are an error, not cut"),
    ("test.yml", "default-modifier", "neutral", "6",
     "default= is no modifier, and what is none is ignored"),
    ("test.yml", "default-modifier-harsh", "neutral", "6",
     "default= is no modifier, and what is none is ignored"),
]
DECIDED = {(row[0], row[1]): row[2] for row in DIFFERENT}


def stem(file):
    """rfc7208, rfc4408, test"""
    return re.match(r"\w+", file).group()


def allowed(file, case):
    decided = DECIDED.get((file, case.name))
    return {decided} if decided else case.results


@pytest.fixture(scope="module")
def served():
    """served(scenario): its DNS server, which stays for the next case."""
    servers = {}

    def serve(scenario):
        if scenario not in servers:
            servers[scenario] = scenario.serve()
        return servers[scenario]
    yield serve
    for server in servers.values():
        server.close()


def check(dns, case, timeout):
    done = subprocess.run(
        [os.path.join(BIN, "policyctl"), "spf", "check", "--ip", case.client,
         "--helo", case.helo, "--sender", case.sender,
         "--resolver", dns.address, "--timeout", timeout],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def was_silent(dns, first):
    """Whether a question from the first-th on got no answer."""
    return any(name in dns.zone and dns.zone[name].is_silent_about(kind)
               for name, kind, _ in dns.asked()[first:])


@pytest.mark.parametrize("file, scenario, case", [
    pytest.param(file, scenario, case, id="%s-%s" % (stem(file), case.name))
    for file, scenarios in SUITES.items()
    for scenario in scenarios for case in scenario.cases])
def test_check(served, file, scenario, case):
    dns, results = served(scenario), allowed(file, case)
    is_silent, n_asked = results == {"temperror"}, len(dns.asked())
    lines = check(dns, case, HURRIED if is_silent else PATIENT)
    if is_silent and not was_silent(dns, n_asked):
        lines = check(dns, case, PATIENT)  # a busy machine
    assert lines[0] in results, "\n".join(lines)
    if is_silent:
        assert was_silent(dns, n_asked), "temperror for another reason"
    explanations = [line for line in lines if line.startswith("explanation: ")]
    if lines[0] != "fail":
        assert not explanations
    elif case.explanation is not None:
        assert explanations == (
            ["explanation: " + case.explanation] if case.explanation else [])


def words_of_daemon(policyd, cases):
    """{case: the result that it tells}, all asked at once."""
    words = {}
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(policyd.client()) for _ in cases]
        for at, (client, case) in enumerate(zip(clients, cases)):
            client.send(policy.request(
                client_address=case.client, helo_name=case.helo,
                sender=case.sender, instance="suite.%d" % at))
        for client, case in zip(clients, cases):
            reply = client.reply()
            told = re.match(r"PREPEND Received-SPF: (\w+) ", reply)
            words[case.name] = told.group(1) if told else reply
    return words


# RFC 4408's cases are RFC 7208's.
@pytest.mark.parametrize("file, scenario", [
    pytest.param(file, scenario, id="%s-%d" % (stem(file), at))
    for file in (NEW, "test.yml")
    for at, scenario in enumerate(SUITES[file])])
def test_a_policy_request(configured, file, scenario):
    """Each scenario with a daemon of its own, for what it remembers. Its own
    machine it trusts, and does not check."""
    cases = [case for case in scenario.cases
             if not ipaddress.ip_address(case.client).is_loopback]
    with scenario.serve(ttl=0, negative_ttl=0) as dns:
        policyd = configured.configure(**{
            "dns.resolver": dns.address, **SETTINGS}).start()
        words = words_of_daemon(policyd, cases)
    assert {case.name: words[case.name] for case in cases
            if words[case.name] not in allowed(file, case)} == {}


def test_every_case_is_there():
    """A suite that is cut short, or read wrongly, is not a suite passed."""
    counts = {file: sum(len(one.cases) for one in scenarios)
              for file, scenarios in SUITES.items()}
    assert counts == {NEW: 203, OLD: 191, "test.yml": 16, "doctest.yml": 0}


def test_the_table_of_differences():
    """It names cases that are there and differ, and all between the RFCs."""
    named = {(file, case.name): case for file, scenarios in SUITES.items()
             for one in scenarios for case in one.cases}
    for file, name, result, _, _ in DIFFERENT:
        assert named[file, name].results != {result}, name
    for (file, name), case in named.items():
        if file == OLD and named[NEW, name].results != case.results:
            assert named[NEW, name].results == {DECIDED.get((file, name))}
