"""policyctl doctor: a correct set-up has no finding; each way to break it has
one, and the line that is printed mends it."""

import json
import os
import shutil
import socket
import subprocess
import threading

import pytest

from harness import SOURCE, wait_for
from harness.dns import DnsServer
from harness.ports import free_ports

DONE, FINDINGS = 0, 1

# As iRedMail has it: submission asks as port 25 does, Amavisd gives mail back
# on 10025 without asking.
MASTER_CF = """\
127.0.0.1:{port} inet n - n - 60 smtpd
127.0.0.1:587 inet n - n - 60 smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:10025 inet n - n - - smtpd
  -o content_filter=
  -o smtpd_delay_reject=no
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_end_of_data_restrictions=
cleanup unix n - n - 0 cleanup
"""

LIST = "smtpd_recipient_restrictions"
END = "smtpd_end_of_data_restrictions"


class Wiring:
    """A copy of Postfix's configuration that a test may spoil."""

    def __init__(self, directory, postfix, policyd):
        self.directory = directory
        self.policyd = policyd
        self.postfix = postfix
        self.changes = {}
        self.us = "inet:127.0.0.1:%d" % policyd.ports[0]
        self.reset()

    def reset(self):
        """As it should be."""
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copytree(self.postfix.config, self.directory)
        with open(os.path.join(self.directory, "master.cf"), "w") as file:
            file.write(MASTER_CF.format(port=self.postfix.port))
        self.postconf("-X", "smtpd_peername_lookup",
                      "submission_recipient_restrictions",
                      "submission_relay_restrictions",
                      "submission_milters")

    def postconf(self, *words):
        subprocess.run(["postconf", "-c", self.directory] + list(words),
                       check=True)

    def set(self, **parameters):
        for name, value in parameters.items():
            self.postconf("-e", "%s = %s" % (name, value))

    def add_service(self, text):
        with open(os.path.join(self.directory, "master.cf"), "a") as file:
            file.write(text)

    def findings(self, *words):
        # postconf waits until a file is a little older.
        for name in ("main.cf", "master.cf"):
            path = os.path.join(self.directory, name)
            if os.path.exists(path):
                os.utime(path, (1, 1))
        done = self.policyd.ctl_run("--json", "doctor", "--postfix-dir",
                                    self.directory, *words)
        assert done.stderr == ""
        found = json.loads(done.stdout)["findings"]
        assert done.returncode == (FINDINGS if found else DONE)
        return found

    def configure(self, **changes):
        """Changes policyd.conf and has it read."""
        self.changes.update(changes)
        self.policyd.configure(**self.changes)
        self.policyd.ctl("reload")

    def unconfigure(self):
        self.changes = {}
        self.configure()

    def mend(self, finding):
        """Does what the line says, as somebody at a shell would."""
        line = finding["mend"]
        assert line, finding
        if finding["where"].startswith(self.policyd.path + " ["):
            section = finding["where"].rsplit("[", 1)[1].rstrip("]")
            key, _, new = line.partition(" =")
            self.configure(**{section + "." + key: new.strip()})
            return
        binaries = os.path.join(self.policyd.directory, "bin")
        os.makedirs(binaries, exist_ok=True)
        for name, command in (
                ("policyctl", "'%s' --config '%s'" % (
                    self.policyd.ctl_path, self.policyd.path)),
                ("mariadb", "/usr/bin/mariadb --socket='%s'" %
                 self.policyd.database.socket)):
            with open(os.path.join(binaries, name), "w") as file:
                file.write("#!/bin/sh\nexec %s \"$@\"\n" % command)
            os.chmod(file.name, 0o755)
        environment = dict(
            os.environ, PATH=binaries + ":" + os.environ["PATH"],
            POLICYD_SQL_DIR=os.path.join(SOURCE, "conf/sql"))
        subprocess.run(["sh", "-ec", line], check=True, env=environment)

    def mended(self, check, severity, *words):
        """The only finding, which its own line mends."""
        found = self.findings()
        assert [(one["check"], one["severity"]) for one in found] == [
            (check, severity)], found
        for word in words:
            assert word in found[0]["what"] + found[0]["where"], found[0]
        self.mend(found[0])
        # The daemon looks again in its own time.
        wait_for(lambda: self.findings() == [], "what was mended to show")
        return found[0]


@pytest.fixture
def wiring(postfix, policyd):
    directory = os.path.join(policyd.directory, "doctor")
    yield Wiring(directory, postfix, policyd)
    shutil.rmtree(directory)


def value(wiring, name):
    return subprocess.run(
        ["postconf", "-c", wiring.directory, "-h", name], check=True,
        stdout=subprocess.PIPE, text=True).stdout.strip()


def test_a_correct_wiring_has_no_finding(wiring):
    assert wiring.findings() == []
    done = wiring.policyd.ctl_run("doctor", "--postfix-dir",
                                  wiring.directory)
    assert done.returncode == DONE
    assert "nothing was found" in done.stdout


US = "check_policy_service {us}"

# What a list is changed to, the check, its severity, a word of the finding,
# and the list after it was mended.
LISTS = {
    "not asked": (
        LIST, "reject_unlisted_recipient, permit_mynetworks,"
        " reject_unauth_destination",
        "recipient_stage", "error", "not asked about recipients",
        "reject_unlisted_recipient, " + US + ", permit_mynetworks,"
        " reject_unauth_destination"),
    "not asked, nobody is permitted": (
        LIST, "reject_unlisted_recipient reject_unauth_destination",
        "recipient_stage", "error", "not asked about recipients",
        "reject_unlisted_recipient, reject_unauth_destination, " + US),
    "not asked, and no list": (
        LIST, "", "recipient_stage", "error", "not asked about recipients",
        "reject_unlisted_recipient, " + US),
    "behind those who are logged in": (
        LIST, "reject_unlisted_recipient, permit_mynetworks,"
        " permit_sasl_authenticated, " + US + ", reject_unauth_destination",
        "recipient_stage", "warning",
        "permit_mynetworks, permit_sasl_authenticated",
        "reject_unlisted_recipient, " + US + ", permit_mynetworks,"
        " permit_sasl_authenticated, reject_unauth_destination"),
    "behind trusted networks": (
        LIST, "reject_unlisted_recipient, permit_mynetworks, " + US,
        "recipient_stage", "note", "permit_mynetworks",
        "reject_unlisted_recipient, " + US + ", permit_mynetworks"),
    "behind our own domains": (
        LIST, "reject_unlisted_recipient, permit_auth_destination, " + US,
        "recipient_stage", "error", "permit_auth_destination",
        "reject_unlisted_recipient, " + US + ", permit_auth_destination"),
    "behind the end": (
        LIST, "reject_unlisted_recipient, permit, " + US,
        "recipient_stage", "error", "never asked",
        "reject_unlisted_recipient, " + US + ", permit"),
    "only warned": (
        LIST, "reject_unlisted_recipient, warn_if_reject " + US,
        "recipient_stage", "error", "warn_if_reject",
        "reject_unlisted_recipient, " + US),
    "unlisted recipients": (
        LIST, "reject_non_fqdn_recipient, " + US + ", permit_mynetworks,"
        " reject_unlisted_recipient, reject_unauth_destination",
        "recipient_stage", "note", "do not exist",
        "reject_non_fqdn_recipient, reject_unlisted_recipient, " + US +
        ", permit_mynetworks, reject_unauth_destination"),
    "twice in a list": (
        LIST, "reject_unlisted_recipient, " + US + ", " + US,
        "recipient_stage", "note", "more than once",
        "reject_unlisted_recipient, " + US),
    "twice in lists": (
        "smtpd_sender_restrictions", "reject_non_fqdn_sender, " + US,
        "recipient_stage", "note", "another list",
        "reject_non_fqdn_sender"),
    "no end": (
        END, "", "end_of_data_stage", "error", "limits count nothing", US),
    "end behind those who are logged in": (
        END, "permit_sasl_authenticated, " + US,
        "end_of_data_stage", "warning", "permit_sasl_authenticated",
        US + ", permit_sasl_authenticated"),
    "end twice": (
        END, US + ", " + US, "end_of_data_stage", "error", "several", US),
    "postgrey": (
        LIST, "reject_unlisted_recipient, check_policy_service"
        " inet:127.0.0.1:10023, " + US + ", permit_mynetworks",
        "other_servers", "warning", "postgrey",
        "reject_unlisted_recipient, " + US + ", permit_mynetworks"),
    "iRedAPD": (
        LIST, "reject_unlisted_recipient, check_policy_service"
        " inet:127.0.0.1:7777, " + US + ", permit_mynetworks",
        "other_servers", "error", "iRedAPD",
        "reject_unlisted_recipient, " + US + ", permit_mynetworks"),
    "a short time-out": (
        LIST, "reject_unlisted_recipient, check_policy_service"
        " {{ {us}, timeout=4s, default_action=DUNNO }}, permit_mynetworks",
        "policy_client", "error", "decision_deadline",
        "reject_unlisted_recipient, check_policy_service"
        " {{ {us}, timeout=100s, default_action=DUNNO }},"
        " permit_mynetworks"),
}


@pytest.mark.parametrize("lists", [LIST, END, "others"])
def test_lists_are_mended(wiring, lists):
    for name, row in LISTS.items():
        parameter, before, check, severity, word, after = row
        if (parameter if parameter in (LIST, END) else "others") != lists:
            continue
        wiring.reset()
        wiring.set(**{parameter: before.format(us=wiring.us)})
        wiring.mended(check, severity, word, parameter)
        assert value(wiring, parameter) == after.format(us=wiring.us), name


RIGHT = [
    "reject_unlisted_recipient check_policy_service {us} permit_mynetworks",
    "reject_unlisted_recipient,check_policy_service,{us}",
    "reject_unlisted_recipient, check_policy_service {{ {us},"
    " timeout=20s, default_action=DUNNO }}, permit_mynetworks",
    "reject_unlisted_recipient, $asking, permit_mynetworks",
    "reject_unlisted_recipient, ours, permit_mynetworks",
    "reject_unlisted_recipient, outer, permit_mynetworks",
    "reject_unlisted_recipient, reject_rbl_client permit, " + US,
    "reject_unlisted_recipient, " + US + ", check_policy_service"
    " inet:127.0.0.1:12340"]


def test_ways_to_ask_that_are_right(wiring):
    wiring.set(smtpd_restriction_classes="ours, outer",
               asking=US.format(us=wiring.us), outer="ours",
               ours="reject_non_fqdn_recipient, " + US.format(us=wiring.us))
    for text in RIGHT:
        wiring.set(**{LIST: text.format(us=wiring.us)})
        assert wiring.findings() == [], text


# A parameter of main.cf, the check, its severity, a word of the finding.
PARAMETERS = [
    ("smtpd_policy_service_timeout", "5s", "policy_client", "error",
     "gives up first"),
    ("smtpd_policy_service_default_action", "550 no", "policy_client",
     "error", "for good"),
    ("smtpd_policy_service_default_action", "OK", "policy_client",
     "warning", "DUNNO"),
    ("smtpd_policy_service_request_limit", "1", "policy_client", "note",
     "connection"),
    ("smtpd_policy_service_max_idle", "20m", "policy_client", "note",
     "idle_timeout"),
    ("recipient_delimiter", "-", "delimiters", "warning",
     "recipient_delimiters"),
    ("recipient_delimiter", "", "delimiters", "warning",
     "recipient_delimiters"),
    ("allow_percent_hack", "yes", "routes", "warning", "user%example.com"),
    ("swap_bangpath", "yes", "routes", "warning", "example.com!user"),
    ("mynetworks", "127.0.0.0/8, [::1], 192.0.2.0/24 [2001:db8::]/32",
     "networks", "warning", "192.0.2.0/24, 2001:db8::/32"),
    ("smtpd_peername_lookup", "no", "client_names", "warning",
     "wblist_rdns"),
    ("smtpd_sasl_auth_enable", "yes", "logins", "note", "log in"),
    ("default_process_limit", "3000", "connections", "warning", "2000"),
]


def test_parameters_are_mended(wiring):
    for parameter, spoilt, check, severity, word in PARAMETERS:
        wiring.reset()
        wiring.postconf("-F", "127.0.0.1:587/inet/process_limit = -")
        wiring.set(**{parameter: spoilt})
        wiring.mended(check, severity, word)
        wiring.unconfigure()


def test_loopback_is_trusted_by_both(wiring):
    for mynetworks in ("127.0.0.1", "", "127.0.0.0/8"
                       " [::ffff:127.0.0.0]/104 [::1]/128"):
        wiring.set(mynetworks=mynetworks)
        assert wiring.findings() == [], mynetworks


@pytest.mark.settings({"mail.trusted_networks": "192.0.2.0/24"})
def test_whom_only_policyd_trusts(wiring):
    wiring.mended("networks", "note", "192.0.2.0/24")


@pytest.mark.settings({"mail.trusted_networks": "192.0.0.0/16"})
def test_a_larger_network_covers_a_smaller(wiring):
    wiring.set(mynetworks="127.0.0.1, 192.0.2.0/24")
    found = wiring.findings()
    assert [one["severity"] for one in found] == ["note"], found


def test_asked_too_early(wiring):
    wiring.set(smtpd_delay_reject="no", smtpd_sender_restrictions=US.format(
        us=wiring.us), **{LIST: "reject_unlisted_recipient"})
    wiring.mended("recipient_stage", "error", "smtpd_delay_reject")


def test_a_service_that_does_not_ask(wiring):
    """Its own list is mended, not the one of main.cf."""
    wiring.add_service("127.0.0.1:465 inet n - n - - smtpd\n"
                       "  -o %s=\n  -o { %s = permit_mynetworks, reject }\n"
                       % (END, LIST))
    found = wiring.findings()
    assert {one["check"] for one in found} == {
        "recipient_stage", "end_of_data_stage"}
    for one in found:
        assert "127.0.0.1:465" in one["where"]
        wiring.mend(one)
    assert wiring.findings() == []


def test_a_filter_that_gives_mail_back_asks(wiring):
    """It inherits what main.cf has."""
    wiring.add_service("127.0.0.1:10026 inet n - n - - smtpd\n"
                       "  -o content_filter=\n")
    found = wiring.findings()
    assert {(one["check"], one["severity"]) for one in found} == {
        ("recipient_stage", "warning"), ("end_of_data_stage", "error")}
    for one in found:
        assert "second time" in one["what"]
        wiring.mend(one)
    assert wiring.findings() == []


def test_no_service(wiring):
    with open(os.path.join(wiring.directory, "master.cf"), "w") as file:
        file.write("cleanup unix n - n - 0 cleanup\n")
    assert [one["check"] for one in wiring.findings()] == ["services"]


def test_services_are_listed(wiring):
    services = wiring.policyd.json("doctor", "--postfix-dir",
                                   wiring.directory)["services"]
    assert [(one["kind"], one["asks_at_rcpt"], one["asks_at_end"])
            for one in services] == [
        ("everyone", True, True), ("users", True, True),
        ("a content filter", False, False)]


def test_a_line_names_a_directory_with_blanks(wiring):
    copy = wiring.directory + " o'brien"
    shutil.copytree(wiring.directory, copy)
    wiring.directory, old = copy, wiring.directory
    try:
        wiring.set(**{END: ""})
        wiring.mended("end_of_data_stage", "error", END)
    finally:
        wiring.directory = old
        shutil.rmtree(copy)


def test_postfix_cannot_be_read(wiring):
    os.unlink(os.path.join(wiring.directory, "main.cf"))
    found = wiring.findings()
    assert [one["check"] for one in found] == ["postfix"]
    assert "main.cf" in found[0]["what"]


def test_postconf_fails(wiring, monkeypatch):
    """It is looked for in PATH first; what it says is told."""
    fake = os.path.join(wiring.directory, "postconf")
    with open(fake, "w") as file:
        file.write("#!/bin/sh\necho warning: x >&2\necho boom >&2\nexit 1\n")
    os.chmod(fake, 0o755)
    monkeypatch.setenv("PATH", wiring.directory + ":" + os.environ["PATH"])
    found = wiring.findings()
    assert [one["check"] for one in found] == ["postfix"]
    assert "boom" in found[0]["what"]


def checks(found):
    return [(one["check"], one["severity"]) for one in found]


# --- policyd itself ---------------------------------------------------------

def test_mistakes_in_the_configuration(wiring):
    with open(wiring.policyd.path, "a") as file:
        file.write("[greylisting]\nmode = maybe\n")
    found = wiring.findings()
    assert checks(found) == [("configuration", "error")]
    assert found[0]["where"].startswith(wiring.policyd.path + ":")


def test_files_that_others_may_change_or_read(wiring):
    password = os.path.join(wiring.policyd.directory, "password")
    os.chmod(wiring.policyd.path, 0o646)
    wiring.mended("files", "warning", "change the configuration")
    os.chmod(password, 0o644)
    wiring.mended("files", "warning", "password", password)


def test_an_enforced_rule_that_is_not_in_order(wiring):
    order = wiring.policyd.json("config", "show", "--all")
    order = next(row["default"] for row in order
                 if (row["section"], row["key"]) == ("rules", "order"))
    rules = [word.strip() for word in order.split(",")]
    wiring.configure(**{"rules.order": ", ".join(
        rule for rule in rules if rule != "throttle")})
    found = wiring.mended("rules", "warning", "throttle")
    assert found["mend"] == "order = " + ", ".join(rules)


def test_training(wiring):
    wiring.configure(**{"greylisting.training": "yes"})
    wiring.mended("rules", "note", "training")


def test_the_daemon_is_down(wiring):
    wiring.policyd.stop()
    found = wiring.findings()
    assert checks(found) == [("sockets", "error"), ("daemon", "error")]
    assert {one["mend"] for one in found} == {"systemctl start policyd"}


def test_a_resolver_that_does_not_answer(wiring):
    """Is asked only when a rule needs it; the daemon itself is not."""
    with DnsServer({}) as dns:
        wiring.configure(**{"dns.resolver": dns.address,
                            "dns.timeout": "1s", "spf.mode": "enforce"})
        in_force = "daemon"  # the resolver changes with a restart only
        assert {one["check"] for one in wiring.findings()} <= {in_force}
        assert dns.asked()
    found = [one for one in wiring.findings() if one["check"] != in_force]
    assert [(one["check"], one["severity"]) for one in found] == [
        ("resolver", "error")]
    assert "every SPF result is temperror" in found[0]["what"]
    wiring.configure(**{"spf.mode": "off"})
    assert {one["check"] for one in wiring.findings()} <= {in_force}


def test_a_change_that_is_not_in_force(wiring):
    policyd = wiring.policyd
    policyd.configure(**{"mail.recipient_delimiters": "+-"})
    wiring.set(recipient_delimiter="+-")
    wiring.mended("daemon", "warning", "recipient_delimiters")
    policyd.configure(**{"mail.recipient_delimiters": "+-",
                         "policyd.node": "other"})
    found = wiring.findings()
    assert checks(found) == [("daemon", "warning")]
    assert found[0]["mend"] == "systemctl restart policyd"


def test_a_daemon_of_another_version(wiring):
    path = os.path.join(wiring.policyd.directory, "other")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve():
        for answer in ('{"fields":[{"key":"policyd","title":"","type":"text",'
                       '"value":"0.0.1"}]}\n', "", ""):
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall((answer + '{"exit":0}\n').encode())
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    found = wiring.findings("--socket", path)
    thread.join()
    assert checks(found) == [("daemon", "warning")]
    assert "0.0.1" in found[0]["what"]


def test_what_the_daemon_finds(wiring):
    wiring.policyd.database.execute(
        "INSERT INTO iredapd.throttle (account, kind, period, max_msgs)"
        " VALUES ('@example.com', 'sideways', 60, 1)")
    wiring.policyd.ctl("reload")
    found = wiring.findings()
    assert checks(found) == [("daemon", "warning")]
    assert "iredapd.throttle" in found[0]["what"]


# --- SRS --------------------------------------------------------------------

@pytest.fixture
def milter(policyd, wiring):
    """The socket of a milter that Postfix does not know of."""
    (port,) = free_ports(1)
    socket_name = "inet:127.0.0.1:%d" % port
    policyd.stop()
    policyd.configure(**{"milter.listen": socket_name})
    policyd.start()
    return socket_name


def test_the_milter_is_wired(wiring, milter):
    found = wiring.findings()
    assert set(checks(found)) == {("milter", "error")}
    assert [one["where"] for one in found] == [
        "main.cf smtpd_milters", "main.cf non_smtpd_milters"]
    wiring.set(smtpd_milters="inet:127.0.0.1:1")
    for one in wiring.findings():
        wiring.mend(one)
    assert wiring.findings() == []
    assert value(wiring, "smtpd_milters") == milter + ", inet:127.0.0.1:1"
    wiring.reset()
    wiring.set(smtpd_milters="{ %s, default_action=accept }" % milter,
               non_smtpd_milters="inet:localhost:1 $smtpd_milters")
    assert wiring.findings() == []


def test_a_service_that_does_not_ask_the_milter(wiring, milter):
    wiring.set(smtpd_milters=milter, non_smtpd_milters=milter)
    wiring.add_service("127.0.0.1:465 inet n - n - - smtpd\n"
                       "  -o smtpd_milters=\n")
    (finding,) = [one for one in wiring.findings()
                  if one["check"] == "milter"]
    assert finding["where"] == "master.cf 127.0.0.1:465/inet smtpd_milters"


def test_the_milter_judges_limits(wiring, milter):
    policyd = wiring.policyd
    policyd.stop()
    policyd.configure(**{"milter.listen": milter,
                         "milter.end_of_message": "yes"})
    policyd.start()
    wiring.set(smtpd_milters=milter, non_smtpd_milters=milter)
    (finding,) = wiring.findings()
    assert finding["check"] == "milter"
    assert "a second time" in str(finding)
    wiring.mend(finding)
    assert wiring.findings() == []
    wiring.set(**{END: ""})
    assert wiring.findings() == []


@pytest.fixture
def rewriting(wiring):
    """policyd rewrites senders; nothing of it is in Postfix yet."""
    policyd = wiring.policyd
    secrets = os.path.join(policyd.directory, "secrets")
    with open(secrets, "w") as file:
        file.write("a long enough secret\n")
    os.chmod(secrets, 0o600)
    forward, reverse = free_ports(2)
    wiring.changes.update({
        "srs.domain": "srs.example.com", "srs.secrets_file": secrets,
        "srs.forward_listen": "inet:127.0.0.1:%d" % forward,
        "srs.reverse_listen": "inet:127.0.0.1:%d" % reverse,
        "srs.socketmap_listen": "unix:%s/srs" % policyd.directory})
    policyd.stop()
    policyd.configure(**wiring.changes)
    policyd.start()
    return forward, reverse


def test_srs_is_wired(wiring, rewriting):
    found = wiring.findings()
    assert set(checks(found)) == {("srs", "error")}
    for one in found:
        wiring.mend(one)
    assert wiring.findings() == []
    assert value(wiring, "sender_canonical_maps") == \
        "tcp:127.0.0.1:%d" % rewriting[0]
    assert value(wiring, "sender_canonical_classes") == "envelope_sender"
    path = wiring.policyd.directory + "/srs"
    wiring.set(sender_canonical_maps="socketmap:unix:%s:forward" % path,
               recipient_canonical_maps="socketmap:unix:%s:reverse" % path)
    assert wiring.findings() == []
    wiring.set(sender_canonical_maps="static:x, socketmap:unix:%s:reverse" %
               path)
    wiring.mended("srs", "error", "sender_canonical_maps")
    assert value(wiring, "sender_canonical_maps").startswith("static:x, ")


def test_srs_is_off_and_asked(wiring):
    """The map has no way to go on when nobody answers."""
    port, = free_ports(1)
    wiring.policyd.stop()
    wiring.changes["srs.forward_listen"] = "inet:127.0.0.1:%d" % port
    wiring.policyd.configure(**wiring.changes)
    wiring.policyd.start()
    wiring.set(sender_canonical_maps="static:x, tcp:127.0.0.1:%d" % port)
    wiring.mended("srs", "error", "defers all mail")
    assert value(wiring, "sender_canonical_maps") == "static:x"


# --- unix sockets -----------------------------------------------------------

class OnUnixSocket:
    """policyd listens on one, and Postfix asks there."""

    def __init__(self, wiring, mode="0666"):
        self.wiring = wiring
        self.folder = os.path.join(wiring.policyd.directory, "sockets")
        self.path = os.path.join(self.folder, "policy")
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self.configure(mode)
        for name in (LIST, END):
            wiring.set(**{name: value(wiring, name).replace(
                wiring.us, "unix:" + self.path)})

    def configure(self, mode):
        policyd = self.wiring.policyd
        policyd.stop()
        self.wiring.changes.update({
            "policyd.policy_listen": "unix:" + self.path,
            "policyd.policy_socket_mode": mode})
        policyd.configure(**self.wiring.changes)
        policyd.start()


def test_a_unix_socket(wiring):
    """Absolute, or below the queue directory, where smtpd works."""
    socket_ = OnUnixSocket(wiring)
    assert wiring.findings() == []
    queue = value(wiring, "queue_directory")
    wiring.set(**{END: "check_policy_service unix:" + os.path.relpath(
        socket_.path, queue)})
    assert wiring.findings() == []


def test_a_chroot_hides_a_socket(wiring):
    OnUnixSocket(wiring)
    wiring.postconf("-F", "127.0.0.1:587/inet/chroot = y")
    wiring.mended("sockets", "error", "127.0.0.1:587", "chroot")


def test_a_socket_that_postfix_may_not_use(wiring):
    socket_ = OnUnixSocket(wiring, "0600")
    found = wiring.findings()
    assert checks(found) == [("sockets", "error")]
    key, _, mode = found[0]["mend"].partition(" = ")
    assert key == "policy_socket_mode"
    socket_.configure(mode)
    assert wiring.findings() == []
    os.chmod(socket_.folder, 0o700)
    shutil.chown(socket_.folder, "nobody")
    wiring.mended("sockets", "error", socket_.folder)


# --- databases --------------------------------------------------------------

@pytest.fixture
def granted(policyd):
    """Revokes rights of the account, and gives them back."""
    database = policyd.database

    def revoke(name, *left):
        database.execute("REVOKE ALL ON %s.* FROM policyd@localhost" % name)
        for rights in left:
            database.execute("GRANT %s ON %s.* TO policyd@localhost" % (
                rights, name))

    yield revoke
    database.execute("GRANT ALL ON iredapd.* TO policyd@localhost")
    database.execute("GRANT ALL ON policyd.* TO policyd@localhost")
    database.execute("GRANT SELECT ON vmail.* TO policyd@localhost")


@pytest.mark.parametrize("name, left, lacks", [
    ("iredapd", ["SELECT"], "INSERT on throttle_tracking"),
    ("iredapd", ["SELECT, INSERT, UPDATE"], "DELETE on greylisting"),
    ("policyd", ["SELECT, INSERT, DELETE"], "UPDATE on setting"),
    ("iredapd", [], "Access denied"),
    ("vmail", [], "Access denied"),
])
def test_rights_are_mended(wiring, granted, name, left, lacks):
    granted(name, *left)
    wiring.mended("databases", "error", lacks, name)


def test_a_partition_cannot_be_emptied(wiring, granted):
    granted("policyd", "SELECT, INSERT, UPDATE, DELETE")
    wiring.mended("databases", "warning", "lacks DROP on decision")


def test_rights_on_one_table_of_vmail(wiring, granted):
    granted("vmail")
    database = wiring.policyd.database
    database.execute("GRANT SELECT ON vmail.domain TO policyd@localhost")
    try:
        wiring.mended("databases", "error", "SELECT on alias_domain")
    finally:
        database.execute("REVOKE SELECT ON vmail.domain"
                         " FROM policyd@localhost")


def test_a_wrong_password(wiring):
    password = os.path.join(wiring.policyd.directory, "password")
    with open(password, "w") as file:
        file.write("wrong\n")
    found = wiring.findings()
    assert set(checks(found)) == {("databases", "error")}
    assert all(password in one["what"] for one in found)


def test_a_database_that_is_away(wiring):
    wiring.policyd.database.kill()
    found = wiring.findings()
    assert set(checks(found)) == {("databases", "error")}
    assert {one["mend"] for one in found} == {"systemctl status mariadb"}
    wiring.policyd.database.start()


@pytest.mark.parametrize("spoil, word", [
    ("DROP TABLE iredapd.greylisting_whitelists", "greylisting_whitelists"),
    ("ALTER TABLE iredapd.throttle_tracking DROP COLUMN admitted",
     "admitted"),
    ("DROP TABLE policyd.setting", "setting"),
    ("ALTER TABLE policyd.decision DROP COLUMN old_reply", "old_reply"),
    ("DROP TABLE policyd.lease", "lease"),
    ("DROP TABLE policyd.access", "access"),
    ("ALTER TABLE iredapd.greylisting_whitelists DROP COLUMN created_at",
     "created_at"),
    ("DROP TABLE iredapd.srs_exclude_domains", "srs_exclude_domains"),
    ("DELETE FROM policyd.schema_migration WHERE number = 2",
     "iredapd/002"),
])
def test_tables_are_made_again(wiring, spoil, word):
    wiring.policyd.database.execute(spoil)
    try:
        found = wiring.findings()
        assert checks(found) == [("databases", "error")], found
        assert word in found[0]["what"]
        wiring.mend(found[0])
        wiring.policyd.ctl("reload")
        assert wiring.findings() == []
    finally:
        wiring.policyd.database.execute("DELETE FROM policyd.schema_migration")
        wiring.policyd.migrate()


@pytest.mark.parametrize("name, table, whose", [
    ("vmail", "alias_domain", "iRedMail"),
    ("amavisd", "wblist", "Amavisd")])
def test_a_table_of_others_is_missing(wiring, name, table, whose):
    """db migrate makes only the tables of policyd and iRedAPD."""
    policyd, database = wiring.policyd, wiring.policyd.database
    database.execute("RENAME TABLE %s.%s TO %s.away" % (name, table, name))
    try:
        found = wiring.findings()
        assert checks(found) == [("databases", "error")], found
        assert found[0]["mend"] == ""
        assert "the database of " + whose in found[0]["what"]
        policyd.ctl("reload")
        wait_for(lambda: whose + "'s database?" in policyd.log(), "the hint")
        assert "db migrate" not in policyd.log()
    finally:
        database.execute("RENAME TABLE %s.away TO %s.%s" % (
            name, name, table))


def test_collations_are_mended(wiring):
    wiring.policyd.database.execute(
        "ALTER TABLE iredapd.throttle CONVERT TO CHARACTER SET utf8mb4"
        " COLLATE utf8mb4_general_ci")
    wiring.mended("databases", "warning", "throttle", "utf8mb4_general_ci")


def test_another_clock(wiring):
    database = wiring.policyd.database
    database.execute("SET GLOBAL init_connect ="
                     " 'SET timestamp = UNIX_TIMESTAMP() - 60'")
    try:
        found = wiring.findings()
        assert set(checks(found)) == {("databases", "warning")}
        assert "behind ours" in found[0]["what"]
    finally:
        database.execute("SET GLOBAL init_connect = ''")


@pytest.mark.parametrize("row, word", [
    ("('@example.com', 'outbound', 0, 5)", "period is 0"),
    ("('o''brien@example.com', 'inbound', 60, -1)", "limits nothing"),
])
def test_limits_that_limit_nothing(wiring, row, word):
    wiring.policyd.database.execute(
        "INSERT INTO iredapd.throttle (account, kind, period, max_msgs)"
        " VALUES " + row)
    wiring.mended("databases", "warning", word)


def test_greylisting_is_on_for_nobody(wiring):
    wiring.policyd.database.execute("DELETE FROM iredapd.greylisting")
    wiring.mended("databases", "note", "greylisting")
