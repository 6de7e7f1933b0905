"""A site as iRedMail makes it, with every rule that is on by default: what an
inbound message of a known client costs the database."""

import os
import random

import data
from harness.policy import end_of_message, request
from rows import CONNECTIONS, Row, Stopping, number, per_second
from servers import cpu_seconds, expect, load

BAR_STATEMENTS = 1.0
# iRedAPD's own count for the same message, from its rules and log row.
IREDAPD_STATEMENTS = 24

CLIENTS = 2000
STEADY_PER_SECOND = 100
REQUESTS_OF_A_MESSAGE = 2  # at RCPT and at END-OF-MESSAGE


def make_site(bench):
    """10 domains, 1000 mailboxes each, 45 white-listed domains that have
    become 3000 networks, once; and clients that have passed, who are
    forgotten between two measurements."""
    names = bench.site.names
    if not bench.has_site:
        bench.database.run_script(names.fill(
            data.IREDMAIL_SITE, domains=data.DOMAINS_FEW,
            mailboxes=data.MAILBOXES, networks=data.NETWORKS))
    bench.has_site = True
    bench.database.execute(names.fill(
        data.KNOWN_CLIENTS, until=data.PASSED_UNTIL, clients=CLIENTS))


def client_address(key):
    """One of the networks in data.KNOWN_CLIENTS."""
    return "100.%d.%d.25" % (64 + key // 200, key % 200)


def write_messages(path, n, run=5):
    """Both requests of n messages, each from a known client to a mailbox;
    of another run the same with other instances."""
    chosen = random.Random(1)
    with open(path, "wb") as file:
        for i in range(n):
            client = chosen.randrange(CLIENTS)
            common = {
                "client_address": client_address(client),
                "client_name": "mx%d.sender.example" % client,
                "reverse_client_name": "mx%d.sender.example" % client,
                "helo_name": "mx%d.sender.example" % client,
                "sender": "person%d@sender%d.example" % (
                    chosen.randrange(100000), client % 500),
                "recipient": "u%d@d%d.site.example" % (
                    chosen.randrange(data.MAILBOXES) + 1,
                    chosen.randrange(data.DOMAINS_FEW) + 1),
                "instance": "%x.%x.0" % (i, run),
            }
            file.write(request(**common))
            file.write(end_of_message(**common))


def run(bench, daemon, path, n_messages, **options):
    """The result, and what the database was asked for each message."""
    before = bench.status.statements()
    used = cpu_seconds(daemon.pids())
    n = n_messages * REQUESTS_OF_A_MESSAGE
    result = load(daemon.port, "file", n, CONNECTIONS, file=path, **options)
    expect(result, "dunno", n)
    result["statements"] = (
        bench.status.statements() - before) / n_messages
    result["us"] = (cpu_seconds(daemon.pids()) - used) / n_messages * 1e6
    return result


def site(bench):
    daemon = bench.site
    bench.forget_mail()
    make_site(bench)
    path = os.path.join(daemon.directory, "messages")
    write_messages(path, bench.counts.messages)
    with Stopping(daemon.configure()):
        daemon.start()
        result = run(bench, daemon, path, bench.counts.messages)
        yield Row("7  inbound, known client, iRedMail's tables: messages",
                  "%s, %.0f us each" % (
                      per_second(result["per_second"] /
                                 REQUESTS_OF_A_MESSAGE), result["us"]),
                  result=result)
        yield statements_row("   SQL statements for a message", result)
        n = STEADY_PER_SECOND * bench.counts.steady_seconds
        result = run(bench, daemon, path, n,
                     rate=STEADY_PER_SECOND * REQUESTS_OF_A_MESSAGE)
        yield statements_row("   at %s, p99 %.2f ms" % (
            per_second(STEADY_PER_SECOND), result["p99_us"] / 1000), result)


def statements_row(what, result):
    return Row(what, "%.3f (iRedAPD: %s)" % (
        result["statements"], number(IREDAPD_STATEMENTS)),
        "<= %.0f" % BAR_STATEMENTS, result["statements"] <= BAR_STATEMENTS,
        result=result)
