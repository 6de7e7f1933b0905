-- The mail domains and accounts of the tests and of ./quickstart, with the
-- columns of iRedMail's database that policyd and Postfix look at, and the
-- indices and collation that it has there. Rows are as iRedAdmin writes them:
-- a mailbox has a row of its own in forwardings, a list has its members
-- there, and every address stands beside its domain.

CREATE TABLE domain (
  domain VARCHAR(255) NOT NULL DEFAULT '',
  transport VARCHAR(255) NOT NULL DEFAULT 'dovecot',
  backupmx TINYINT(1) NOT NULL DEFAULT 0,
  expired DATETIME NOT NULL DEFAULT '9999-12-31 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (domain),
  KEY backupmx (backupmx),
  KEY active (active)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE alias_domain (
  alias_domain VARCHAR(255) NOT NULL,
  target_domain VARCHAR(255) NOT NULL,
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (alias_domain),
  KEY target_domain (target_domain),
  KEY active (active)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE mailbox (
  username VARCHAR(255) NOT NULL DEFAULT '',
  password VARCHAR(255) NOT NULL DEFAULT '',
  name VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  quota BIGINT NOT NULL DEFAULT 0,
  enablesmtp TINYINT(1) NOT NULL DEFAULT 1,
  enabledeliver TINYINT(1) NOT NULL DEFAULT 1,
  passwordlastchange DATETIME NOT NULL DEFAULT '1970-01-01 01:01:01',
  expired DATETIME NOT NULL DEFAULT '9999-12-31 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (username),
  KEY domain (domain),
  KEY passwordlastchange (passwordlastchange)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE alias (
  address VARCHAR(255) NOT NULL DEFAULT '',
  name VARCHAR(255) NOT NULL DEFAULT '',
  accesspolicy VARCHAR(30) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  expired DATETIME NOT NULL DEFAULT '9999-12-31 00:00:00',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (address),
  KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE forwardings (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  forwarding VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  dest_domain VARCHAR(255) NOT NULL DEFAULT '',
  is_maillist TINYINT(1) NOT NULL DEFAULT 0,
  is_list TINYINT(1) NOT NULL DEFAULT 0,
  is_forwarding TINYINT(1) NOT NULL DEFAULT 0,
  is_alias TINYINT(1) NOT NULL DEFAULT 0,
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY address (address, forwarding),
  KEY domain (domain),
  KEY dest_domain (dest_domain),
  KEY is_maillist (is_maillist),
  KEY is_list (is_list),
  KEY is_alias (is_alias)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE maillists (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  transport VARCHAR(255) NOT NULL DEFAULT '',
  accesspolicy VARCHAR(30) NOT NULL DEFAULT '',
  maxmsgsize BIGINT NOT NULL DEFAULT 0,
  name VARCHAR(255) NOT NULL DEFAULT '',
  mlid VARCHAR(36) NOT NULL DEFAULT '',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY address (address),
  UNIQUE KEY mlid (mlid),
  KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE moderators (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  moderator VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  dest_domain VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY address (address, moderator),
  KEY domain (domain),
  KEY dest_domain (dest_domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE maillist_owners (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  owner VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  dest_domain VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY address (address, owner),
  KEY owner (owner),
  KEY domain (domain),
  KEY dest_domain (dest_domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

INSERT INTO domain (domain, backupmx, active) VALUES
  ('example.com', 0, 1),
  ('closed.example', 0, 0);

INSERT INTO alias_domain (alias_domain, target_domain) VALUES
  ('alias.example', 'example.com');

INSERT INTO mailbox (username, name, domain) VALUES
  ('alice@example.com', 'Alice', 'example.com'),
  ('bob@example.com', 'Bob', 'example.com');

-- Alice is also alice.smith; the team is both of them.
INSERT INTO alias (address, name, accesspolicy, domain) VALUES
  ('team@example.com', 'The team', 'membersonly', 'example.com');

INSERT INTO forwardings (address, forwarding, domain, dest_domain,
  is_forwarding, is_alias, is_list) VALUES
  ('alice@example.com', 'alice@example.com', 'example.com', 'example.com',
    1, 0, 0),
  ('bob@example.com', 'bob@example.com', 'example.com', 'example.com',
    1, 0, 0),
  ('alice.smith@example.com', 'alice@example.com', 'example.com',
    'example.com', 0, 1, 0),
  ('team@example.com', 'alice@example.com', 'example.com', 'example.com',
    0, 0, 1),
  ('team@example.com', 'bob@example.com', 'example.com', 'example.com',
    0, 0, 1);
