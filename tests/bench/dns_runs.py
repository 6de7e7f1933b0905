"""What domains whose DNS is slow, broken or silent cost the mail of others:
common/io/dns.c alone, which asks a resolver on loopback."""

from rows import Row
from servers import Failure, dns_load

BAR_FACTOR = 1.5
BAR_MORE_MS = 5.0
BAR_BACK_MS = 1000

# The well-behaved: so many names a second, each another, of so many domains,
# and after what time the resolver answers.
RATE = 1000
RATE_QUIET = 5
DOMAINS = 200
DELAY_MS = 20

SLOW_MS = 2500  # of the 3 s that there are
SLOW_RATE = 5
GONE_FROM_MS = 2000
GONE_UNTIL_MS = 12000
GONE_SECONDS = 16

# What goes on beside them.
BESIDE = (
    ("a domain that is never answered",
     {"bad_rate": 600, "bad_names": 300}),
    ("60 domains that are never answered",
     {"bad_rate": 400, "bad_names": 0, "bad_domains": 60}),
    ("a domain that is answered SERVFAIL",
     {"bad_rate": 100, "bad_names": 0, "bad": "servfail.example"}),
)


def good(seconds, rate=RATE, **options):
    """What came of the well-behaved, in milliseconds, and the whole result."""
    result = dns_load(seconds=seconds, rate=rate, domains=DOMAINS,
                      delay=DELAY_MS, **options)
    others = result["others"]
    if others["asked"] == 0 or (
            "bad_rate" in options and result["bad"]["asked"] == 0):
        raise Failure("dns_load asked nothing")
    return others["p50_us"] / 1000, others["p99_us"] / 1000, result


def told(p50_ms, p99_ms, result):
    return "p50 %.1f ms, p99 %.1f ms, %d of %d failed" % (
        p50_ms, p99_ms, result["others"]["failed"], result["others"]["asked"])


def dns(bench):
    seconds = bench.counts.open_seconds
    alone = good(seconds)
    yield Row("8  DNS, names of %d domains, %d/s" % (DOMAINS, RATE),
              told(*alone), result=alone[2])
    bar_ms = BAR_FACTOR * alone[1] + BAR_MORE_MS
    for what, options in BESIDE:
        measured = good(seconds, **options)
        yield Row("   beside " + what, told(*measured),
                  "p99 <= %.1f ms, 0 fail" % bar_ms,
                  measured[1] <= bar_ms and
                  measured[2]["others"]["failed"] == 0, result=measured[2])
    yield from quiet(seconds)
    yield from slow(seconds)
    yield from gone()


def quiet(seconds):
    """Where few answers tell that the resolver is alive."""
    what, options = BESIDE[1]
    result = good(seconds, RATE_QUIET, **options)[2]
    n, n_failed = (result["others"][key] for key in ("asked", "failed"))
    yield Row("   of %d/s beside %s, fail" % (RATE_QUIET, what),
              "%d of %d" % (n_failed, n), "0", n_failed == 0, result=result)


def slow(seconds):
    result = good(seconds, bad="slow.example", slow=SLOW_MS,
                  bad_rate=SLOW_RATE, bad_names=0)[2]
    n, n_failed = (result["bad"][key] for key in ("asked", "failed"))
    yield Row("   names that take the resolver %.1f s, fail" % (
        SLOW_MS / 1000), "%d of %d" % (n_failed, n), "0", n_failed == 0,
        result=result)


def gone():
    result = good(GONE_SECONDS, gone=GONE_FROM_MS, back=GONE_UNTIL_MS)[2]
    ms = result["first_answer_ms"]
    yield Row("   the resolver was away for %d s; first answer after" % (
        (GONE_UNTIL_MS - GONE_FROM_MS) / 1000), "%d ms" % ms,
        "<= %d ms" % BAR_BACK_MS, 0 <= ms <= BAR_BACK_MS, result=result)
