"""What signing with DKIM costs, beside what OpenSSL says of the same keys; and
what verifying costs."""

import json
import os
import re
import statistics
import subprocess

from harness import BUILD

from rows import Row, per_second
from servers import Failure

SIGN = os.path.join(BUILD, "tests/bench/sign")
VERIFY = os.path.join(BUILD, "tests/bench/verify")
SECONDS = 2
TIMEOUT_SECONDS = 120

BAR_RSA_SHARE = 0.80

# Of ours, of openssl speed, and where its line has signatures a second.
KINDS = (("rsa", "rsa2048", r"\+F2:\d+:2048:([\d.]+):"),
         ("ed25519", "ed25519", r"\+F6:\d+:253:[^:]*:([\d.]+):"))


def sign(kind, program=SIGN):
    """Messages a second of processor time."""
    done = subprocess.run([program, kind, str(SECONDS)], capture_output=True,
                          text=True, timeout=TIMEOUT_SECONDS, check=True)
    return json.loads(done.stdout)["per_second"]


def ceiling(algorithm, pattern):
    """Signatures a second, without a message."""
    done = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", str(SECONDS), algorithm],
        capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    found = re.search(pattern, done.stdout)
    if not found:
        raise Failure("openssl speed %s says nothing" % algorithm)
    return float(found.group(1))


def signing(bench):
    """In turn, so that what else happens on the machine meets both."""
    ours = {kind: [] for kind in ("rsa", "ed25519", "both")}
    theirs = {kind: [] for kind, _, _ in KINDS}
    for _ in range(bench.counts.rounds):
        for kind, algorithm, pattern in KINDS:
            theirs[kind].append(ceiling(algorithm, pattern))
            ours[kind].append(sign(kind))
        ours["both"].append(sign("both"))
    for number, (kind, algorithm, _) in enumerate(KINDS):
        rate = statistics.median(ours[kind])
        share = rate / statistics.median(theirs[kind])
        yield Row("%s  messages of 8 KB signed with %s, one core" % (
                      " " if number else "8", algorithm),
                  "%s, %.0f %% of openssl speed" % (
                      per_second(rate), share * 100),
                  ">= %.0f %%" % (BAR_RSA_SHARE * 100)
                  if kind == "rsa" else None,
                  share >= BAR_RSA_SHARE if kind == "rsa" else None,
                  all=ours[kind], openssl=theirs[kind])
    yield Row("   with both of them",
              per_second(statistics.median(ours["both"])), all=ours["both"])
    for kind in ours:
        rates = [sign(kind, VERIFY) for _ in range(bench.counts.rounds)]
        yield Row("   verified, signed with " + (
                      "both of them" if kind == "both" else kind),
                  per_second(statistics.median(rates)), all=rates)
