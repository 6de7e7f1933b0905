"""A database that iRedMail made long ago: original column types, tables of
another collation or character set than the database has today."""

import os
import re

import pytest

from harness import SOURCE, wait_for

LATER = "451 4.7.1 Intentional policy rejection, please try again later"
SENDER = "bulk@example.com"

SCHEMA = os.path.join(SOURCE, "conf/sql/iredapd/001_schema.sql")
MIXED = "utf8mb4_general_ci", "utf8mb4_unicode_ci"
OLD = "utf8mb4_general_ci", "utf8mb3_general_ci"


def rows_examined(mariadb):
    """How often rows were read one after the other, without an index."""
    return int(mariadb.rows("SHOW GLOBAL STATUS LIKE"
                            " 'Handler_read_rnd_next'")[0]["Value"])


@pytest.fixture
def adopted(configured, mariadb, request):
    """policyd on tables that were there before it."""
    of_database, of_tables = request.param
    tables = [row["TABLE_NAME"] for row in mariadb.rows(
        "SELECT TABLE_NAME FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = 'iredapd'")]
    mariadb.execute("DROP DATABASE iredapd")
    mariadb.execute("DELETE FROM policyd.schema_migration"
                    " WHERE database_name = 'iredapd'")
    mariadb.execute("CREATE DATABASE iredapd COLLATE " + of_database)
    with open(SCHEMA) as file:
        mariadb.run_script(re.sub(
            r"DEFAULT CHARSET=utf8mb4 COLLATE=\w+",
            "DEFAULT CHARSET=%s COLLATE=%s" % (
                of_tables.split("_")[0], of_tables), file.read()), "iredapd")
    configured.migrate()
    yield configured
    configured.stop()
    mariadb.execute("DROP DATABASE iredapd")
    mariadb.execute("DELETE FROM policyd.schema_migration"
                    " WHERE database_name = 'iredapd'")
    mariadb.execute("CREATE DATABASE iredapd COLLATE utf8mb4_unicode_ci")
    configured.migrate()
    assert len(tables) == mariadb.value(
        "SELECT COUNT(*) FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = 'iredapd'")


@pytest.mark.parametrize("adopted", [MIXED, OLD], indirect=True)
def test_other_collations(adopted, mariadb, clock):
    mariadb.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs) VALUES (%s, 'outbound', 100, 86400, 2),"
        " ('x@elsewhere.example', 'inbound', 100, 86400, 100)", (SENDER,))
    mariadb.execute(
        "INSERT INTO iredapd.greylisting_tracking (sender, recipient,"
        " client_address) SELECT CONCAT(seq, '@x.example'), 'r@x.example',"
        " CONCAT('::', seq) FROM iredapd.seq_1_to_20000")
    adopted.configure(**{"throttle.bypass_local_recipient": "no",
                         "database.table_ttl": "10s"})
    adopted.start()
    with adopted.client() as client:
        before = rows_examined(mariadb)
        assert client.ask() == LATER
        wait_for(lambda: mariadb.rows(
            "SELECT 1 FROM iredapd.greylisting_tracking"
            " WHERE sender = 'someone@sender.example'"), "the row")
        clock.advance(901)
        assert client.ask() == "DUNNO"
        answers = [client.ask_at_end(sender=SENDER, sasl_username=SENDER,
                                     recipient="x@elsewhere.example",
                                     instance="1.%d" % at)
                   for at in range(3)]
        assert answers == ["DUNNO", "DUNNO", "REJECT Throttling quota"
                           " exceeded"]
        assert rows_examined(mariadb) - before < 10000
    wait_for(lambda: mariadb.value(
        "SELECT cur_msgs FROM iredapd.throttle_tracking"
        " WHERE account = 'x@elsewhere.example'") == 2, "the refund")
    counters = adopted.json("throttle", "show", SENDER)
    assert SENDER in str(counters)
    assert " error: " not in adopted.log(), adopted.log()
    adopted.stop()
    assert mariadb.value("SELECT passed FROM iredapd.greylisting_tracking"
                         " WHERE sender = 'someone@sender.example'") == 1


@pytest.mark.parametrize("adopted", [MIXED], indirect=True)
def test_two_collations_become_one(adopted, mariadb):
    """One table was converted by hand: the server would refuse to compare."""
    def collations():
        return {row["TABLE_COLLATION"] for row in mariadb.rows(
            "SELECT TABLE_COLLATION FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = 'iredapd' AND TABLE_NAME LIKE"
            " '%\\_tracking'")}

    assert "nothing to do" in adopted.ctl("db", "migrate", "--plan")
    for table in "greylisting_tracking", "throttle_tracking":
        mariadb.execute("ALTER TABLE iredapd.%s CONVERT TO CHARACTER SET"
                        " utf8mb4 COLLATE utf8mb4_general_ci" % table)
    plan = adopted.ctl("db", "migrate", "--plan")
    assert ("collation utf8mb4_unicode_ci, which most of database iredapd"
            " has: greylisting_tracking, throttle_tracking") in plan
    assert collations() == {"utf8mb4_general_ci"}
    adopted.migrate()
    assert collations() == {"utf8mb4_unicode_ci"}
    assert "nothing to do" in adopted.ctl("db", "migrate", "--plan")
    adopted.start()
    with adopted.client() as client:
        assert client.ask() == LATER
    wait_for(lambda: mariadb.value(
        "SELECT COUNT(*) FROM iredapd.greylisting_tracking") == 1, "the row")
