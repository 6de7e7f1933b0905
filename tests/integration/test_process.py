"""Supervisor and policy process: death, reload, stop, rights."""

import os
import pwd
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness import SBIN, wait_for
from harness.policy import Client, Closed, request

pytestmark = pytest.mark.settings({"greylisting.mode": "off",
                                   "throttle.mode": "off"})

NULL_SENDER = "REJECT Policy rejection due to null sender"


def refused():
    return request(sender="", sasl_username="alice@example.com")


def test_a_killed_policy_process_is_replaced(policyd):
    before = policyd.children()
    os.kill(before[0], signal.SIGKILL)
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == NULL_SENDER
    assert policyd.children() != before
    policyd.wait_for_log("signal 9")


@pytest.mark.settings({"greylisting.mode": "enforce",
                       "throttle.mode": "enforce"})
def test_killed_during_traffic_counts_exactly(configured, mariadb):
    """Connections break, but none is refused, and the table and the answers
    agree: what was admitted was counted, once."""
    mariadb.execute("DELETE FROM iredapd.greylisting")
    mariadb.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs) VALUES ('bulk@example.com', 'outbound', 100, 86400, 300)")
    configured.start()
    answers = []
    at = [0]

    def ask_all():
        while at[0] < 1000:
            try:
                with Client(configured.ports[0]) as client:
                    while at[0] < 1000:
                        at[0] += 1
                        answers.append(client.ask_at_end(
                            sender="bulk@example.com",
                            sasl_username="bulk@example.com",
                            recipient="x@elsewhere.example",
                            instance="k.%d" % at[0]))
            except (Closed, ConnectionResetError, BrokenPipeError):
                pass

    thread = threading.Thread(target=ask_all)
    thread.start()
    for goal in (50, 150):
        wait_for(lambda: len(answers) >= goal, "%d answers" % goal)
        os.kill(configured.children()[0], signal.SIGKILL)
        wait_for(lambda: len(answers) >= goal + 20, "answers after the kill")
    thread.join()
    admitted = answers.count("DUNNO")
    assert set(answers) == {"DUNNO", "REJECT Throttling quota exceeded"}
    # A message that was counted as its process died was never answered.
    assert 298 <= admitted <= 300
    assert mariadb.value("SELECT cur_msgs FROM iredapd.throttle_tracking"
                         ) == 300


def test_a_killed_process_is_not_felt_through_postfix(policyd, postfix):
    with postfix.session("192.0.2.10") as client:
        assert client.send("x@sender.example", "alice@example.com").code == 250
        os.kill(policyd.children()[0], signal.SIGKILL)
        assert client.send("x@sender.example", "alice@example.com").code == 250


@pytest.mark.parametrize("how", ["SIGHUP", "policyctl"])
def test_reload_changes_rules_and_drops_nobody(policyd, how):
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == NULL_SENDER
        half = refused()
        client.send(half[:40])
        policyd.configure(**{"greylisting.mode": "off",
                             "throttle.mode": "off",
                             "reject_null_sender.mode": "off"})
        children = policyd.children()
        if how == "SIGHUP":
            policyd.send_signal(signal.SIGHUP)
        else:
            policyd.ctl("reload")
        wait_for(lambda: policyd.json("stats")["metrics"][
            "reloads_total"] >= 1, "the reload")
        client.send(half[40:])
        assert client.reply() == "DUNNO"
        assert policyd.children() == children


def test_a_broken_reload_is_refused(policyd):
    with open(policyd.path) as file:
        good = file.read()
    policyd.write_config(good + "\n[policyd]\nno_such_key = 1\n")
    done = policyd.ctl_run("reload")
    assert done.returncode != 0
    assert "no_such_key" in done.stdout + done.stderr
    policyd.wait_for_log("no_such_key")
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == NULL_SENDER
    policyd.write_config(good)
    policyd.ctl("reload")


def test_a_relative_path_is_found_again_in_the_background(configured):
    """The daemon works in / by then."""
    program = os.path.join(SBIN, "policyd")
    subprocess.run([program, "--config", os.path.basename(configured.path)],
                   cwd=os.path.dirname(configured.path), check=True,
                   stdin=subprocess.DEVNULL, timeout=60)
    wait_for(lambda: configured.ctl_run("status").returncode == 0, "policyd")
    worker = configured.json("status")["pid"]
    with open("/proc/%d/stat" % worker) as file:
        supervisor = int(file.read().rsplit(")", 1)[1].split()[1])
    try:
        configured.ctl("reload")
    finally:
        os.kill(supervisor, signal.SIGTERM)
        wait_for(lambda: not os.path.exists("/proc/%d" % supervisor),
                 "the end of policyd")


def test_a_broken_configuration_starts_nothing(configured):
    configured.write_config("[policyd]\nlisten = nowhere\n[limits]\n"
                            "connections = many\n")
    configured.spawn()
    assert configured.process.wait(30) == 2
    configured.process = None
    log = configured.log()
    assert configured.path + ":2: " in log
    assert configured.path + ":4: " in log


def test_sigterm_finishes_what_is_in_flight(policyd):
    """The rest of a request that has begun is still read and answered."""
    with policyd.client() as client, policyd.client() as idle:
        assert idle.ask() == "DUNNO"
        data = refused() + refused()
        client.send(data)
        policyd.send_signal(signal.SIGTERM)
        assert client.reply() == NULL_SENDER
        assert client.reply() == NULL_SENDER
        client.assert_closed()
        idle.assert_closed()
    assert policyd.process.wait(30) == 0


@pytest.mark.settings({"greylisting.mode": "enforce"})
def test_sigterm_writes_what_waits(policyd, mariadb):
    with policyd.client() as client:
        client.send(b"".join(request(sender="s%d@sender.example" % at)
                             for at in range(300)))
        for _ in range(300):
            assert client.reply().startswith("451 4.7.1 ")
    policyd.stop()
    assert mariadb.value("SELECT COUNT(*) FROM"
                         " iredapd.greylisting_tracking") == 300


def test_the_policy_process_has_no_rights(policyd):
    nobody = pwd.getpwnam("nobody")
    for child in policyd.children():
        with open("/proc/%d/status" % child) as file:
            status = dict(line.split(":\t", 1) for line in file
                          if ":\t" in line)
        assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
        assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0


def test_a_port_in_use_is_one_clear_line(configured, ports):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", ports[0]))
        other.listen()
        configured.spawn()
        assert configured.process.wait(30) != 0
        configured.process = None
        log = configured.log()
        assert "127.0.0.1:%d" % ports[0] in log
        assert "in use" in log


def test_ready_and_stopping_are_notified(configured, directory):
    path = os.path.join(directory, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.settimeout(30)
        configured.notify_socket = path
        configured.start()
        said = receiver.recv(4096).decode()
        while "READY=1" not in said:
            said = receiver.recv(4096).decode()
        configured.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in said:
            said = receiver.recv(4096).decode()
    os.unlink(path)


def test_secrets_are_not_shown(policyd):
    secret = policyd.database.PASSWORD
    for pid in [policyd.process.pid] + policyd.children():
        for name in ("cmdline", "environ"):
            with open("/proc/%d/%s" % (pid, name), "rb") as file:
                assert secret.encode() not in file.read()
    assert secret not in policyd.ctl("config", "show")
    assert secret not in policyd.log()


def test_a_missing_directory_of_sockets_is_made_for_root(configured,
                                                         directory):
    """What the processes could write there, root would trip over."""
    made = os.path.join(directory, "made")
    configured.configure(**{
        "policyd.control_socket": "unix:%s/control" % made})
    configured.start()
    status = os.stat(made)
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o755)
    configured.stop()
    assert os.listdir(made) == []


def test_stopping_does_not_wait_for_a_database_that_is_away(policyd, mariadb):
    with policyd.client() as client:
        client.ask()
        mariadb.kill()
        for at in range(3):
            client.ask_at_end(instance="1.%d" % at)
    # Its exit says whether the daemon has noticed already.
    wait_for(lambda: policyd.json("status", status=None)[
        "writes_waiting"] >= 3, "writes that wait")
    began = time.monotonic()
    policyd.stop()
    # Not as long as stop_timeout.
    assert 1 < time.monotonic() - began < 25
    assert "the database does not answer: lost are " in policyd.log()
    assert " 3 rows of smtp_sessions" in policyd.log()
    mariadb.start()


def test_stopping_waits_for_a_database_that_comes_back(configured, mariadb,
                                                       clock):
    configured.start()
    with configured.client() as client:
        client.ask()
        mariadb.kill()
        for at in range(3):
            client.ask_at_end(instance="1.%d" % at)
    wait_for(lambda: configured.json("status", status=None)["writes_waiting"]
             >= 3, "writes that wait")
    # By itself it would look for the database in an hour.
    clock.advance(-3600)
    mariadb.start()
    configured.stop()
    assert "lost are" not in configured.log()
    assert mariadb.value(
        "SELECT COUNT(*) FROM iredapd.smtp_sessions"
        " WHERE instance LIKE '1.%%'") >= 3
