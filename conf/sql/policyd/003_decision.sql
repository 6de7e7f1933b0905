-- The journal of decisions, for "policyctl explain".
--
-- slot is the number of the day modulo 8, and each slot has a partition: a day
-- is forgotten by ALTER TABLE decision TRUNCATE PARTITION, which costs nothing
-- however many rows it held, and no partition ever has to be made.

CREATE TABLE IF NOT EXISTS decision (
  slot TINYINT UNSIGNED NOT NULL,
  code CHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  time_us BIGINT UNSIGNED NOT NULL,
  node VARCHAR(64) NOT NULL DEFAULT '',
  stage VARCHAR(16) NOT NULL DEFAULT '',
  rule VARCHAR(32) NOT NULL DEFAULT '',
  action VARCHAR(20) NOT NULL DEFAULT '',
  reply VARCHAR(512) NOT NULL DEFAULT '',
  is_observed TINYINT(1) NOT NULL DEFAULT 0,
  client_address VARCHAR(45) NOT NULL DEFAULT '',
  client_name VARCHAR(255) NOT NULL DEFAULT '',
  helo_name VARCHAR(255) NOT NULL DEFAULT '',
  sender VARCHAR(255) NOT NULL DEFAULT '',
  recipient VARCHAR(255) NOT NULL DEFAULT '',
  sasl_username VARCHAR(255) NOT NULL DEFAULT '',
  queue_id VARCHAR(64) NOT NULL DEFAULT '',
  instance VARCHAR(64) NOT NULL DEFAULT '',
  detail MEDIUMTEXT NOT NULL,
  PRIMARY KEY (slot, code),
  KEY slot_queue_id (slot, queue_id),
  KEY slot_sender (slot, sender),
  KEY slot_recipient (slot, recipient),
  KEY slot_login (slot, sasl_username),
  KEY slot_client (slot, client_address),
  KEY slot_time (slot, time_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
PARTITION BY LIST (slot) (
  PARTITION p0 VALUES IN (0),
  PARTITION p1 VALUES IN (1),
  PARTITION p2 VALUES IN (2),
  PARTITION p3 VALUES IN (3),
  PARTITION p4 VALUES IN (4),
  PARTITION p5 VALUES IN (5),
  PARTITION p6 VALUES IN (6),
  PARTITION p7 VALUES IN (7)
);
