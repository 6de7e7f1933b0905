-- What differs from policyd.conf for one account ('@.' is everyone), and who
-- changed it, when and why.

CREATE TABLE IF NOT EXISTS setting (
  account VARCHAR(255) NOT NULL,
  name VARCHAR(64) NOT NULL,
  value VARCHAR(255) NOT NULL,
  changed_at INT UNSIGNED NOT NULL DEFAULT 0,
  changed_by VARCHAR(255) NOT NULL DEFAULT '',
  reason VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (account, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
