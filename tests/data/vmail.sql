-- The mail domains and accounts of the tests and of ./quickstart, with the
-- columns of iRedMail's database that policyd and Postfix look at.

CREATE TABLE domain (
  domain VARCHAR(255) NOT NULL DEFAULT '',
  transport VARCHAR(255) NOT NULL DEFAULT 'dovecot',
  backupmx TINYINT(1) NOT NULL DEFAULT 0,
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE alias_domain (
  alias_domain VARCHAR(255) NOT NULL,
  target_domain VARCHAR(255) NOT NULL,
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (alias_domain),
  KEY target_domain (target_domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE mailbox (
  username VARCHAR(255) NOT NULL,
  password VARCHAR(255) NOT NULL DEFAULT '',
  name VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  quota BIGINT NOT NULL DEFAULT 0,
  enablesmtp TINYINT(1) NOT NULL DEFAULT 1,
  enabledeliver TINYINT(1) NOT NULL DEFAULT 1,
  passwordlastchange DATETIME NOT NULL DEFAULT '1970-01-01 01:01:01',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (username),
  KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE alias (
  address VARCHAR(255) NOT NULL,
  name VARCHAR(255) NOT NULL DEFAULT '',
  accesspolicy VARCHAR(30) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (address)
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
  UNIQUE KEY address_forwarding (address, forwarding)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE maillists (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  domain VARCHAR(255) NOT NULL DEFAULT '',
  transport VARCHAR(255) NOT NULL DEFAULT '',
  accesspolicy VARCHAR(30) NOT NULL DEFAULT '',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY address (address)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE moderators (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  moderator VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY address_moderator (address, moderator)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE maillist_owners (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  address VARCHAR(255) NOT NULL DEFAULT '',
  owner VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY address_owner (address, owner)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

INSERT INTO domain (domain, backupmx, active) VALUES
  ('example.com', 0, 1),
  ('closed.example', 0, 0);

INSERT INTO alias_domain (alias_domain, target_domain) VALUES
  ('alias.example', 'example.com');

INSERT INTO mailbox (username, name, domain) VALUES
  ('alice@example.com', 'Alice', 'example.com'),
  ('bob@example.com', 'Bob', 'example.com');

INSERT INTO forwardings (address, forwarding, domain, dest_domain,
  is_forwarding) VALUES
  ('alice@example.com', 'alice@example.com', 'example.com', 'example.com', 1),
  ('bob@example.com', 'bob@example.com', 'example.com', 'example.com', 1);
