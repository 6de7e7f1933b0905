"""Rewritten senders: a real Postfix with canonical maps, postmap, and bare
clients of both protocols."""

import json
import os
import re
import subprocess
import threading

import pytest

from harness import wait_for
from harness.lookup import SocketMap, TcpTable
from harness.ports import free_ports
from harness.postfix import Postfix

DOMAIN = "srs.example.net"
SECRET, OLD_SECRET = "a secret of today", "the one before it"
DAY = 86400
QUIET = {"greylisting.mode": "off", "throttle.mode": "off"}

POSTFIX = """\
mydestination = $myhostname, localhost, {domain}
local_recipient_maps = inline:{{ root=x }}
sender_canonical_classes = envelope_sender
recipient_canonical_classes = envelope_recipient, header_recipient
sender_canonical_maps = {forward}
recipient_canonical_maps = {reverse}
"""


class Srs:
    """A policyd with SRS, and where to ask it."""

    def __init__(self, policyd, ports):
        self.policyd = policyd
        self.forward_port, self.reverse_port = ports
        self.path = os.path.join(policyd.directory, "srs")
        self.secrets_file = os.path.join(policyd.directory, "secrets")

    def write_secrets(self, *secrets, mode=0o600):
        with open(self.secrets_file, "w") as file:
            file.write("# secrets\n\n" + "\n".join(secrets) + "\n")
        os.chmod(self.secrets_file, mode)

    def configure(self, **changes):
        self.write_secrets(SECRET)
        settings = {
            "srs.domain": DOMAIN,
            "srs.secrets_file": self.secrets_file,
            "srs.forward_listen": "inet:127.0.0.1:%d" % self.forward_port,
            "srs.reverse_listen": "inet:127.0.0.1:%d" % self.reverse_port,
            "srs.socketmap_listen": "unix:" + self.path,
        }
        settings.update(QUIET)
        settings.update(changes)
        self.policyd.configure(**settings)
        return self

    def start(self):
        self.policyd.start()
        wait_for(lambda: self.encode("a@ready.example")[0] == 200,
                 "the tables to be read")
        return self

    def forward(self):
        return TcpTable(self.forward_port)

    def reverse(self):
        return TcpTable(self.reverse_port)

    def encode(self, address):
        with self.forward() as client:
            return client.get(address)

    def decode(self, address):
        with self.reverse() as client:
            return client.get(address)

    def rewritten(self, address):
        code, text = self.encode(address)
        assert code == 200, text
        return text


@pytest.fixture(scope="session")
def srs_ports():
    """Of both tcp tables, and of a Postfix that asks them."""
    return free_ports(4)


@pytest.fixture
def stopped(configured, srs_ports):
    return Srs(configured, srs_ports[:2]).configure()


@pytest.fixture
def srs(stopped):
    return stopped.start()


@pytest.fixture(scope="session", params=["tcp", "socketmap"])
def rewriting(request, directory, ports, srs_ports):
    """A Postfix that rewrites, with either protocol; it needs srs."""
    server = Postfix(os.path.join(directory, "postfix-" + request.param),
                     srs_ports[2], srs_ports[3],
                     "inet:127.0.0.1:%d" % ports[0])
    path = os.path.join(directory, "policyd/srs")
    maps = {"tcp": ["tcp:127.0.0.1:%d" % port for port in srs_ports[:2]],
            "socketmap": ["socketmap:unix:%s:%s" % (path, name)
                          for name in ("forward", "reverse")]}
    forward, reverse = maps[request.param]
    server.configure(more=POSTFIX.format(
        domain=DOMAIN, forward=forward, reverse=reverse))
    try:
        yield server.start()
    finally:
        server.stop()


def postmap(server, address, table):
    """What Postfix' own client finds, or None."""
    done = subprocess.run(
        ["postmap", "-c", server.config, "-q", address, table],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    remarks = [line for line in done.stderr.splitlines()
               if b"overriding earlier entry" not in line]
    assert not remarks, remarks
    assert done.returncode in (0, 1)
    return done.stdout.decode().rstrip("\n") if done.returncode == 0 else None


def sender_of(server, reply):
    """The sender under which a message that was sent is queued."""
    queue_id = re.search(r"queued as (\w+)", reply.text).group(1)
    line = re.compile(r"qmgr\[\d+\]: %s: from=<(.*)>, size" % queue_id)
    return wait_for(lambda: line.search(server.log()),
                    "message " + queue_id).group(1)


# --- with Postfix -----------------------------------------------------------


def test_postfix_rewrites_a_sender_and_turns_it_back(rewriting, srs):
    with rewriting.session() as session:
        sender = sender_of(rewriting, session.send(
            "Carol@Sender.Example", "alice@example.com"))
        assert re.fullmatch(
            r"SRS0=[\w+/]{4}=[A-Z2-7]{2}=Sender\.Example=Carol@" + DOMAIN,
            sender)
        # An answer to it leaves for where it came from.
        assert session.send("", sender).code == 250
    wait_for(lambda: "to=<Carol@Sender.Example>, orig_to=<%s>" % sender in
             rewriting.log(), "the answer to leave")


def test_postfix_leaves_its_own(rewriting, srs):
    with rewriting.session() as session:
        for sender in ("alice@example.com", "bob@alias.example",
                       "root@" + DOMAIN, ""):
            reply = session.send(sender, "alice@example.com")
            assert sender_of(rewriting, reply) == sender


def test_postfix_refuses_a_forged_recipient(rewriting, srs):
    """Not even one that guesses the first characters of the hash."""
    real = srs.rewritten("victim@target.example")
    hash_ = real.split("=")[1]
    with rewriting.session(address="203.0.113.9") as session:
        for forged in (hash_[:1], hash_[:2], hash_[:3],
                       "A" + hash_ if hash_[0] != "A" else "B" + hash_):
            assert session.mail("x@sender.example").code == 250
            reply = session.rcpt(real.replace(hash_, forged, 1))
            assert reply.code == 550, (forged, reply)
            session.command("RSET")
        assert session.mail("x@sender.example").code == 250
        assert session.rcpt(real).code == 250


# Not "a!b": that is a path of hosts for Postfix (swap_bangpath).
ODD = ["o'brien@sender.example", "a$b@sender.example", "=x@sender.example",
       "+x@sender.example", "50%off@sender.example",
       "a/b=c&d@sender.example", "a{b|c`d~e#f@sender.example",
       '"john doe"@sender.example', '"a@b"@sender.example',
       '"a,b"@sender.example', r'"a\"b"@sender.example',
       "j\u00fcrgen@sender.example", "x@b\u00fccher.example"]


def test_postmap_finds_odd_addresses(rewriting, srs):
    tables = [("tcp:127.0.0.1:%d" % srs.forward_port,
               "tcp:127.0.0.1:%d" % srs.reverse_port),
              ("socketmap:unix:%s:forward" % srs.path,
               "socketmap:unix:%s:reverse" % srs.path)]
    for address in ODD:
        for forward, reverse in tables:
            encoded = postmap(rewriting, address, forward)
            assert encoded and encoded.endswith("@" + DOMAIN), address
            assert postmap(rewriting, encoded, reverse) == address
            assert postmap(rewriting, encoded, forward) is None


def test_postfix_sends_odd_addresses_back(rewriting, srs):
    with rewriting.session() as session:
        for address in (one for one in ODD if one.isascii()):
            reply = session.send(address, "alice@example.com")
            encoded = sender_of(rewriting, reply)
            assert encoded.endswith("@" + DOMAIN), address
            assert session.send("", encoded).code == 250
            wait_for(lambda: "to=<%s>, orig_to=<%s>" % (address, encoded) in
                     rewriting.log(), "the answer to " + address)


# --- the answers ------------------------------------------------------------


FORWARD = [
    ("alice@example.com", "Domain is a local mail domain, bypassed."),
    ("alice@Example.COM", "Domain is a local mail domain, bypassed."),
    ("alice@alias.example", "Domain is a local mail domain, bypassed."),
    ("alice@backup.example", "Domain is a local mail domain, bypassed."),
    ("x@" + DOMAIN, "Domain is srs_domain, bypassed."),
    ("x@" + DOMAIN.upper(), "Domain is srs_domain, bypassed."),
    ("x@" + DOMAIN + ".", "Domain is srs_domain, bypassed."),
    ("x@excluded.example", "Domain is explicitly excluded, bypassed."),
    ("x@a.below.example", "Domain is explicitly excluded, bypassed."),
    ("x@a.b.Below.example", "Domain is explicitly excluded, bypassed."),
    ("", "Not a valid email address, bypassed."),
    ("x", "Not a valid email address, bypassed."),
    ("@sender.example", "Not a valid email address, bypassed."),
    ("x@localhost", "Not a valid email address, bypassed."),
    ("x@[192.0.2.1]", "Not a valid email address, bypassed."),
    ("x@sender.example/x", "Not a valid email address, bypassed."),
    ("x\n@sender.example", "Not a valid email address, bypassed."),
    ("x\0@sender.example", "Not a valid email address, bypassed."),
    ("\udcff@sender.example", "Not a valid email address, bypassed."),
    ("x" * 230 + "@sender.example", "Address would be too long, bypassed."),
    ("x" * 4000, "Address would be too long, bypassed."),
]


def test_who_is_not_rewritten(stopped, mariadb):
    mariadb.execute("INSERT INTO vmail.domain (domain, backupmx, active)"
                    " VALUES ('backup.example', 1, 1)")
    mariadb.execute("INSERT INTO iredapd.srs_exclude_domains (domain)"
                    " VALUES ('Excluded.example'), ('.below.example')")
    try:
        stopped.start()
        with stopped.forward() as client:
            for address, text in FORWARD:
                assert client.get(address) == (500, text), address
            # Neither includes the other, as it did in iRedAPD.
            for address in ("x@a.excluded.example", "x@below.example",
                            "x@closed.example"):
                assert client.get(address)[0] == 200, address
    finally:
        mariadb.execute("DELETE FROM vmail.domain"
                        " WHERE domain = 'backup.example'")


def test_what_is_not_decoded(srs, clock):
    real = srs.rewritten("carol@sender.example")
    with srs.reverse() as client:
        assert client.get(real) == (200, "carol@sender.example")
        assert client.get(real.lower()) == (200, "carol@sender.example")
        for separator in "+-":
            assert client.get(real.replace("=", separator, 1)) == \
                (200, "carol@sender.example")
        for address, text in (
                ("x", "Not a valid email address, bypassed."),
                ("x@" + DOMAIN, "Not a valid SRS address, bypassed."),
                ("carol@sender.example",
                 "Not a valid SRS address, bypassed."),
                (real.replace(DOMAIN, "other.example"),
                 "Not an address of srs_domain, bypassed."),
                (real.replace("carol", "dave"), "The hash is wrong.")):
            assert client.get(address) == (500, text)
        assert client.line(b"put x y") == b"500 Unexpected input"
        assert client.line(b"") == b"500 Unexpected input"
        assert client.line(b"get %zz@x.example") == b"500 Unexpected input"
        # An SRS1 address leads back to the forwarder before us.
        first = "SRS0=abcd=XX=orig.example=u@hop.example"
        second = srs.rewritten(first)
        assert second.startswith("SRS1=") and "=hop.example==abcd" in second
        assert client.get(second) == (200, first)


def test_addresses_expire(srs, clock):
    clock.advance((DAY // 2 - clock.now()) % DAY)  # far from midnight
    real = srs.rewritten("carol@sender.example")
    with srs.reverse() as client:
        clock.advance(-DAY)  # another node is a day ahead
        assert client.get(real)[0] == 200
        clock.advance(-DAY)
        assert client.get(real) == (500, "The address has expired.")
        clock.advance(22 * DAY)
        assert client.get(real)[0] == 200
        clock.advance(DAY)
        assert client.get(real) == (500, "The address has expired.")


def test_a_key_is_decoded_and_a_value_encoded(srs):
    with srs.forward() as client:
        reply = client.line(b"get %22a%20b%25%22@sender.example")
        assert re.fullmatch(
            rb'200 "SRS0=[\w+/]{4}=..=sender\.example=a%20b%25"@' +
            DOMAIN.encode(), reply)
        reply = client.line("get j\u00fc@sender.example".encode())
        assert b"=j%C3%BC@" in reply


def test_socketmap(srs):
    with SocketMap(srs.path) as client:
        word, address = client.get("forward", "carol@sender.example")
        assert word == "OK" and address == \
            srs.rewritten("carol@sender.example")
        assert client.get("reverse", address) == \
            ("OK", "carol@sender.example")
        assert client.get("forward", "a b@sender.example")[0] == "OK"
        assert client.get("forward", address) == ("NOTFOUND", "")
        assert client.get("reverse", "x@" + DOMAIN) == ("NOTFOUND", "")
        assert client.get("other", "x")[0] == "PERM"
        assert client.netstring(b"forward") == b"PERM Unexpected input"
        client.send(b"13:reverse x@y.z," * 2 + b"1")
        assert [client.reply(), client.reply()] == [b"NOTFOUND "] * 2


@pytest.mark.parametrize("data", [
    b"get " + b"x" * 5000, b"x" * 20000])
def test_a_line_that_is_too_long_ends_the_connection(srs, data):
    with srs.forward() as client:
        client.send(b"get x@" + DOMAIN.encode() + b"\n" + data)
        assert client.reply().startswith(b"500 ")
        assert client.is_closed()
    assert srs.encode("a@sender.example")[0] == 200


@pytest.mark.parametrize("data", [
    b"x", b":", b"10001:", b"100000:", b"3:abc.", b"-1:", b"\n"])
def test_what_is_no_netstring_ends_the_connection(srs, data):
    with SocketMap(srs.path) as client:
        client.send(b"9:reverse x," + data)
        assert client.reply() == b"NOTFOUND "
        assert client.is_closed()


def test_too_many_connections_and_idle_ones(stopped):
    stopped.configure(**{"limits.connections": 3,
                         "limits.idle_timeout": "3s"}).start()

    def all_closed():
        return stopped.policyd.json("stats")["metrics"]["srs_connections"] == 0
    wait_for(all_closed, "the connections of the start to end")
    clients = [stopped.forward() for _ in range(3)]
    for client in clients:
        assert client.get("a@sender.example")[0] == 200
    with stopped.reverse() as fourth:
        assert fourth.is_closed()
    for client in clients:
        assert client.is_closed()
    assert stopped.encode("a@sender.example")[0] == 200


def test_many_at_once(srs):
    """Pipelined, by many clients: each gets its own answers in order."""
    wrong = []

    def ask(number):
        with srs.forward() as client:
            client.send(b"".join(b"get u%d-%d@sender.example\n" % (number, at)
                                 for at in range(200)))
            for at in range(200):
                reply = client.reply()
                if b"=u%d-%d@" % (number, at) not in reply:
                    wrong.append(reply)
    threads = [threading.Thread(target=ask, args=(number,))
               for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert srs.policyd.json("stats")["metrics"]["srs_encoded_total"] >= 4000


# --- the database -----------------------------------------------------------


def test_without_tables_postfix_is_told_to_try_again(stopped, mariadb):
    mariadb.stop()
    stopped.policyd.spawn()

    def answer():
        try:
            return stopped.encode("carol@sender.example")
        except ConnectionRefusedError:
            return None
    assert wait_for(answer, "the sockets")[0] == 400
    # What needs no table is answered, and so is decoding.
    assert stopped.encode("x@" + DOMAIN)[0] == 500
    assert stopped.decode("x@" + DOMAIN)[0] == 500
    with SocketMap(stopped.path) as client:
        assert client.get("forward", "carol@sender.example")[0] == "TEMP"
    mariadb.start()
    wait_for(lambda: stopped.encode("carol@sender.example")[0] == 200,
             "the tables to be read")


def test_the_tables_stay_in_force(srs, mariadb):
    mariadb.kill()
    try:
        assert srs.encode("carol@sender.example")[0] == 200
        assert srs.encode("alice@example.com")[0] == 500
        real = srs.rewritten("carol@sender.example")
        assert srs.decode(real) == (200, "carol@sender.example")
    finally:
        mariadb.start()


# --- secrets ----------------------------------------------------------------


def test_a_secret_is_changed(srs):
    old = srs.rewritten("carol@sender.example")
    keys = srs.policyd.json("srs", "keys")
    srs.write_secrets("the new secret", SECRET)
    srs.policyd.ctl("reload")
    new = srs.rewritten("carol@sender.example")
    assert new != old
    for address in (old, new):
        assert srs.decode(address) == (200, "carol@sender.example")
    both = srs.policyd.json("srs", "keys")
    assert [one["signs"] for one in both] == [True, False]
    assert both[1]["fingerprint"] == keys[0]["fingerprint"]
    srs.write_secrets("the new secret")
    srs.policyd.ctl("reload")
    assert srs.decode(old) == (500, "The hash is wrong.")
    assert srs.decode(new)[0] == 200


def test_secrets_are_never_shown(srs):
    shown = srs.policyd.ctl("config", "show", "--all") + \
        srs.policyd.ctl("srs", "keys") + srs.policyd.ctl("status") + \
        json.dumps(srs.policyd.json("config", "show"))
    assert srs.secrets_file in shown
    assert SECRET not in shown + srs.policyd.log()


@pytest.mark.parametrize("secrets, mode, text", [
    ([SECRET], 0o644, "everybody may use"),
    ([], 0o600, "there is no secret in"),
    ([SECRET, "short"], 0o600, "line 4 of"),
    (["x" * 2000], 0o600, "is longer than 1024 bytes"),
    (["%08d" % at for at in range(17)], 0o600, "one too many"),
])
def test_a_bad_secrets_file_is_refused(srs, secrets, mode, text):
    srs.write_secrets(*secrets, mode=mode)
    done = srs.policyd.ctl_run("reload")
    assert done.returncode == 2 or done.returncode == 5, done
    assert text in done.stdout + done.stderr
    assert "short" not in (done.stdout + done.stderr).replace("shorter", "")
    assert srs.encode("carol@sender.example")[0] == 200


def test_a_new_key_is_a_secret(srs):
    keys = {srs.policyd.ctl("srs", "new-key").strip() for _ in range(3)}
    assert len(keys) == 3 and all(len(one) == 32 for one in keys)
    srs.write_secrets(*keys)
    srs.policyd.ctl("reload")
    assert len(srs.policyd.json("srs", "keys")) == 3


# --- policyctl --------------------------------------------------------------


def test_policyctl_encodes_and_decodes(srs):
    real = srs.rewritten("carol@sender.example")
    assert real in srs.policyd.ctl("srs", "encode", "carol@sender.example")
    assert srs.policyd.json("srs", "decode", real)["address"] == \
        "carol@sender.example"
    done = srs.policyd.ctl_run("srs", "encode", "alice@example.com")
    assert done.returncode == 3 and "local mail domain" in done.stderr
    done = srs.policyd.ctl_run("srs", "decode", real.replace("carol", "dave"))
    assert done.returncode == 3 and "hash is wrong" in done.stderr


def test_domains_are_excluded(srs):
    ctl = srs.policyd.ctl
    assert srs.encode("x@partner.example")[0] == 200
    ctl("srs", "exclude", "add", "Partner.example")
    ctl("srs", "exclude", "add", ".partner.example")
    ctl("srs", "exclude", "add", ".partner.example")
    assert srs.encode("x@partner.example")[0] == 500
    assert srs.encode("x@a.partner.example")[0] == 500
    assert srs.policyd.json("srs", "exclude", "list") == [
        {"domain": ".partner.example"}, {"domain": "partner.example"}]
    ctl("srs", "exclude", "remove", "partner.example")
    assert srs.encode("x@partner.example")[0] == 200
    assert srs.encode("x@a.partner.example")[0] == 500
    ctl("srs", "exclude", "remove", "partner.example", status=3)
    for wrong in ("x@partner.example", "192.0.2.1", "*", "partner"):
        ctl("srs", "exclude", "add", wrong, status=2)


def test_rows_that_exclude_nothing_are_named(srs, mariadb):
    mariadb.execute("INSERT INTO iredapd.srs_exclude_domains (domain)"
                    " VALUES ('org'), ('@x.example'), ('192.0.2.1')")
    wait_for(lambda: srs.policyd.ctl("policy", "check", status=None).count(
        "srs_exclude_domains") == 3, "the rows")


def test_off_by_default(policyd):
    done = policyd.ctl_run("srs", "encode", "carol@sender.example")
    assert done.returncode == 5 and "SRS is off" in done.stderr
    assert policyd.ctl_run("srs", "keys").returncode == 5


def test_switched_off_while_it_runs(srs):
    """The sockets stay until the end; nothing leaks unrewritten."""
    srs.configure(**{"srs.domain": None, "srs.secrets_file": None})
    srs.policyd.ctl("reload")
    assert srs.encode("carol@sender.example") == (400, "SRS is switched off.")
