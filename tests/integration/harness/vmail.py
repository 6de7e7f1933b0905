"""Accounts in vmail as iRedAdmin would make them, gone after the test."""

TABLES = ("domain", "alias_domain", "mailbox", "alias", "forwardings",
          "maillists", "moderators", "maillist_owners")


def domain_of(address):
    return address.rpartition("@")[2]


class Vmail:
    def __init__(self, database):
        self.database = database
        self._rows = {table: database.rows("SELECT * FROM vmail." + table)
                      for table in TABLES}

    def insert(self, table, **columns):
        self.database.execute(
            "INSERT INTO vmail.%s (%s) VALUES (%s)" % (
                table, ", ".join(columns), ", ".join(["%s"] * len(columns))),
            list(columns.values()))

    def restore(self):
        for table, rows in self._rows.items():
            self.database.execute("DELETE FROM vmail." + table)
            for row in rows:
                self.insert(table, **row)

    def domain(self, name, **more):
        self.insert("domain", domain=name, **more)

    def alias_domain(self, name, target, **more):
        self.insert("alias_domain", alias_domain=name, target_domain=target,
                    **more)

    def _forwarding(self, address, forwarding, kind, more):
        self.insert("forwardings", address=address, forwarding=forwarding,
                    domain=domain_of(address),
                    dest_domain=domain_of(forwarding), **{kind: 1}, **more)

    def mailbox(self, address, **more):
        self.insert("mailbox", username=address, domain=domain_of(address),
                    **more)
        self._forwarding(address, address, "is_forwarding", {})

    def user_alias(self, address, user, **more):
        self._forwarding(address, user, "is_alias", more)

    def alias(self, address, policy="", **more):
        self.insert("alias", address=address, accesspolicy=policy,
                    domain=domain_of(address), **more)

    def member(self, address, member, **more):
        self._forwarding(address, member, "is_list", more)

    def maillist(self, address, policy="", **more):
        self.insert("maillists", address=address, accesspolicy=policy,
                    domain=domain_of(address), mlid=address[:36], **more)
        self._forwarding(address, address, "is_maillist", {})

    def moderator(self, address, moderator):
        self.insert("moderators", address=address, moderator=moderator,
                    domain=domain_of(address),
                    dest_domain=domain_of(moderator))

    def owner(self, address, owner):
        self.insert("maillist_owners", address=address, owner=owner,
                    domain=domain_of(address), dest_domain=domain_of(owner))
