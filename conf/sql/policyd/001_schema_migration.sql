-- Which numbered files have been applied to which database.

CREATE TABLE IF NOT EXISTS schema_migration (
  database_name VARCHAR(64) NOT NULL,
  number SMALLINT UNSIGNED NOT NULL,
  name VARCHAR(128) NOT NULL,
  applied_at INT UNSIGNED NOT NULL,
  PRIMARY KEY (database_name, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
