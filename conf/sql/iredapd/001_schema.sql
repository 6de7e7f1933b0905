-- The tables that iRedAPD 6.1 and iRedAdmin know, as they know them.
--
-- On a database that iRedMail made, every statement finds its table and
-- changes nothing. Statements end with ';' at the end of a line; the database
-- is chosen by the connection, so no statement names it.

-- Rules. One row gives up to four limits to an account: >0 is the limit, 0 is
-- "unlimited, look no further", -1 is "ask the next rule".
CREATE TABLE IF NOT EXISTS throttle (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  account VARCHAR(255) NOT NULL,
  kind VARCHAR(10) NOT NULL DEFAULT 'outbound',
  priority TINYINT UNSIGNED NOT NULL DEFAULT 0,
  period INT UNSIGNED NOT NULL DEFAULT 0,
  msg_size BIGINT NOT NULL DEFAULT -1,
  max_msgs BIGINT NOT NULL DEFAULT -1,
  max_quota BIGINT NOT NULL DEFAULT -1,
  max_rcpts BIGINT NOT NULL DEFAULT -1,
  PRIMARY KEY (id),
  UNIQUE KEY account_kind (account, kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Counters of those rules.
CREATE TABLE IF NOT EXISTS throttle_tracking (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  tid BIGINT UNSIGNED NOT NULL DEFAULT 0,
  account VARCHAR(255) NOT NULL DEFAULT '',
  period INT UNSIGNED NOT NULL DEFAULT 0,
  cur_msgs MEDIUMINT UNSIGNED NOT NULL DEFAULT 0,
  cur_quota INT UNSIGNED NOT NULL DEFAULT 0,
  init_time INT UNSIGNED NOT NULL DEFAULT 0,
  last_time INT UNSIGNED NOT NULL DEFAULT 0,
  last_notify_time INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY tid_account (tid, account),
  FOREIGN KEY (tid) REFERENCES throttle (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Settings of greylisting. The one row of a new table switches it on for
-- everyone. It comes with the table and not after it: where an administrator
-- deleted that row, the table is there and nothing is added.
CREATE TABLE IF NOT EXISTS greylisting (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  account VARCHAR(100) NOT NULL DEFAULT '',
  priority TINYINT NOT NULL DEFAULT 0,
  sender VARCHAR(100) NOT NULL DEFAULT '',
  sender_priority TINYINT NOT NULL DEFAULT 0,
  comment VARCHAR(255) NOT NULL DEFAULT '',
  active TINYINT(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE KEY account_sender (account, sender),
  KEY comment (comment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
SELECT '@.' AS account, 0 AS priority, '@.' AS sender, 0 AS sender_priority,
  '' AS comment, 1 AS active;

CREATE TABLE IF NOT EXISTS greylisting_whitelists (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  account VARCHAR(100) NOT NULL DEFAULT '',
  sender VARCHAR(100) NOT NULL DEFAULT '',
  comment VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY account_sender (account, sender),
  KEY comment (comment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- The same, filled from the SPF records of the domains in the table below.
CREATE TABLE IF NOT EXISTS greylisting_whitelist_domain_spf (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  account VARCHAR(100) NOT NULL DEFAULT '',
  sender VARCHAR(100) NOT NULL DEFAULT '',
  comment VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY account_sender (account, sender),
  KEY comment (comment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS greylisting_whitelist_domains (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  domain VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Triplets.
CREATE TABLE IF NOT EXISTS greylisting_tracking (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  sender VARCHAR(255) NOT NULL DEFAULT '',
  recipient VARCHAR(255) NOT NULL DEFAULT '',
  client_address VARCHAR(40) NOT NULL DEFAULT '',
  sender_domain VARCHAR(255) NOT NULL DEFAULT '',
  rcpt_domain VARCHAR(255) NOT NULL DEFAULT '',
  init_time INT UNSIGNED NOT NULL DEFAULT 0,
  block_expired INT UNSIGNED NOT NULL DEFAULT 0,
  record_expired INT UNSIGNED NOT NULL DEFAULT 0,
  blocked_count BIGINT NOT NULL DEFAULT 0,
  passed TINYINT(1) NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY sender_recipient_client (sender, recipient, client_address),
  KEY sender_domain (sender_domain),
  KEY rcpt_domain (rcpt_domain),
  KEY client_address_passed (client_address, passed)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS wblist_rdns (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  rdns VARCHAR(255) NOT NULL DEFAULT '',
  wb VARCHAR(10) NOT NULL DEFAULT 'B',
  PRIMARY KEY (id),
  UNIQUE KEY rdns (rdns),
  KEY wb (wb)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS srs_exclude_domains (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  domain VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS senderscore_cache (
  client_address VARCHAR(40) NOT NULL DEFAULT '',
  score INT UNSIGNED DEFAULT 0,
  time INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (client_address),
  KEY score (score),
  KEY time (time)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- One row for each refusal and each message. Every column has its index.
CREATE TABLE IF NOT EXISTS smtp_sessions (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  time_num INT UNSIGNED NOT NULL DEFAULT 0,
  action VARCHAR(20) NOT NULL DEFAULT '',
  reason VARCHAR(150) NOT NULL DEFAULT '',
  instance VARCHAR(40) NOT NULL DEFAULT '',
  client_address VARCHAR(40) NOT NULL DEFAULT '',
  client_name VARCHAR(255) NOT NULL DEFAULT '',
  reverse_client_name VARCHAR(255) NOT NULL DEFAULT '',
  helo_name VARCHAR(255) NOT NULL DEFAULT '',
  sender VARCHAR(255) NOT NULL DEFAULT '',
  sender_domain VARCHAR(255) NOT NULL DEFAULT '',
  sasl_username VARCHAR(255) NOT NULL DEFAULT '',
  sasl_domain VARCHAR(255) NOT NULL DEFAULT '',
  recipient VARCHAR(255) NOT NULL DEFAULT '',
  recipient_domain VARCHAR(255) NOT NULL DEFAULT '',
  encryption_protocol VARCHAR(20) NOT NULL DEFAULT '',
  encryption_cipher VARCHAR(50) NOT NULL DEFAULT '',
  server_address VARCHAR(40) NOT NULL DEFAULT '',
  server_port VARCHAR(10) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY time (time),
  KEY time_num (time_num),
  KEY action (action),
  KEY reason (reason),
  KEY instance (instance),
  KEY client_address (client_address),
  KEY client_name (client_name),
  KEY reverse_client_name (reverse_client_name),
  KEY helo_name (helo_name),
  KEY sender (sender),
  KEY sender_domain (sender_domain),
  KEY sasl_username (sasl_username),
  KEY sasl_domain (sasl_domain),
  KEY recipient (recipient),
  KEY recipient_domain (recipient_domain),
  KEY encryption_protocol (encryption_protocol),
  KEY encryption_cipher (encryption_cipher),
  KEY server_address (server_address),
  KEY server_port (server_port)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
