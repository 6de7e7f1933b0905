"""The second half of ./quickstart: serve, send mail, show what came of it."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
RUN = os.path.join(SOURCE, ".run")
INSTALLED = os.path.join(RUN, "installed")
os.environ["POLICYD_BIN"] = os.path.join(INSTALLED, "bin")
os.environ["POLICYD_SBIN"] = os.path.join(INSTALLED, "sbin")

from harness.daemon import WITH_SPF, Policyd  # noqa: E402 (environment)
from harness.dns import Answer, DnsServer  # noqa: E402
from harness.mariadb import MariaDB  # noqa: E402
from harness.ports import free_ports  # noqa: E402
from harness.postfix import Postfix  # noqa: E402

DELAY_SECONDS = 4  # of greylisting, here; 15 minutes otherwise
SETTINGS = {
    "policyd.node": "quickstart",
    "database.table_ttl": None,
    "policyd.reply_code": "yes",
    "greylisting.tell_delay": "yes",
    "greylisting.block_expire": "%ds" % DELAY_SECONDS,
    **WITH_SPF,
}
# What the DNS says here; that nobody but 198.51.100.1 sends for the bank.
ZONE = {
    "sender.example": Answer(TXT="no SPF record"),
    "bank.example": Answer(
        TXT="v=spf1 ip4:198.51.100.1 -all exp=why.bank.example"),
    "why.bank.example": Answer(TXT="%{i} is not one of our servers"),
}
SOCKET_PATH_MAX = 100
ALICE, BOB = "alice@example.com", "bob@example.com"
STRANGER = "news@sender.example"
FORGED = "service@bank.example"
STRANGERS_ADDRESS = "192.0.2.10"


def say(text=""):
    print(text, flush=True)


def heading(text):
    say("\n== " + text)


def is_reachable(path):
    """By accounts other than root: Postfix and policyd give up root."""
    while True:
        if not os.stat(path).st_mode & 0o001:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def choose_directory():
    """.run/ here, or one below /tmp when nobody but root gets here; then
    also whether to remove it."""
    if is_reachable(RUN) and len(RUN) + len("/mariadb/mariadb.sock") \
            < SOCKET_PATH_MAX:
        return os.path.join(RUN, "state"), False
    path = tempfile.mkdtemp(prefix="policyd-quickstart-", dir="/tmp")
    os.chmod(path, 0o755)
    say("Postfix and policyd, which give up root, cannot reach %s:\n"
        "their files are in %s meanwhile." % (RUN, path))
    return path, True


def show_exchange(line, reply):
    if line.startswith(("EHLO", "XCLIENT", "QUIT", "RSET")):
        return
    say("    %s" % line)
    say("        %s" % reply)


def send(session, sender, recipient):
    with session as client:
        return client.send(sender, recipient)


def send_mail(daemon, postfix):
    """The story. Returns the code of its deferral, and whether it went as it
    should."""
    heading("A stranger writes to %s for the first time" % ALICE)
    first = send(postfix.session(STRANGERS_ADDRESS,
                                 on_exchange=show_exchange), STRANGER, ALICE)
    heading("It tries again after the delay (%d seconds here)"
            % DELAY_SECONDS)
    time.sleep(DELAY_SECONDS + 1)
    second = send(postfix.session(STRANGERS_ADDRESS,
                                  on_exchange=show_exchange), STRANGER, ALICE)
    heading("A stranger pretends to be a bank, whose SPF record says no")
    forged = send(postfix.session(STRANGERS_ADDRESS,
                                  on_exchange=show_exchange), FORGED, ALICE)
    heading("%s, logged in, may send 2 messages an hour, and sends 3" % BOB)
    run_ctl(daemon, "throttle", "set", BOB, "outbound", "--max-msgs", "2",
            "--period", "1h")
    third = [send(postfix.submission(BOB, on_exchange=show_exchange), BOB,
                  "friend@elsewhere.example") for _ in range(3)]
    expected = [451, 250, 550, 250, 250, 554]
    got = [reply.code for reply in [first, second, forged] + third]
    if got != expected:
        say("\nquickstart: expected the codes %s, got %s; the log is %s" % (
            expected, got, daemon.log_path))
    code = re.search(r"\[(\w+)\]$", first.text)
    return code.group(1) if code else STRANGER, got == expected


def run_ctl(daemon, *words):
    say("    $ policyctl " + " ".join(words))
    done = daemon.ctl_run(*words)
    for line in (done.stdout + done.stderr).splitlines():
        say("    " + line)
    return done.returncode == 0


def show(daemon, code):
    heading("policyctl status")
    fine = run_ctl(daemon, "status")
    heading("Why the first message was deferred")
    return run_ctl(daemon, "explain", code) and fine


def stay(daemon, postfix, mariadb):
    heading("Everything stays up until Ctrl-C")
    say("""\
    SMTP          127.0.0.1:%d (XCLIENT ADDR=192.0.2.1 makes you a stranger)
    submission    127.0.0.1:%d (XCLIENT LOGIN=%s logs you in)
    policyd       127.0.0.1:%d, log %s
    policyctl     %s --config %s status
    MariaDB       mariadb --no-defaults -u root -S %s""" % (
        postfix.port, postfix.submission_port, ALICE, daemon.ports[0],
        daemon.log_path, daemon.ctl_path, daemon.path, mariadb.socket))
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        say()


def remove_the_old(directory):
    """What an earlier run that was killed has left running."""
    for name in ("policyd/pid", "postfix/queue/pid/master.pid"):
        path = os.path.join(directory, name)
        try:
            with open(path) as file:
                pid = int(file.read())
            with open("/proc/%d/cmdline" % pid) as file:
                is_ours = directory in file.read()
        except (OSError, ValueError):
            continue
        if is_ours:
            os.kill(pid, signal.SIGTERM)
            while os.path.exists("/proc/%d" % pid):
                time.sleep(0.05)
    if os.path.isdir(os.path.join(directory, "mariadb")):
        subprocess.run([os.path.join(SOURCE, "tests/private_mariadb.sh"),
                        "stop", os.path.join(directory, "mariadb")])
    # Each run tells the same story: triplets and counters start anew.
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    os.chmod(directory, 0o755)


def serve(directory, is_once):
    ports = free_ports(3)
    mariadb = MariaDB(os.path.join(directory, "mariadb"), is_durable=True)
    daemon = Policyd(os.path.join(directory, "policyd"), mariadb, ports[:1])
    postfix = Postfix(os.path.join(directory, "postfix"), ports[1], ports[2],
                      "inet:127.0.0.1:%d" % ports[0])
    with contextlib.ExitStack() as servers:
        servers.callback(say, "Stopped everything")
        say("Starting a private MariaDB")
        servers.callback(mariadb.stop)
        mariadb.install()
        say("Making the tables: policyctl db migrate")
        dns = servers.enter_context(DnsServer(ZONE))
        daemon.configure(**SETTINGS, **{
            "dns.resolver": dns.address}).migrate()
        say("Starting policyd and a private Postfix for example.com, with"
            " %s and %s" % (ALICE, BOB))
        servers.callback(daemon.stop)
        daemon.start()
        with open(os.path.join(daemon.directory, "pid"), "w") as file:
            file.write(str(daemon.process.pid))
        servers.callback(postfix.stop)
        postfix.configure().start()
        code, is_fine = send_mail(daemon, postfix)
        is_fine = show(daemon, code) and is_fine
        if not is_once:
            stay(daemon, postfix, mariadb)
    return is_fine


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lock = open(os.path.join(RUN, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("quickstart: it is running already in %s" % RUN)
    directory, is_passing = choose_directory()
    remove_the_old(directory)
    try:
        is_fine = serve(directory, "--once" in sys.argv[1:])
    except KeyboardInterrupt:
        return 130
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.exit("quickstart: %s\nThe logs are in %s" % (error, directory))
    if is_passing:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
