"""SPF: evaluations over a resolver on loopback, and what the rule costs a
message whose result is remembered."""

import collections
import json
import os
import subprocess

from harness.daemon import WITH_SPF
from harness.dns import Answer, DnsServer
from rows import CONNECTIONS, Row, Stopping, number, per_second
from servers import SPF_LOAD, Failure, cpu_seconds, load
from site_runs import REQUESTS_OF_A_MESSAGE, make_site, write_messages

# Domains that are asked for again and again: their answers are cached.
DOMAINS = 200
SECONDS_MAX = 600


def evaluate(n, domains):
    done = subprocess.run(
        [SPF_LOAD, "--evaluations", str(n), "--domains", str(domains)],
        stdout=subprocess.PIPE, text=True, timeout=SECONDS_MAX)
    if done.returncode != 0:
        raise Failure("spf_load: %s" % done.stdout)
    return json.loads(done.stdout)


def spf(bench):
    n = bench.counts.evaluations
    fresh = evaluate(n, 0)
    yield Row("9  SPF, 5 includes, asked of the DNS each time: evaluations",
              "%s, %.0f us of processor each" % (
                  per_second(fresh["per_second"]), fresh["processor_us"]),
              result=fresh)
    cached = evaluate(n, DOMAINS)
    yield Row("   the same, answers in the cache of the resolver library",
              "%s, %.0f us of processor each" % (
                  per_second(cached["per_second"]), cached["processor_us"]),
              result=cached)
    yield messages(bench)


def pass_any(name):
    return Answer(TXT="v=spf1 ip4:100.64.0.0/10 -all", ttl=3600)


class AnyName(collections.UserDict):
    """A zone in which every name has a record."""

    def get(self, name, default=None):
        return pass_any(name)


def messages(bench):
    daemon = bench.site
    bench.forget_mail()
    make_site(bench)
    path = os.path.join(daemon.directory, "messages")
    n = bench.counts.messages
    with DnsServer() as dns:
        dns.zone = AnyName()
        with Stopping(daemon.configure(**dict(WITH_SPF, **{
                "dns.resolver": dns.address}))):
            daemon.start()
            for number_of_run in range(2):  # the first fills the memory
                write_messages(path, n, number_of_run)
                used = cpu_seconds(daemon.pids())
                result = load(daemon.port, "file",
                              n * REQUESTS_OF_A_MESSAGE, CONNECTIONS,
                              file=path)
                expect_headers(result, n)
                us = (cpu_seconds(daemon.pids()) - used) / n * 1e6
    return Row("   inbound as in 7, with SPF from memory: messages",
               "%s, %.0f us each" % (per_second(
                   result["per_second"] / REQUESTS_OF_A_MESSAGE), us),
               result=result)


def expect_headers(result, n):
    """Each message got its field at RCPT."""
    if result["actions"] != {"prepend": n, "dunno": n}:
        raise Failure("%s messages were answered %s" % (
            number(n), result["actions"]))
