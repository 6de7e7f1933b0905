-- The daemons that share this database: one row for each policy process.

CREATE TABLE IF NOT EXISTS node (
  name VARCHAR(64) NOT NULL,
  process SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  version VARCHAR(32) NOT NULL DEFAULT '',
  started_at INT UNSIGNED NOT NULL DEFAULT 0,
  seen_at INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (name, process)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
