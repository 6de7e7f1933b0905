"""Keys of DKIM from "policyctl dkim new" to the end: made, published in the
DNS, checked at each name server, active, rotated, retired; sealed in the table
and nowhere in the log."""

import base64
import os
import re
import socket
import subprocess

import pytest

from harness import wait_for
from harness.daemon import MASTER_KEY
from harness.dns import Answer, DnsServer

DOMAIN = "example.com"
# Servers of the zone; the port is that of the DNS, so they need root.
SERVERS = ("127.0.53.1", "127.0.53.2")
DAY = 86400
BEGIN = "-----BEGIN PRIVATE KEY-----"


class World:
    """A resolver that knows who serves the zone, and two servers of it."""

    def __init__(self):
        hosts = {"ns%d.%s" % (i + 1, DOMAIN): [address]
                 for i, address in enumerate(SERVERS)}
        self.resolver = DnsServer({DOMAIN: Answer(NS=list(hosts)), **hosts})
        self.servers = [DnsServer({DOMAIN: Answer()}, port=53, host=address,
                                  is_server=True) for address in SERVERS]

    def publish(self, name, record, servers=None):
        for server in self.servers if servers is None else servers:
            server.zone[name] = Answer(TXT=[record])

    def withdraw(self, name, servers=None):
        for server in self.servers if servers is None else servers:
            server.zone.pop(name, None)

    def close(self):
        for server in [self.resolver, *self.servers]:
            server.close()


@pytest.fixture
def world():
    try:
        made = World()
    except OSError as error:
        pytest.skip("no port 53 on %s: %s" % (SERVERS[0], error))
    yield made
    made.close()


@pytest.fixture
def policyd(configured, world, marked_settings):
    settings = {"dns.resolver": world.resolver.address, "dns.timeout": "1s",
                "greylisting.mode": "off", "throttle.mode": "off",
                "dkim.check_interval": "1d"}
    settings.update(marked_settings)
    configured.configure(**settings)
    configured.settings = settings
    return configured.start()


def new(policyd, *words):
    """{selector: (name, record)} of the keys that were made."""
    rows = policyd.json("dkim", "new", DOMAIN, *words)["records"]
    return {row["name"].split(".")[0]: (row["name"], row["record"])
            for row in rows}


def keys(policyd, *words, status=0):
    """{selector: row}"""
    listed = policyd.json("dkim", "list", *words, status=status)
    rows = listed if isinstance(listed, list) else listed["rows"]
    return {row["selector"]: row for row in rows}


def state(policyd, selector):
    return policyd.json("dkim", "show", DOMAIN, selector)["key"]["state"]


def openssl(*words, given=None):
    return subprocess.run(["openssl", *words], input=given, check=True,
                          capture_output=True, timeout=60).stdout


def strings_joined(zone):
    """What a name server makes of a line of a zone file."""
    return "".join(re.findall('"([^"]*)"', zone))


def test_new_keys_are_shown_as_they_are_published(policyd):
    rows = policyd.json("dkim", "new", DOMAIN)["records"]
    assert [row["name"].split(".")[0][-1] for row in rows] == ["r", "e"]
    for row in rows:
        assert row["name"].endswith("._domainkey." + DOMAIN)
        assert row["state"] == "made"
        assert strings_joined(row["zone"]) == row["record"]
        assert all(len(part) <= 255
                   for part in re.findall('"([^"]*)"', row["zone"]))
    assert [row["record"].split("; ")[1] for row in rows] == \
        ["k=rsa", "k=ed25519"]
    assert {row["algorithm"]: row["bits"]
            for row in keys(policyd, DOMAIN).values()} == \
        {"rsa": 2048, "ed25519": 256}


def test_selectors(policyd):
    assert list(new(policyd, "--selector", "x", "--algorithm", "rsa")) == \
        ["x"]
    assert list(new(policyd, "--selector", "y")) == ["yr", "ye"]
    done = policyd.ctl_run("dkim", "new", DOMAIN, "--selector", "x",
                           "--algorithm", "ed25519")
    assert done.returncode == 5 and "has a key x already" in done.stderr
    first = new(policyd, "--algorithm", "ed25519")
    second = new(policyd, "--algorithm", "ed25519")
    assert [name + "2" for name in first] == list(second)
    policyd.ctl("dkim", "new", DOMAIN, "--selector", "a_b", status=2)
    policyd.ctl("dkim", "new", DOMAIN, "--algorithm", "dsa", status=2)


def test_a_domain_that_is_not_ours_gets_no_key(policyd):
    done = policyd.ctl_run("dkim", "new", "example.net")
    assert done.returncode == 5 and "not a mail domain of ours" in done.stderr


def test_from_made_to_revoked(policyd, world, clock):
    (selector, (name, record)), = new(
        policyd, "--algorithm", "ed25519").items()
    done = policyd.ctl_run("dkim", "activate", DOMAIN, selector)
    assert done.returncode == 5 and "there is no record" in done.stderr
    assert state(policyd, selector) == "made"

    # One of two servers is not enough.
    world.publish(name, record, world.servers[:1])
    checked = policyd.ctl("dkim", "check", DOMAIN, selector, status=1)
    assert "partly" in checked and "ns2" in checked
    policyd.ctl("dkim", "activate", DOMAIN, selector, status=5)

    world.publish(name, record)
    assert "shown" in policyd.ctl("dkim", "check", DOMAIN)
    assert state(policyd, selector) == "published"
    policyd.ctl("dkim", "activate", DOMAIN, selector)
    assert state(policyd, selector) == "active"
    for server in world.servers:
        assert (name.lower(), "TXT", "udp") in server.asked()

    (other, (other_name, other_record)), = new(
        policyd, "--algorithm", "ed25519").items()
    world.publish(other_name, other_record)
    policyd.ctl("dkim", "activate", DOMAIN, other)
    assert (state(policyd, selector), state(policyd, other)) == \
        ("retiring", "active")

    done = policyd.ctl_run("dkim", "retire", DOMAIN, selector)
    assert done.returncode == 5 and "may be under way" in done.stderr
    done = policyd.ctl_run("dkim", "retire", DOMAIN, other)
    assert done.returncode == 5 and "signs" in done.stderr
    clock.advance(8 * DAY)
    out = policyd.json("dkim", "retire", DOMAIN, selector)
    assert out["records"][0]["record"].endswith("; p=")
    assert state(policyd, selector) == "revoked"
    policyd.ctl("dkim", "activate", DOMAIN, selector, "--force", status=5)


def test_a_server_that_is_silent_is_not_one_without_the_record(policyd, world):
    (selector, (name, record)), = new(
        policyd, "--algorithm", "ed25519").items()
    world.publish(name, record)
    world.servers[1].zone[name] = Answer(silent=True)
    assert "unknown" in policyd.ctl("dkim", "check", DOMAIN, status=1)
    policyd.ctl("dkim", "activate", DOMAIN, selector, status=5)
    policyd.ctl("dkim", "activate", DOMAIN, selector, "--force")
    policyd.ctl("dkim", "check", DOMAIN, status=1)
    policyd.ctl("dkim", "check", DOMAIN, status=1)
    attention = keys(policyd, "--attention", status=1)[selector]["attention"]
    assert "not every server" in attention
    # Twice certain that it is not there.
    world.withdraw(name)
    for _ in range(2):
        assert "absent" in policyd.ctl("dkim", "check", DOMAIN, status=1)
    attention = keys(policyd, "--attention", status=1)[selector]["attention"]
    assert attention.startswith("does not sign")


def test_the_record_of_another_key(policyd, world):
    made = new(policyd)
    (first, (name, _)), (_, (_, other)) = made.items()
    world.publish(name, other)
    assert "another key" in policyd.ctl("dkim", "check", DOMAIN, first,
                                        status=1)
    world.publish(name, "v=DKIM1; k=rsa; p=")
    assert "revoked" in policyd.ctl("dkim", "check", DOMAIN, first, status=1)


def test_an_alias_leads_to_its_own_servers(policyd, world):
    (selector, (name, record)), = new(policyd, "--algorithm", "rsa").items()
    target = "k1.keys.example.net"
    for server in world.servers:
        server.zone[name] = Answer(CNAME=target)
    with DnsServer({target: Answer(TXT=[record])}, port=53,
                   host="127.0.53.3", is_server=True):
        world.resolver.zone.update({
            name: Answer(CNAME=target), target: Answer(TXT=[record]),
            "keys.example.net": Answer(NS=["ns.keys.example.net"]),
            "ns.keys.example.net": ["127.0.53.3"]})
        assert "shown" in policyd.ctl("dkim", "check", DOMAIN, selector)
    assert "unknown" in policyd.ctl("dkim", "check", DOMAIN, selector,
                                    status=1)


def test_an_answer_that_is_cut_comes_over_tcp(policyd, world):
    (selector, (name, record)), = new(policyd, "--algorithm", "rsa").items()
    for server in world.servers:
        server.zone[name] = Answer(TXT=[record], is_cut=True)
    assert "shown" in policyd.ctl("dkim", "check", DOMAIN, selector)
    assert (name.lower(), "TXT", "tcp") in world.servers[0].asked()


def test_a_server_of_another_zone_says_nothing(policyd, world):
    (selector, (name, record)), = new(
        policyd, "--algorithm", "ed25519").items()
    world.publish(name, record, world.servers[:1])
    world.servers[1].is_server = False
    out = policyd.ctl("dkim", "check", DOMAIN, selector, status=1)
    assert "unknown" in out and "does not serve the zone" in out


def test_keys_are_rotated(policyd, world, clock):
    for selector, (name, record) in new(policyd).items():
        world.publish(name, record)
        policyd.ctl("dkim", "activate", DOMAIN, selector)
    assert "was made" not in policyd.ctl("dkim", "rotate", "--all")
    clock.advance(200 * DAY)
    out = policyd.ctl("dkim", "rotate", "--all")
    assert out.count("was made") == 2 and out.count("waits for the DNS") == 2
    # Nothing is made twice, and what signed goes on.
    assert "was made" not in policyd.ctl("dkim", "rotate", "--all")
    rows = keys(policyd, DOMAIN)
    assert sorted(row["state"] for row in rows.values()) == \
        ["active", "active", "made", "made"]
    for row in policyd.json("dkim", "publish", DOMAIN)["records"]:
        world.publish(row["name"], row["record"])
    assert policyd.ctl("dkim", "rotate", "--all").count("signs now") == 2
    clock.advance(8 * DAY)
    policyd.ctl("dkim", "rotate", "--all")
    assert sorted(row["state"] for row in keys(policyd, DOMAIN).values()) == \
        ["active", "active", "revoked", "revoked"]
    policyd.ctl("dkim", "rotate", status=2)


@pytest.mark.parametrize("words, status, told", [
    (["new", DOMAIN, "--algorithm", "dsa"], 2,
     '"dsa" is neither rsa nor ed25519'),
    (["new", DOMAIN, "--selector", "a_b"], 2, '"a_b" is not a selector'),
    (["new", "exa mple"], 2, '"exa mple" is not a domain'),
    (["rotate", DOMAIN], 3, "has no key to go on from"),
    (["show", DOMAIN, "s9"], 3, "has no key s9"),
])
def test_what_cannot_be_done_is_said(policyd, words, status, told):
    done = policyd.ctl_run("dkim", *words)
    assert done.returncode == status and told in done.stderr


def test_the_zone_file(policyd, directory):
    folder = os.path.join(directory, "zones")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    path = os.path.join(folder, "dkim.zone")
    policyd.stop()
    policyd.configure(**policyd.settings, **{"dkim.zone_file": path})
    before = os.umask(0o027)
    policyd.start()
    os.umask(before)
    made = new(policyd)
    policyd.ctl("dkim", "publish")
    # A name server has a user of its own.
    assert os.stat(path).st_mode & 0o777 == 0o644
    with open(path) as file:
        lines = file.read().splitlines()[1:]
    assert sorted((line.split()[0], strings_joined(line))
                  for line in lines) == sorted(made.values())


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_comes_back_as_it_went_in(policyd, world, directory, kind):
    words = ["-algorithm", "ed25519"] if kind == "ed25519" else \
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    path = os.path.join(directory, "in-%s.pem" % kind)
    out = path + ".out"
    for old in (path, out):
        if os.path.exists(old):
            os.unlink(old)
    with open(path, "wb") as file:
        file.write(openssl("genpkey", *words))
    assert "made" in policyd.ctl("dkim", "import", DOMAIN, "s1", path)
    policyd.ctl("dkim", "export", DOMAIN, "s1", "--output", out)
    assert os.stat(out).st_mode & 0o777 == 0o600
    public = [openssl("pkey", "-in", each, "-pubout", "-outform", "DER")
              for each in (path, out)]
    assert public[0] == public[1]
    assert policyd.ctl("dkim", "export", DOMAIN, "s1").startswith(BEGIN)
    policyd.ctl("dkim", "export", DOMAIN, "s1", "--output", out, status=5)
    policyd.ctl("dkim", "import", DOMAIN, "s1", path, status=5)
    # The record is that of the key.
    record = policyd.json("dkim", "show", DOMAIN, "s1")["records"][0]["record"]
    published = base64.b64decode(record.split("p=")[1])
    assert public[0].endswith(published)


def test_an_imported_key_that_the_dns_shows_signs_at_once(
        policyd, world, directory):
    path = os.path.join(directory, DOMAIN + ".pem")
    key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt",
                  "rsa_keygen_bits:1024")
    with open(path, "wb") as file:
        file.write(key)
    public = openssl("pkey", "-pubout", "-outform", "DER", given=key)
    world.publish("dkim._domainkey." + DOMAIN,
                  "v=DKIM1; p=" + base64.b64encode(public).decode())
    conf = os.path.join(directory, "50-user")
    with open(conf, "w") as file:
        file.write("# dkim_key('no.example', 'x', '/none');\n"
                   "dkim_key('%s', \"dkim\", '%s');\n" % (DOMAIN, path))
    assert "active" in policyd.ctl("dkim", "import", "--amavis", conf)
    assert state(policyd, "dkim") == "active"
    assert "weak" in keys(policyd, "--attention",
                          status=1)["dkim"]["attention"]


def test_iredmail_keys(policyd, world, directory):
    folder = os.path.join(directory, "dkim")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, DOMAIN + ".pem"), "wb") as file:
        file.write(openssl("genrsa", "2048"))
    policyd.ctl("dkim", "import", "--iredmail", "--directory", folder)
    assert state(policyd, "dkim") == "made"
    with open(os.path.join(folder, "example.net.pem"), "w") as file:
        file.write("no key\n")
    policyd.ctl("dkim", "import", "--iredmail", "--directory", folder,
                status=5)


def test_another_master_key_and_rows_that_were_changed(policyd, mariadb):
    new(policyd, "--selector", "one", "--algorithm", "ed25519")
    new(policyd, "--selector", "two", "--algorithm", "ed25519")
    policyd.ctl("dkim", "export", DOMAIN, "one")
    # A sealed key in another row.
    mariadb.execute("UPDATE policyd.dkim_key a JOIN policyd.dkim_key b"
                    " ON b.selector = 'two' SET a.private_key = b.private_key"
                    " WHERE a.selector = 'one'")
    done = policyd.ctl_run("dkim", "export", DOMAIN, "one")
    assert done.returncode == 5 and "the row was changed" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    policyd.ctl("dkim", "export", DOMAIN, "two")
    policyd.write_master_key(MASTER_KEY[::-1])
    policyd.ctl("reload")
    done = policyd.ctl_run("dkim", "export", DOMAIN, "two")
    assert done.returncode == 5 and "master_key_file" in done.stderr


def test_without_a_master_key(policyd):
    policyd.configure(**policyd.settings, **{"dkim.master_key_file": None})
    policyd.ctl("reload")
    done = policyd.ctl_run("dkim", "new", DOMAIN)
    assert done.returncode == 5 and "dkim master-key" in done.stderr
    assert re.fullmatch("[0-9a-f]{64}\n", policyd.ctl("dkim", "master-key"))


def test_no_key_is_in_the_log_nor_in_the_table(policyd, mariadb):
    new(policyd)
    pems = [policyd.ctl("dkim", "export", DOMAIN, selector)
            for selector in keys(policyd, DOMAIN)]
    stored = b"".join(row["private_key"] for row in mariadb.rows(
        "SELECT private_key FROM policyd.dkim_key"))
    policyd.stop()
    log = policyd.log()
    assert "exported" in log and MASTER_KEY not in log and BEGIN not in log
    for pem in pems:
        for line in pem.splitlines()[1:-1]:
            assert line not in log and line.encode() not in stored


@pytest.mark.settings({"dkim.check_interval": "1s"})
def test_keys_are_checked_in_the_background(policyd, world):
    (selector, (name, record)), = new(
        policyd, "--algorithm", "ed25519").items()
    world.publish(name, record)
    wait_for(lambda: state(policyd, selector) == "published",
             "the key to be seen", 30)
    policyd.ctl("dkim", "activate", DOMAIN, selector)
    world.withdraw(name)
    wait_for(lambda: keys(policyd, DOMAIN)[selector]["attention"].startswith(
        "does not sign"), "the key to be missed", 30)
    world.publish(name, record)
    wait_for(lambda: keys(policyd, DOMAIN)[selector]["dns"] == "shown",
             "the key to be back", 30)


# --- what the milter is told -------------------------------------------------

class KeyServer:
    """The private socket of the policy process, found by what is asked."""

    def __init__(self, policyd):
        pid = policyd.process.pid
        inodes = set()
        for entry in os.listdir("/proc/%d/fd" % pid):
            try:
                link = os.readlink("/proc/%d/fd/%s" % (pid, entry))
            except OSError:
                continue
            if link.startswith("socket:["):
                inodes.add(link[len("socket:["):-1])
        with open("/proc/net/unix") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        self.names = [row[7] for row in rows
                      if row[6] in inodes and len(row) > 7
                      and row[7].startswith("@") and row[3] == "00010000"]

    def ask(self, domain):
        """The lines of the answer; the socket for keys is the one that
        answers so."""
        for name in self.names:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect("\0" + name[1:])
                client.sendall(b"request=dkim_keys\ndomain=%s\n\n"
                               % domain.encode())
                answer = b""
                while not answer.endswith(b"\n\n") and answer != b"\n":
                    part = client.recv(65536)
                    if not part:
                        break
                    answer += part
                if answer and not answer.startswith(b"action="):
                    return answer.decode().splitlines()[:-1]
        raise AssertionError("nobody answers for keys at %s" % self.names)


def signing(server, domain):
    return [line.split(" ")[:2] for line in server.ask(domain)]


@pytest.fixture
def key_server(policyd, milter_port, vmail):
    policyd.stop()
    vmail.alias_domain("twin.example", DOMAIN)
    policyd.configure(**policyd.settings, **{
        "milter.listen": "inet:127.0.0.1:%d" % milter_port})
    policyd.start()
    return KeyServer(policyd)


def test_which_keys_sign_for_a_domain(policyd, key_server, world, mariadb):
    for selector in new(policyd, "--selector", "s"):
        policyd.ctl("dkim", "activate", DOMAIN, selector, "--force")
    new(policyd, "--selector", "idle")
    both = [["key=" + DOMAIN, "sr"], ["key=" + DOMAIN, "se"]]
    assert signing(key_server, DOMAIN) == both
    # One above it that is ours signs; an alias has keys of its own or none.
    assert signing(key_server, "a.b." + DOMAIN) == both
    assert signing(key_server, "twin.example") == []
    policyd.ctl("dkim", "new", "twin.example", "--selector", "own",
                "--algorithm", "rsa")
    policyd.ctl("dkim", "activate", "twin.example", "own", "--force")
    assert signing(key_server, "twin.example") == \
        [["key=twin.example", "own"]]
    # Never one that is not ours, whatever is in the table.
    mariadb.execute("UPDATE policyd.dkim_key SET domain = 'other.example'"
                    " WHERE domain = 'twin.example'")
    assert signing(key_server, "other.example") == []
    pem = base64.b64decode(key_server.ask(DOMAIN)[0].split(" ")[2]).decode()
    assert pem.strip() == policyd.ctl("dkim", "export", DOMAIN, "sr").strip()
    # One that the DNS has not, twice.
    world.publish(*_name_and_record(policyd, "se"))
    for _ in range(2):
        policyd.ctl("dkim", "check", DOMAIN, status=1)
    assert signing(key_server, DOMAIN) == both[1:]


def _name_and_record(policyd, selector):
    row = policyd.json("dkim", "show", DOMAIN, selector)["records"][0]
    return row["name"], row["record"]


def test_trouble_is_an_error_and_not_an_empty_list(policyd, key_server,
                                                   mariadb):
    for selector in new(policyd):
        policyd.ctl("dkim", "activate", DOMAIN, selector, "--force")
    policyd.write_master_key(MASTER_KEY[::-1])
    policyd.ctl("reload")
    (line,) = key_server.ask(DOMAIN)
    assert line.startswith("error=")
    policyd.wait_for_log("does not open")
    mariadb.stop()
    (line,) = key_server.ask(DOMAIN)
    assert line.startswith("error=")
