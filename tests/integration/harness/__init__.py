"""What the integration tests and ./quickstart run: a private MariaDB, a
private Postfix and policyd, each below one directory and on loopback, and the
clients that talk to them."""

import os
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
BUILD = os.path.abspath(os.environ.get(
    "POLICYD_BUILD", os.path.join(SOURCE, "build")))
# Where the programs are: in a build directory, or installed.
BIN = os.environ.get("POLICYD_BIN", os.path.join(BUILD, "policyd"))
SBIN = os.environ.get("POLICYD_SBIN", os.path.join(BUILD, "policyd"))
IS_INSTALLED = "POLICYD_BIN" in os.environ


def wait_for(condition, what, seconds=30, every=0.02):
    """The first true value of condition(); AssertionError after seconds.

    For what happens in another process: it returns as soon as it is so."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "%s: not within %d s" % (what, seconds)
        time.sleep(every)
