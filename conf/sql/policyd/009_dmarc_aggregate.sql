-- What was seen of messages in the name of domains with a DMARC record, for
-- "policyctl dmarc report": a row for all messages of a day of which there is
-- the same to say, and how many they are.
--
-- row_key is a hash of all that the row says. day is when the day began (UTC),
-- in seconds since 1970. dkim has a line "RESULT DOMAIN SELECTOR" for each
-- signature.

CREATE TABLE IF NOT EXISTS dmarc_aggregate (
  row_key CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  day INT UNSIGNED NOT NULL,
  policy_domain VARCHAR(255) NOT NULL,
  record TEXT NOT NULL,
  source_ip VARCHAR(45) NOT NULL,
  header_from VARCHAR(255) NOT NULL,
  envelope_from VARCHAR(255) NOT NULL DEFAULT '',
  envelope_to VARCHAR(255) NOT NULL DEFAULT '',
  disposition VARCHAR(10) NOT NULL,
  dkim_aligned TINYINT(1) NOT NULL DEFAULT 0,
  spf_aligned TINYINT(1) NOT NULL DEFAULT 0,
  override_type VARCHAR(20) NOT NULL DEFAULT '',
  override_comment VARCHAR(255) NOT NULL DEFAULT '',
  spf_result VARCHAR(10) NOT NULL DEFAULT '',
  spf_domain VARCHAR(255) NOT NULL DEFAULT '',
  spf_is_helo TINYINT(1) NOT NULL DEFAULT 0,
  dkim TEXT NOT NULL,
  n BIGINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (row_key),
  KEY day_domain (day, policy_domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
