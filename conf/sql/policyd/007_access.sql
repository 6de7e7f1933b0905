-- What policyctl knows about the white- and blacklist entries that it has put
-- into the database of Amavisd, whose tables have no room for it: until when
-- they hold, who made them and why. An entry without a row here holds for good.

CREATE TABLE IF NOT EXISTS access (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  direction ENUM('inbound', 'outbound') NOT NULL,
  account VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  address VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  wb CHAR(1) NOT NULL,
  expires_at INT UNSIGNED NOT NULL DEFAULT 0,
  author VARCHAR(255) NOT NULL DEFAULT '',
  reason VARCHAR(255) NOT NULL DEFAULT '',
  created_at INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY entry (direction, account, address),
  KEY expires_at (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
