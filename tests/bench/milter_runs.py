"""Messages signed through the milter protocol, by the milter and by Debian's
opendkim, with the same key and the same load."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import time

from harness import BUILD
from harness.ports import free_ports

from rows import Row, Stopping, per_second
from servers import Failure, cpu_seconds, end_process

MILTER_LOAD = os.path.join(BUILD, "tests/bench/milter_load")
SIGN_TOOL = os.path.join(BUILD, "tests/dkim_sign_tool")
DOMAIN = "example.com"
CONNECTIONS_OF_MILTER = 20
# Before it counts: keys are read, threads and memory are there.
WARM_UP = 200
TIMEOUT_SECONDS = 600

# Of processor time: the load takes its share of the machine, too.
BAR_OPENDKIM = 2.0
BAR_TEXT = "half of opendkim"

OPENDKIM = """\
Mode s
Domain {domain}
Selector rsa
KeyFile {key}
Socket inet:{port}@127.0.0.1
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
RequireSafeKeys no
Background no
Syslog no
"""


def milter_load(port, n):
    done = subprocess.run(
        [MILTER_LOAD, str(port), str(CONNECTIONS_OF_MILTER), str(n)],
        capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    return json.loads(done.stdout)


def measured(port, n, n_signatures, pids):
    """Messages a second, and microseconds of processor for each."""
    milter_load(port, WARM_UP)
    used = cpu_seconds(pids())
    result = milter_load(port, n)
    result["us"] = (cpu_seconds(pids()) - used) / n * 1e6
    if result["signatures"] != n * n_signatures:
        raise Failure("%d messages got %d signatures" % (
            n, result["signatures"]))
    return result


def make_key(directory, kind):
    path = os.path.join(directory, kind + ".pem")
    with open(path, "wb") as file:
        subprocess.run([SIGN_TOOL, "make", kind], stdout=file, check=True)
    os.chmod(path, 0o600)
    return path


class OpenDkim:
    def __init__(self, directory, key):
        self.port = free_ports(1)[0]
        path = os.path.join(directory, "opendkim.conf")
        with open(path, "w") as file:
            file.write(OPENDKIM.format(domain=DOMAIN, key=key,
                                       port=self.port))
        self.process = subprocess.Popen(
            ["opendkim", "-f", "-x", path], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self):
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise Failure("opendkim does not listen")

    def pids(self):
        return [self.process.pid]

    def stop(self):
        end_process(self.process, 10)


def by_opendkim(directory, key, n):
    with Stopping(OpenDkim(directory, key)) as server:
        return measured(server.port, n, 1, server.pids)


def import_key(daemon, kind, path):
    daemon.ctl("dkim", "import", DOMAIN, kind, path)
    daemon.ctl("dkim", "activate", DOMAIN, kind, "--force")


def milter(bench):
    daemon, n = bench.few, bench.counts.signed
    port = free_ports(1)[0]
    daemon.configure(**{"milter.listen": "inet:127.0.0.1:%d" % port,
                        "milter.authserv_id": "mx.example.com"})
    rsa, ed25519 = (make_key(daemon.directory, kind)
                    for kind in ("rsa", "ed25519"))
    ours, theirs = [], []
    with Stopping(daemon.start()):
        import_key(daemon, "rsa", rsa)
        for _ in range(bench.counts.rounds):
            ours.append(measured(port, n, 1, daemon.pids))
            if shutil.which("opendkim"):
                theirs.append(by_opendkim(daemon.directory, rsa, n))
        import_key(daemon, "ed25519", ed25519)
    share = median(theirs, "us") / median(ours, "us") if theirs else None
    yield row("10 messages of 8 KB signed by the milter with rsa2048, "
              "20 connections", ours,
              BAR_TEXT if theirs else None,
              share >= BAR_OPENDKIM if theirs else None)
    if theirs:
        yield row("   by opendkim, %.1f times the processor time" % share,
                  theirs)
    # It remembers which keys there are.
    with Stopping(daemon.start()):
        yield row("   by the milter with rsa2048 and ed25519",
                  [measured(port, n, 2, daemon.pids)])


def median(results, name):
    return statistics.median(one[name] for one in results)


def row(what, results, bar=None, is_met=None):
    return Row(what, "%s, %.0f us of processor each" % (
        per_second(median(results, "per_second")), median(results, "us")),
               bar, is_met, all=results)
