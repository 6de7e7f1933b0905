-- What is done by one daemon at a time, and when it was last done to its end.
--
-- Whoever works extends held_until as it goes, so that the lease of a daemon
-- that died runs out by itself. All times are by the clock of the server,
-- which is the same for every daemon.

CREATE TABLE IF NOT EXISTS lease (
  name VARCHAR(64) NOT NULL,
  holder VARCHAR(128) NOT NULL DEFAULT '',
  held_until INT UNSIGNED NOT NULL DEFAULT 0,
  finished_at INT UNSIGNED NOT NULL DEFAULT 0,
  node VARCHAR(64) NOT NULL DEFAULT '',
  n_rows BIGINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
