"""Fixtures. One MariaDB and one Postfix serve the whole run; each test gets
its own policyd on the port that Postfix asks, with empty tables and its own
clock."""

import os
import shutil
import tempfile

import pytest

from harness import BUILD
from harness.clock import Clock
from harness.daemon import Policyd
from harness.mariadb import MariaDB
from harness.ports import free_ports
from harness.postfix import Postfix
from harness.sink import Sink
from harness.vmail import Vmail

TABLES = ("iredapd.throttle_tracking", "iredapd.throttle",
          "iredapd.greylisting", "iredapd.greylisting_tracking",
          "iredapd.greylisting_whitelists",
          "iredapd.greylisting_whitelist_domain_spf",
          "iredapd.greylisting_whitelist_domains", "iredapd.wblist_rdns",
          "iredapd.smtp_sessions", "iredapd.senderscore_cache",
          "iredapd.srs_exclude_domains",
          "policyd.setting", "policyd.decision", "policyd.lease",
          "policyd.access", "policyd.dkim_key", "policyd.dmarc_aggregate",
          "amavisd.wblist", "amavisd.outbound_wblist",
          "amavisd.users", "amavisd.mailaddr")


def pytest_collection_modifyitems(items):
    if not os.path.exists(os.path.join(BUILD, "policyd/policyctl")):
        missing = pytest.mark.skip(reason="no policyd in " + BUILD)
        for item in items:
            if "needs_no_daemon" not in item.keywords:
                item.add_marker(missing)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "settings(changes): settings of policyd for the test")
    config.addinivalue_line(
        "markers", "needs_no_daemon: runs without a built policyd")


@pytest.fixture(scope="session")
def directory():
    """Not pytest's own: the accounts of Postfix and policyd must reach it."""
    path = tempfile.mkdtemp(prefix="policyd-test-", dir="/tmp")
    os.chmod(path, 0o755)
    yield path
    if not os.environ.get("POLICYD_TEST_KEEP"):
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def ports():
    """Of policyd (what Postfix asks), Postfix, its submission, MariaDB, and
    of a second policyd."""
    return free_ports(5)


@pytest.fixture(scope="session")
def shared_mariadb(directory, ports):
    database = MariaDB(os.path.join(directory, "mariadb"), port=ports[3])
    try:
        yield database.install()
    finally:
        database.kill()


@pytest.fixture
def mariadb(shared_mariadb):
    """Up, thawed and known to be so, whatever the test before did."""
    if not shared_mariadb.is_running:
        shared_mariadb.start()
    return shared_mariadb


@pytest.fixture(scope="session")
def postfix(directory, ports):
    server = Postfix(os.path.join(directory, "postfix"), ports[1], ports[2],
                     "inet:127.0.0.1:%d" % ports[0])
    try:
        yield server.configure().start()
    finally:
        server.stop()


@pytest.fixture
def clock(directory):
    turned = Clock(os.path.join(directory, "clock"))
    yield turned
    turned.close()


def empty_tables(database):
    """As "db migrate" leaves them on a new server."""
    for table in TABLES:
        database.execute("DELETE FROM " + table)
    database.execute("INSERT INTO iredapd.greylisting"
                     " (account, sender, active) VALUES ('@.', '@.', 1)")
    database.execute("INSERT INTO amavisd.users (priority, policy_id, email)"
                     " VALUES (0, 0, '@.')")


@pytest.fixture
def vmail(mariadb):
    """Accounts that a test adds; the first ones are back after it."""
    accounts = Vmail(mariadb)
    yield accounts
    if not mariadb.is_running:
        mariadb.start()
    accounts.restore()


@pytest.fixture(scope="module")
def milter_port():
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def sink():
    """A server behind Postfix that keeps what is delivered."""
    with Sink() as server:
        yield server


@pytest.fixture
def marked_settings(request):
    """Of all @pytest.mark.settings of a test; the nearest one counts."""
    settings = {}
    for marker in reversed(list(request.node.iter_markers("settings"))):
        settings.update(marker.args[0])
    return settings


@pytest.fixture
def configured(directory, ports, mariadb, clock, marked_settings):
    """policyd with the schema made and tables emptied, not yet running.

    @pytest.mark.settings({"section.key": value}) changes its settings."""
    daemon = Policyd(os.path.join(directory, "policyd"), mariadb, ports[:1],
                     clock)
    daemon.configure(**marked_settings).migrate()
    empty_tables(mariadb)
    open(daemon.log_path, "w").close()
    yield daemon
    daemon.stop()


@pytest.fixture
def policyd(configured):
    return configured.start()
