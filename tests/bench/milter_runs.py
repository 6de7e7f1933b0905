"""Messages through the milter protocol, signed and verified, beside Debian's
opendkim with the same keys; and the memory of the milter after very many."""

import contextlib
import os
import re
import statistics
import subprocess

from harness import wait_for
from harness.daemon import WITH_SPF
from harness.dns import Answer, DnsServer
from harness.ports import free_ports
from rows import Row, Stopping, number
from servers import MILTER_LOAD, Failure, cpu_seconds, end_process, measured, \
    resident_mb

OPENDKIM = "/usr/sbin/opendkim"
DOMAIN = "example.com"
CONNECTIONS = 20
# Somebody who may have mail signed, and a stranger.
OWN, STRANGER = "127.0.0.1", "192.0.2.10"
BODY_LINES = 110  # 8 KB

BAR_RSA, BAR_ED25519, BAR_VERIFY, BAR_MEMORY = 2.0, 10.0, 1.0, 5.0


def write_message(path, fields=b""):
    body = "".join("Line %4d of a message that is about eight thousand bytes"
                   " long in all.\n" % i for i in range(BODY_LINES))
    with open(path, "wb") as file:
        file.write(fields + (
            "Received: from client.example by mx.example.com\n"
            "\tfor <bob@example.net>; Sun, 29 Nov 2026 12:00:00 +0000\n"
            "From: Alice <alice@example.com>\nTo: Bob <bob@example.net>\n"
            "Subject: A message of eight thousand bytes\n"
            "Date: Sun, 29 Nov 2026 12:00:00 +0000\n"
            "Message-ID: <1@example.com>\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=us-ascii\n\n" +
            body).encode())


def make_key(directory, algorithm):
    path = os.path.join(directory, algorithm + ".pem")
    words = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] \
        if algorithm == "rsa" else ["-algorithm", "ed25519"]
    subprocess.run(["openssl", "genpkey", *words, "-out", path], check=True,
                   stderr=subprocess.DEVNULL)
    os.chmod(path, 0o600)
    return path


class OpenDkim:
    def __init__(self, directory, mode, key, algorithm, records):
        self.port = free_ports(1)[0]
        path = os.path.join(directory, "opendkim.conf")
        lines = {
            "Socket": "inet:%d@127.0.0.1" % self.port, "Mode": mode,
            "Syslog": "no", "Canonicalization": "relaxed/relaxed",
            "Domain": DOMAIN, "Selector": algorithm, "KeyFile": key,
            "SignatureAlgorithm": "rsa-sha256" if algorithm == "rsa"
            else "ed25519-sha256", "InternalHosts": OWN,
            "RequireSafeKeys": "no", "UserID": "root",
            "TestPublicKeys": records}
        with open(path, "w") as file:
            for name, value in lines.items():
                if value:
                    file.write("%s %s\n" % (name, value))
        self.process = subprocess.Popen(
            [OPENDKIM, "-f", "-x", path], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for(self._is_ready, "opendkim", 20)

    def _is_ready(self):
        if self.process.poll() is not None:
            raise Failure("opendkim: %s" % self.process.stderr.read().decode())
        with open("/proc/net/tcp") as file:
            return "0100007F:%04X 00000000:0000 0A" % self.port in file.read()

    def pids(self):
        return [self.process.pid]

    def close(self):
        end_process(self.process, 10)
        self.process.stderr.close()


def show(port, pids, n, path, client, insertions):
    """One run of milter_load; adds the processor time of each message."""
    before = cpu_seconds(pids)
    result = measured("milter_load", MILTER_LOAD, port=port, messages=n,
                      connections=CONNECTIONS, client=client,
                      insertions=insertions, _file=path)
    if result["short"] or result["refused"] or result["broken"]:
        raise Failure("milter_load: %s" % result)
    result["us"] = (cpu_seconds(pids) - before) / result["messages"] * 1e6
    return result


class World:
    """policyd with a milter and a domain's keys, made by openssl, which
    opendkim gets, too."""

    def __init__(self, bench, stack):
        self.bench = bench
        self.daemon = bench.few
        self.directory = self.daemon.directory
        self.port = free_ports(1)[0]
        self.keys = {name: make_key(self.directory, name)
                     for name in ("rsa", "ed25519")}
        self.records = os.path.join(self.directory, "records")
        self.dns = stack.enter_context(DnsServer())
        self.daemon.configure(**dict(WITH_SPF, **{
            "dns.resolver": self.dns.address,
            "milter.listen": "inet:127.0.0.1:%d" % self.port,
            "milter.sessions": "1000"}))
        stack.enter_context(Stopping(self.daemon))
        self.daemon.migrate()
        self.daemon.start()
        for name, path in self.keys.items():
            self.daemon.ctl("dkim", "import", DOMAIN, name, path)
        self.publish()

    def publish(self):
        zone = {DOMAIN: Answer(TXT="v=spf1 ip4:%s -all" % STRANGER),
                "_dmarc." + DOMAIN: Answer(TXT="v=DMARC1; p=reject")}
        with open(self.records, "w") as file:
            for name in self.keys:
                shown = self.daemon.json("dkim", "show", DOMAIN, name)
                record = shown["records"][0]["record"]
                where = "%s._domainkey.%s" % (name, DOMAIN)
                zone[where] = Answer(TXT=record)
                file.write("%s %s\n" % (where, record))
        self.dns.zone = zone

    def sign_with(self, *names):
        """Only these sign."""
        self.bench.database.execute(self.daemon.names.fill(
            "UPDATE {policyd}.dkim_key SET state = 'retiring'"))
        for name in names:
            self.bench.database.execute(self.daemon.names.fill(
                "UPDATE {policyd}.dkim_key SET state = 'active'"
                " WHERE selector = %s"), (name,))
        self.daemon.stop()
        self.daemon.start()

    def ours(self, n, path, client, insertions):
        return show(self.port, self.daemon.children(), n, path, client,
                    insertions)

    def theirs(self, n, path, client, mode, algorithm, insertions):
        server = OpenDkim(self.directory, mode, self.keys[algorithm],
                          algorithm, self.records if mode == "v" else "")
        try:
            return show(server.port, server.pids(), n, path, client,
                        insertions)
        finally:
            server.close()


def compare(bench, what, bar, ours, theirs):
    """In turn, so that what else happens on the machine meets both."""
    runs = [(ours(), theirs()) for _ in range(bench.counts.rounds)]
    own, other = ({key: statistics.median(run[side][key] for run in runs)
                   for key in ("per_second", "us")} for side in (0, 1))
    times = own["per_second"] / other["per_second"]
    return Row(what, "%s/s, %.0f us each; opendkim %s/s, %.0f us: %.1f times"
               % (number(own["per_second"]), own["us"],
                  number(other["per_second"]), other["us"], times),
               ">= %.0f x opendkim" % bar, times >= bar, runs=runs)


def signing_rows(world, path):
    bench, n = world.bench, world.bench.counts.milter
    for algorithm, bar in (("rsa", BAR_RSA), ("ed25519", BAR_ED25519)):
        world.sign_with(algorithm)
        yield compare(
            bench, "   8 KB through the milter, signed with " + algorithm, bar,
            lambda: world.ours(n, path, OWN, 1),
            lambda: world.theirs(n, path, OWN, "s", algorithm, 1))
    world.sign_with("rsa", "ed25519")
    both = world.ours(n, path, OWN, 2)
    yield Row("   signed with both of them", "%s/s, %.0f us each" % (
        number(both["per_second"]), both["us"]), result=both)


def signed_message(world, path):
    """As opendkim signs it with RSA, so that both verify the same."""
    from harness.milter import Milter
    server = OpenDkim(world.directory, "s", world.keys["rsa"], "rsa", "")
    with open(path, "rb") as file:
        header, _, body = file.read().partition(b"\n\n")
    fields = [line.split(": ", 1) for line in
              re.sub(r"\n[\t ]+", "\n\t", header.decode()).replace(
                  "\n\t", "\0").split("\n")]
    try:
        with Milter(server.port) as client:
            client.negotiate()
            client.connect(address=OWN)
            client.say("M", "<alice@example.com>")
            client.say("R", "<bob@example.net>")
            for name, value in fields:
                client.say("L", name, value.replace("\0", "\n\t"))
            client.say("N")
            client.say("B", body.replace(b"\n", b"\r\n"))
            replies = client.end()
    finally:
        server.close()
    for letter, data in replies:
        if letter in "ih" and b"DKIM-Signature" in data:
            value = data.split(b"\0")[-2].replace(b"\r\n", b"\n")
            signed = os.path.join(world.directory, "signed.eml")
            write_message(signed, b"DKIM-Signature: " + value.strip() + b"\n")
            return signed
    raise Failure("opendkim did not sign: %s" % replies)


def milter_pids(daemon):
    """Without the policy process, which keeps the last decisions."""
    found = []
    for pid in daemon.children():
        with open("/proc/%d/comm" % pid) as file:
            if file.read().strip() == "policyd: milter":
                found.append(pid)
    return found


def memory_row(world, what, path, client, insertions):
    """After the first fifth, in which caches fill, and after all."""
    n = world.bench.counts.milter_memory
    world.ours(n // 5, path, client, insertions)
    before = resident_mb(milter_pids(world.daemon))
    world.ours(n - n // 5, path, client, insertions)
    after = resident_mb(milter_pids(world.daemon))
    grown = (after - before) / before * 100
    return Row("   memory over %s messages %s" % (number(n), what),
               "%.1f MB, then %.1f MB: %+.1f %%" % (before, after, grown),
               "within %.0f %%" % BAR_MEMORY, abs(grown) <= BAR_MEMORY)


def milter(bench):
    if not os.access(OPENDKIM, os.X_OK):
        raise Failure("the Debian package opendkim is not installed")
    with contextlib.ExitStack() as stack:
        world = World(bench, stack)
        path = os.path.join(world.directory, "message.eml")
        write_message(path)
        yield from signing_rows(world, path)
        yield memory_row(world, "signed with both", path, OWN, 2)
        signed = signed_message(world, path)
        n = bench.counts.milter
        yield compare(
            bench, "   verified (RSA), with SPF and DMARC", BAR_VERIFY,
            lambda: world.ours(n, signed, STRANGER, 1),
            lambda: world.theirs(n, signed, STRANGER, "v", "rsa", 0))
        yield memory_row(world, "verified", signed, STRANGER, 1)
