"""What is counted of messages in the name of domains, and the reports made of
it: policyd is asked as its milter asks."""

import datetime
import gzip
import os
import xml.etree.ElementTree as ElementTree

import pytest

from harness import wait_for
from test_dmarc_report import check_order, walk

DAY = 86400
RECORD = "v=DMARC1; p=reject; sp=quarantine; rua=mailto:r@bank.example; t=n"
REFUSED = ("550 5.7.1 DMARC: this message is not from bank.example, which asks"
           " to reject such mail")


def lines(recipients=("alice@example.com",), dkim=(), **changes):
    """A question of the milter, about a message that fails."""
    attributes = {
        "request": "smtpd_access_policy", "protocol_state": "MESSAGE",
        "client_address": "192.0.2.7", "client_name": "unknown",
        "helo_name": "mx.other.example", "sender": "b@other.example",
        "size": "1000", "recipient_count": str(len(recipients)),
        "header_from": "a@bank.example", "dmarc_domain": "bank.example",
        "dmarc_result": "fail", "dmarc_policy": "reject",
        "dmarc_requested": "reject", "dmarc_policy_domain": "bank.example",
        "dmarc_record": RECORD, "spf_result": "softfail",
        "spf_domain": "other.example", "spf_is_helo": "no"}
    attributes.update(changes)
    rows = ["%s=%s" % item for item in attributes.items()]
    rows += ["recipient=" + one for one in recipients]
    rows += ["dkim=" + one for one in dkim]
    return ("\n".join(rows) + "\n\n").encode()


def ask(policyd, *words, **changes):
    with policyd.client() as client:
        client.send(lines(*words, **changes))
        answer = b""
        while not answer.endswith(b"\n\n"):
            answer += client.socket.recv(65536)
    # Lines for the milter follow.
    return answer.decode().split("\n")[0][len("action="):]


def counted(database, n):
    """All rows, once they count so many messages."""
    def total():
        return database.value(
            "SELECT COALESCE(SUM(n), 0) FROM policyd.dmarc_aggregate")

    wait_for(lambda: total() >= n, "%d messages that are counted" % n)
    assert total() == n
    return database.rows("SELECT * FROM policyd.dmarc_aggregate"
                         " ORDER BY n DESC, header_from")


def day_of(row):
    return datetime.datetime.utcfromtimestamp(
        row["day"]).strftime("%Y-%m-%d")


def read_report(policyd, directory, *words):
    """The name of the file, and what is in it."""
    told = policyd.json("dmarc", "report", *words, "--output", directory)
    names = os.listdir(directory)
    assert [os.path.join(directory, name) for name in names] == [told["file"]]
    with gzip.open(told["file"]) as file:
        root = ElementTree.fromstring(file.read())
    for parent, element in walk(root):
        if len(element):
            check_order(parent, element)
    return names[0], root, told


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def test_same_messages_are_one_row(policyd, mariadb):
    for _ in range(3):
        assert ask(policyd) == REFUSED
    assert ask(policyd, dmarc_result="pass", dmarc_policy="none",
               dmarc_dkim_aligned="yes",
               dkim=("pass bank.example s1", "fail other.example s2")) \
        == "DUNNO"
    first, second = counted(mariadb, 4)
    assert (first["n"], second["n"]) == (3, 1)
    assert first["policy_domain"] == first["header_from"] == "bank.example"
    assert first["record"] == RECORD
    assert first["source_ip"] == "192.0.2.7"
    assert first["envelope_from"] == "other.example"
    assert first["envelope_to"] == "example.com"
    assert first["disposition"] == "reject"
    assert first["day"] % DAY == 0
    assert second["disposition"] == "none"
    assert second["dkim_aligned"] == 1
    assert second["dkim"] == "pass bank.example s1\nfail other.example s2\n"


def test_only_what_is_wanted_is_counted(policyd, mariadb):
    ask(policyd, dmarc_record="v=DMARC1; p=reject")
    ask(policyd, dmarc_result="temperror", dmarc_policy="none")
    ask(policyd, dmarc_result="none", dmarc_policy="none", dmarc_record="",
        dmarc_policy_domain="")
    ask(policyd, sasl_username="alice@example.com")
    ask(policyd, header_from="c@bank.example")
    assert len(counted(mariadb, 1)) == 1


@pytest.mark.settings({"dmarc.collect": "all"})
def test_all_is_counted_if_that_is_wished(policyd, mariadb):
    ask(policyd, dmarc_record="v=DMARC1; p=reject")
    ask(policyd)
    counted(mariadb, 2)


@pytest.mark.settings({"dmarc.collect": "none"})
def test_nothing_is_counted_if_that_is_wished(policyd, mariadb):
    assert ask(policyd) == REFUSED
    policyd.stop()
    counted(mariadb, 0)


@pytest.mark.settings({"dmarc.rows_per_day": "3"})
def test_a_day_has_so_many_rows(policyd, mariadb):
    """Whoever sends mail chooses what is in them."""
    for i in range(3):
        ask(policyd, client_address="192.0.2.%d" % (i + 1))
        counted(mariadb, i + 1)
    for i in range(4, 9):
        ask(policyd, client_address="192.0.2.%d" % i)
    policyd.wait_for_log("rows_per_day rows already")
    ask(policyd, client_address="192.0.2.1")
    rows = counted(mariadb, 4)
    assert sorted(row["source_ip"] for row in rows) == [
        "192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert policyd.json("stats")["metrics"]["dmarc_left_out_total"] == 5


def test_a_report_says_what_was_seen(policyd, mariadb, folder):
    policyd.ctl("policy", "set", "quiet.example", "dmarc.reject", "report")
    for _ in range(2):
        ask(policyd)
    assert ask(policyd, ("x@quiet.example",),
               dkim=("fail bank.example s1",)) == "DUNNO"
    assert ask(policyd, dmarc_result="pass", dmarc_policy="none",
               dmarc_spf_aligned="yes", spf_result="pass",
               spf_domain="bank.example", sender="") == "DUNNO"
    day = day_of(counted(mariadb, 4)[0])
    listed = policyd.json("dmarc", "list")
    assert [(row["day"], row["domain"], row["messages"], row["failed"],
             row["rows"]) for row in listed] == [(day, "bank.example", 4, 3, 3)]
    policyd.configure(**{"dmarc.report_org": "Mail & Sons",
                         "dmarc.report_email": "dmarc@mx.example.com"})
    name, root, told = read_report(policyd, folder, "bank.example", "--day",
                                   day)
    begin = int(root.findtext("report_metadata/date_range/begin"))
    assert name == "mx.example.com!bank.example!%d!%d.xml.gz" % (
        begin, begin + DAY - 1)
    assert (told["messages"], told["rows"]) == (4, 3)
    assert root.findtext("report_metadata/org_name") == "Mail & Sons"
    assert root.findtext("policy_published/p") == "reject"
    assert root.findtext("policy_published/sp") == "quarantine"
    assert sorted((record.findtext("row/policy_evaluated/disposition"),
                   record.findtext("row/policy_evaluated/spf"),
                   record.findtext("row/count"))
                  for record in root.findall("record")) == [
        ("none", "fail", "1"), ("none", "pass", "1"), ("reject", "fail", "2")]
    reasons = [one.findtext("type") for one in root.iter("reason")]
    assert reasons == ["local_policy"]
    assert {one.findtext("auth_results/spf/result")
            for one in root.findall("record")} == {"softfail", "pass"}
    assert [one.text for one in root.iter("selector")] == ["s1"]


def test_a_report_has_any_number_of_rows(policyd, mariadb, folder):
    ask(policyd)
    day = counted(mariadb, 1)[0]["day"]
    mariadb.execute(
        "INSERT INTO policyd.dmarc_aggregate (row_key, day, policy_domain,"
        " record, source_ip, header_from, disposition, dkim, n)"
        " SELECT MD5(seq), %d, 'bank.example', 'v=DMARC1; p=none',"
        " CONCAT('198.51.', seq DIV 250, '.', seq MOD 250), 'bank.example',"
        " 'none', '', 2 FROM policyd.seq_1_to_2500" % day)
    root = read_report(policyd, folder, "bank.example", "--day", day_of(
        {"day": day}))[1]
    counts = [int(one.text) for one in root.findall("record/row/count")]
    assert len(counts) == 2501 and sum(counts) == 5001
    # What most messages were judged by.
    assert root.findtext("policy_published/p") == "none"


@pytest.mark.parametrize("words, status", [
    (("bank.example",), 3), (("bank.example", "--day", "2026-02-31x"), 2),
    (("",), 2), (("bank.example", "--day", "yesterday"), 2)])
def test_there_is_no_report_of_nothing(configured, folder, words, status):
    configured.ctl("dmarc", "report", *words, "--output", folder,
                   status=status)
    assert os.listdir(folder) == []


def test_no_file_is_left_that_cannot_be_written(policyd, mariadb, folder):
    ask(policyd)
    day = day_of(counted(mariadb, 1)[0])
    done = policyd.ctl_run("dmarc", "report", "bank.example", "--day", day,
                           "--output", os.path.join(folder, "none"))
    assert done.returncode == 2 and "No such file" in done.stderr
    assert os.listdir(folder) == []


@pytest.mark.settings({"dmarc.keep_days": "2"})
def test_old_days_go(policyd, mariadb, clock):
    ask(policyd)
    counted(mariadb, 1)

    def pruned():
        return {row["table"]: row["rows"] for row in policyd.json(
            "db", "prune")}["policyd.dmarc_aggregate"]

    clock.advance(2 * DAY)
    assert pruned() == 0
    clock.advance(2 * DAY)
    assert pruned() == 1
    assert counted(mariadb, 0) == []
