"""What we sign with DKIM is valid for others: for dkimpy, and for OpenDKIM's
library, with every canonical form and both kinds of keys. Messages are odd
ones of our own, and those of the public test data beside the repository."""

import os
import re
import subprocess
import time

import pytest

from harness import BUILD, SOURCE

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")

pytestmark = pytest.mark.needs_no_daemon

SUITES = os.path.join(os.path.dirname(SOURCE), "shared", "suites")
SIGN = os.path.join(BUILD, "tests/dkim_sign_tool")
VERIFY = os.path.join(BUILD, "tests/dkim_verify_tool")
DOMAIN = "example.com"
# Of each key: simple and relaxed, for the header and for the body.
SIGNATURES_PER_KEY = 4
NOT_SIGNED = 3

HEADER = (b"Received: from a.example by b.example;\r\n"
          b"\tFri, 11 Jul 2003 21:01:54 -0700\r\n"
          b"From: Joe SixPack <joe@example.com>\r\n"
          b"To: Suzie Q <suzie@example.net>,\r\n  joe@example.com\r\n"
          b"Subject:  Is   dinner\tready? \r\n"
          b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
          b"Message-ID: <20030712040037.46341.5F8J@example.com>\r\n")

ODD_BODIES = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "empty lines": b"\r\n" * 1000,
    "a line of blanks": b" \t \r\n",
    "blanks without an end": b" \t ",
    "no end of the last line": b"Hello.\r\nBye.",
    "empty lines at the end": b"Hello.\r\n\r\n\r\n",
    "empty lines with blanks at the end": b"Hello.\r\n \r\n\t\r\n",
    "empty lines between": b"Hello.\r\n" + b"\r\n" * 1000 + b"Bye.\r\n",
    "blanks everywhere": b"  a \t b \r\n\t\tc  d\t\r\n e\r\n",
    "a CR in a line": b"a\rb\r\n",
    "a CR at the end of a line": b"a\r\r\nb\r\n",
    "blanks around a CR": b"a \r \r\nb\r\n",
    "dots": b".\r\n..\r\n.a\r\n",
    "every byte": bytes(set(range(256)) - {10, 13}) + b"\r\n",
    "long lines": (b"x" * 5000 + b" " * 5000 + b"\r\n") * 20,
    "a megabyte": b"All work and no play makes Jack a dull boy.\r\n" * 24000,
}

ODD_HEADERS = {
    "only From": b"From: joe@example.com\r\n",
    "no blank behind the colon": b"From:joe@example.com\r\nSubject:a\r\n",
    "names in odd cases": b"FROM: joe@example.com\r\nsUBJECT: a\r\n",
    "empty values": b"From: joe@example.com\r\nSubject:\r\nTo: \r\n",
    "folded at once": b"From:\r\n joe@example.com\r\nSubject:\r\n\ta\r\n",
    "folded around blanks":
        b"From: joe@example.com\r\nSubject: a \r\n \t b\r\n \r\n c\r\n",
    "several of a name":
        b"To: a@example.com\r\nFrom: joe@example.com\r\nTo: b@example.com\r\n"
        b"List-Id: a\r\nList-Id: b\r\nTo: c@example.com\r\n",
    "8 bits": b"From: J\xf6 <joe@example.com>\r\nSubject: \xc3\xa4\r\n",
    "a long line": b"From: joe@example.com\r\nReferences:" +
        b" <0123456789@example.com>" * 200 + b"\r\n",
    "many fields": b"From: joe@example.com\r\n" +
        b"".join(b"X-Field: %d\r\n" % i for i in range(900)),
    "many that are signed": b"From: joe@example.com\r\n" +
        b"".join(b"Resent-To: %d\r\n" % i for i in range(200)),
    "a signature of another domain":
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=a; h=From;\r\n"
        b" bh=abcd; b=abcd\r\nFrom: joe@example.com\r\n",
}

ODD_MESSAGES = {
    **{"body: " + name: HEADER + b"\r\n" + body
       for name, body in ODD_BODIES.items()},
    **{"header: " + name: header + b"\r\nHello.\r\n"
       for name, header in ODD_HEADERS.items()},
    "header: no body, and no line before it": HEADER,
}


def names_of_suites():
    """Files that may be messages; what is none is not signed."""
    found = []
    for suite in sorted(os.listdir(SUITES) if os.path.isdir(SUITES) else ()):
        if not suite.startswith(("mime-", "dkim-")):
            continue
        for folder, _, files in os.walk(os.path.join(SUITES, suite)):
            found += [os.path.relpath(os.path.join(folder, name), SUITES)
                      for name in files
                      if "LICENSE" not in folder and name != "ORIGIN.txt"]
    return sorted(found)


# --- messages ---------------------------------------------------------------

FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def as_postfix_sends(raw):
    """An LF ends a line, CRs before it or not, and other CRs become blanks
    (cleanup_replace_stray_cr_lf); a line of a mailbox file becomes a field;
    the header ends with the first line that is none."""
    lines = [line.rstrip(b"\r").replace(b"\r", b" ")
             for line in raw.split(b"\n")]
    if lines[0].startswith(b"From "):
        lines[0] = b"X-Mailbox-Line: " + lines[0]
    for at, line in enumerate(lines):
        if at > 0 and line[:1] in (b" ", b"\t"):
            continue
        if not FIELD.match(line):
            break
    header, body = lines[:at], lines[at:]
    if body[0] == b"":
        body = body[1:]
    return b"".join(line + b"\r\n" for line in header) + b"\r\n" + \
        b"\r\n".join(body)


def without_signatures(message):
    """OpenDKIM's library takes no message with one that is malformed."""
    header, end, body = (b"\r\n" + message).partition(b"\r\n\r\n")
    header = re.sub(rb"(?i)\r\nDKIM-Signature:[^\r]*(\r\n[ \t][^\r]*)*",
                    b"", header)
    return (header + end + body)[2:]


def has_stray_cr(message):
    return re.search(rb"\r(?!\n)", message) is not None


def count_from(message):
    header = (b"\r\n" + message).split(b"\r\n\r\n")[0]
    return len(re.findall(rb"(?i)\r\nFrom[ \t]*:", header))


# --- programs ---------------------------------------------------------------

class Keys:
    """One of each kind, made by our own code."""

    def __init__(self, directory):
        self.arguments = []
        self.records = {}
        for kind in ("rsa", "ed25519"):
            path = os.path.join(directory, kind + ".pem")
            with open(path, "wb") as file:
                file.write(run(SIGN, "make", kind).stdout)
            self.arguments.append(kind + "=" + path)
            self.records[kind] = run(SIGN, "publish", path).stdout.strip()

    def look_up(self, name, timeout=None):
        """In place of dkimpy's DNS."""
        selector, rest = name.decode("ascii").split(".", 1)
        assert rest == "_domainkey." + DOMAIN + "."
        return self.records[selector]


def run(*command, given=b""):
    # The library of others need not be free of leaks.
    return subprocess.run(
        command, input=given, capture_output=True, timeout=120,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=%d" %
             (command[0] != VERIFY)})


def sign(keys, message, step=65535):
    done = run(SIGN, "sign", DOMAIN, str(int(time.time())), str(step),
               *keys.arguments, given=message)
    assert done.returncode in (0, NOT_SIGNED), done.stderr
    return done


def fields(keys, message, step=65535):
    """The fields to be put before the message."""
    done = sign(keys, message, step)
    assert done.returncode == 0, done.stdout
    values = done.stdout.splitlines()
    assert len(values) == SIGNATURES_PER_KEY * len(keys.arguments)
    return [b"DKIM-Signature:" + value.replace(b"\\n", b"\r\n") + b"\r\n"
            for value in values]


def dkimpy_says(keys, signed, n):
    """Whether each of the first n signatures is valid."""
    results = []
    for at in range(n):
        try:
            results.append(
                dkim.DKIM(signed).verify(idx=at, dnsfunc=keys.look_up))
        except dkim.ValidationError:
            results.append(False)
    return results


def opendkim_says(keys, signed):
    arguments = [item for selector, record in keys.records.items()
                 for item in (selector, record.decode("ascii"))]
    done = run(VERIFY, DOMAIN, *arguments, given=signed)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("ascii").splitlines()


def check(keys, message, step=65535):
    made = fields(keys, message, step)
    assert all(len(line) <= 78 for line in
               b"".join(made).decode("ascii").splitlines())
    # What is sent ends with the end of a line, whatever was told.
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    assert dkimpy_says(keys, b"".join(made) + message,
                       len(made)) == [True] * len(made)
    # A CR of its own does not belong into mail (RFC 5321, 2.3.8), and not
    # all verifiers read it the same way. Postfix replaces it.
    if not has_stray_cr(message):
        assert opendkim_says(
            keys, b"".join(made) + without_signatures(message)) == [
                "pass"] * len(made)


# --- tests ------------------------------------------------------------------

@pytest.fixture(scope="module", autouse=True)
def programs():
    for path in (SIGN, VERIFY):
        if not os.path.exists(path):
            pytest.skip("%s is not built" % path)


@pytest.fixture(scope="module")
def keys(programs, tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("name", sorted(ODD_MESSAGES))
def test_odd_messages_are_valid_for_others(keys, name):
    check(keys, ODD_MESSAGES[name])


@pytest.mark.skipif(not os.path.isdir(SUITES), reason="no " + SUITES)
@pytest.mark.parametrize("name", names_of_suites())
def test_public_messages_are_valid_for_others(keys, name):
    with open(os.path.join(SUITES, name), "rb") as file:
        message = as_postfix_sends(file.read())
    n = count_from(message)
    if n == 1:
        check(keys, message, step=len(name))
        return
    done = sign(keys, message)
    assert (done.returncode, done.stdout.decode("ascii")) == (
        NOT_SIGNED, "there are several From fields\n" if n > 1
        else "there is no From field\n")


@pytest.mark.skipif(not os.path.isdir(SUITES), reason="no " + SUITES)
def test_the_public_messages_are_there():
    n = 0
    for name in names_of_suites():
        with open(os.path.join(SUITES, name), "rb") as file:
            n += count_from(as_postfix_sends(file.read())) == 1
    assert n >= 60


@pytest.mark.parametrize("name", sorted(ODD_MESSAGES))
def test_pieces_and_line_ends_make_no_difference(keys, name):
    message = ODD_MESSAGES[name]
    # Ed25519 and RSA of PKCS#1 v1.5 both give always the same.
    now = str(int(time.time()))
    forms = [message]
    if not has_stray_cr(message):
        forms.append(message.replace(b"\r\n", b"\n"))
    made = {
        run(SIGN, "sign", DOMAIN, now, str(step), *keys.arguments,
            given=form).stdout
        for step in (1, 2, 7, 65535) for form in forms}
    assert len(made) == 1


@pytest.mark.parametrize("change", [
    lambda message: message.replace(b"Hello", b"Hullo"),
    lambda message: message + b"More.\r\n",
    lambda message: message.replace(b"Is   dinner", b"Is lunch"),
    lambda message: message.replace(b"To: Suzie", b"Cc: Suzie"),
    lambda message: b"From: eve@example.org\r\n" + message,
    lambda message: b"Subject: other\r\n" + message,
    lambda message: b"Content-Type: text/html\r\n" + message,
], ids=["body", "longer body", "value", "name", "another From",
        "another Subject", "a field that was not there"])
def test_changes_are_seen(keys, change):
    """What is signed is what matters, and the verifiers do look."""
    message = HEADER + b"\r\nHello.\r\n"
    made = fields(keys, message)
    signed = b"".join(made) + change(message)
    assert dkimpy_says(keys, signed, len(made)) == [False] * len(made)
    results = opendkim_says(keys, signed)
    assert len(results) == len(made) and "pass" not in results


@pytest.mark.parametrize("change", [
    lambda message: b"Received: from c.example\r\n" + message,
    lambda message: b"List-Id: <list.example.org>\r\n" + message,
    lambda message: b"Sender: list@example.org\r\n" + message,
    lambda message: b"X-Spam: no\r\n" + message,
], ids=["Received", "List-Id", "Sender", "X-Spam"])
def test_what_others_add_does_no_harm(keys, change):
    message = HEADER + b"\r\nHello.\r\n"
    made = fields(keys, message)
    signed = b"".join(made) + change(message)
    assert dkimpy_says(keys, signed, len(made)) == [True] * len(made)
    assert opendkim_says(keys, signed) == ["pass"] * len(made)


def test_strings_of_a_zone_file_are_the_record(keys):
    for argument in keys.arguments:
        selector, path = argument.split("=", 1)
        strings = run(SIGN, "strings", path).stdout.decode("ascii")
        parts = re.findall(r'"([^"\\]*)"', strings)
        assert strings.strip() == " ".join('"%s"' % part for part in parts)
        assert all(len(part) <= 255 for part in parts)
        assert "".join(parts).encode("ascii") == keys.records[selector]
