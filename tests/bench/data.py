"""What the tables hold for the measurements, made by the server itself."""

import os

from harness import SOURCE

DOMAINS_FEW = 10
# What a large site has beside its domains.
ALIAS_DOMAINS = 10000
THROTTLE_RULES = 1000
WHITELIST_ROWS = 10000

# What iRedMail's tables hold at a site of ten domains.
MAILBOXES = 1000  # of each domain
NETWORKS = 3000   # of the domains that are white-listed

# A login whose messages are all too large: its refusal shows that the
# throttle rules are in force. The last row of its table.
SIZED = "sized@example.com"
SIZED_REPLY = "REJECT Message size is too large"

# The login of load --mode hot.
HOT = "user@example.com"

PASSED_UNTIL = "UNIX_TIMESTAMP() + 30 * 86400"
ROWS_AT_ONCE = 100000

# The triplets of load --mode known, as policyd stores them after they passed:
# see put_client() and make_template() in load.c.
KNOWN = """
INSERT INTO {iredapd}.greylisting_tracking
  (sender, recipient, client_address, sender_domain, rcpt_domain, init_time,
   block_expired, record_expired, blocked_count, passed)
SELECT CONCAT('s00000000', LPAD(LOWER(HEX(seq)), 8, '0'), '@load.example'),
  'postmaster@example.com',
  CONCAT(128 + seq DIV 24336 MOD 96, '.', 100 + seq DIV 156 MOD 156, '.',
    100 + seq MOD 156, '.0/24'),
  'load.example', 'example.com', UNIX_TIMESTAMP() - 3600,
  UNIX_TIMESTAMP() - 1800, {until}, 1, 1
FROM {iredapd}.seq_{first}_to_{last}
"""

# Names that differ from those of the harness: a second set of databases.
MORE_DATABASES = """
CREATE DATABASE {iredapd} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE {policyd} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE {vmail} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
GRANT ALL ON {iredapd}.* TO policyd@localhost;
GRANT ALL ON {policyd}.* TO policyd@localhost;
GRANT SELECT ON {vmail}.* TO policyd@localhost;
"""

LARGE_SITE = """
INSERT INTO {vmail}.alias_domain (alias_domain, target_domain)
  SELECT CONCAT('a', seq, '.bench.example'), CONCAT('d', seq, '.bench.example')
  FROM {iredapd}.seq_1_to_{aliases};
INSERT INTO {iredapd}.throttle (account, kind, priority, period, max_msgs)
  SELECT CONCAT('@d', seq, '.bench.example'), 'outbound', 60, 3600, 1000
  FROM {iredapd}.seq_1_to_{rules};
INSERT INTO {iredapd}.greylisting_whitelists (account, sender)
  SELECT '@.', IF(seq MOD 2, CONCAT('w', seq, '@white.example'),
    CONCAT('10.', seq DIV 256, '.', seq MOD 256, '.0/24'))
  FROM {iredapd}.seq_1_to_{whites};
"""


# As iRedMail and iRedAdmin fill them: each mailbox has a row of its own in
# forwardings, every fiftieth an alias; each domain has lists of both kinds.
IREDMAIL_SITE = """
INSERT INTO {vmail}.domain (domain)
  SELECT CONCAT('d', seq, '.site.example') FROM {iredapd}.seq_1_to_{domains};
INSERT INTO {vmail}.mailbox (username, name, domain)
  SELECT CONCAT('u', m.seq, '@d', d.seq, '.site.example'), '',
    CONCAT('d', d.seq, '.site.example')
  FROM {iredapd}.seq_1_to_{domains} d, {iredapd}.seq_1_to_{mailboxes} m;
INSERT INTO {vmail}.forwardings (address, forwarding, domain, dest_domain,
    is_forwarding)
  SELECT username, username, domain, domain, 1 FROM {vmail}.mailbox
  WHERE domain LIKE '%.site.example';
INSERT INTO {vmail}.forwardings (address, forwarding, domain, dest_domain,
    is_alias)
  SELECT CONCAT('alias-', username), username, domain, domain, 1
  FROM {vmail}.mailbox WHERE username LIKE 'u%50@d%.site.example';
INSERT INTO {vmail}.alias (address, accesspolicy, domain)
  SELECT CONCAT('list', m.seq, '@d', d.seq, '.site.example'), 'membersonly',
    CONCAT('d', d.seq, '.site.example')
  FROM {iredapd}.seq_1_to_{domains} d, {iredapd}.seq_1_to_20 m;
INSERT INTO {vmail}.maillists (address, mlid, accesspolicy, domain)
  SELECT CONCAT('ml', m.seq, '@d', d.seq, '.site.example'),
    CONCAT(d.seq, '-', m.seq), 'domain', CONCAT('d', d.seq, '.site.example')
  FROM {iredapd}.seq_1_to_{domains} d, {iredapd}.seq_1_to_5 m;
INSERT INTO {iredapd}.greylisting_whitelist_domains (domain)
  SELECT CONCAT('white', seq, '.example') FROM {iredapd}.seq_1_to_45;
INSERT INTO {iredapd}.greylisting_whitelist_domain_spf (account, sender,
    comment)
  SELECT '@.', CONCAT('11.', seq DIV 250, '.', seq MOD 250, '.0/24'),
    CONCAT('AUTO-UPDATE: white', seq MOD 45 + 1, '.example')
  FROM {iredapd}.seq_1_to_{networks};
INSERT INTO {iredapd}.wblist_rdns (rdns, wb) VALUES
  ('.dynamic.163data.com.cn', 'B'), ('.cable.dyn.cableonline.com.mx', 'B'),
  ('.dyn.user.ono.com', 'B'), ('.static.skysever.com.br', 'B'),
  ('.castelecom.com.br', 'B'), ('.clients.your-server.de', 'B');
"""

# One triplet of each client, which lets it send whatever it likes.
KNOWN_CLIENTS = """
INSERT INTO {iredapd}.greylisting_tracking
  (sender, recipient, client_address, sender_domain, rcpt_domain, init_time,
   block_expired, record_expired, blocked_count, passed)
SELECT CONCAT('first', seq, '@sender.example'), 'u1@d1.site.example',
  CONCAT('100.', 64 + seq DIV 200, '.', seq MOD 200, '.0/24'),
  'sender.example', 'd1.site.example', UNIX_TIMESTAMP() - 3600,
  UNIX_TIMESTAMP() - 1800, {until}, 1, 1
FROM {iredapd}.seq_0_to_{clients}
"""


class Names:
    """The three databases of one daemon."""

    def __init__(self, suffix=""):
        self.names = {name: name + suffix
                      for name in ("iredapd", "vmail", "policyd")}

    def settings(self):
        return {"%s_db.name" % name: value
                for name, value in self.names.items()}

    def table(self, name):
        """"iredapd.throttle" as it is called here."""
        schema, table = name.split(".")
        return "%s.%s" % (self.names[schema], table)

    def fill(self, sql, **values):
        return sql.format(**self.names, **values)


def make_databases(database, names):
    """Those that MariaDB.install() does not make; before "db migrate"."""
    database.run_script(names.fill(MORE_DATABASES))
    with open(os.path.join(SOURCE, "tests/data/vmail.sql")) as file:
        database.run_script(file.read(), names.names["vmail"])


def make_site(database, names, n_domains):
    """n_domains in all; a large site has what large sites have, too.
    example.com is there already."""
    if n_domains > 1:
        database.execute(names.fill(
            "INSERT INTO {vmail}.domain (domain)"
            " SELECT CONCAT('d', seq, '.bench.example')"
            " FROM {iredapd}.seq_1_to_{last}",
            last=n_domains - 1))
    if n_domains > DOMAINS_FEW:
        database.run_script(names.fill(
            LARGE_SITE, aliases=min(ALIAS_DOMAINS, n_domains - 1),
            rules=THROTTLE_RULES - 1, whites=WHITELIST_ROWS))
    database.execute(names.fill(
        "INSERT INTO {iredapd}.throttle (account, kind, priority, period,"
        " msg_size) VALUES (%s, 'outbound', 100, 3600, 1)"), (SIZED,))


def make_known(database, names, n):
    """The first n triplets of load --mode known, all passed."""
    for first in range(0, n, ROWS_AT_ONCE):
        database.execute(names.fill(
            KNOWN, until=PASSED_UNTIL, first=first,
            last=min(first + ROWS_AT_ONCE, n) - 1))


def forget_mail(database, names):
    """Nothing that policyd wrote; its rules and settings stay."""
    for table in ("iredapd.greylisting_tracking", "iredapd.throttle_tracking",
                  "iredapd.smtp_sessions", "policyd.decision"):
        database.execute("TRUNCATE TABLE " + names.table(table))


def limit_hot_login(database, names, max_msgs):
    database.execute(names.fill(
        "INSERT INTO {iredapd}.throttle (account, kind, priority, period,"
        " max_msgs) VALUES (%s, 'outbound', 100, 86400, %s)"
        " ON DUPLICATE KEY UPDATE max_msgs = VALUES(max_msgs)"),
        (HOT, max_msgs))


def hot_counter(database, names):
    """What the table says the hot login has sent."""
    return int(database.value(names.fill(
        "SELECT COALESCE(SUM(cur_msgs), 0) FROM {iredapd}.throttle_tracking"
        " WHERE account = %s"), (HOT,)))

