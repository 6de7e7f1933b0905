-- Keys of DKIM. private_key is sealed with the master key, which is not in the
-- database, and opens for its own domain and selector only.
--
-- made: not seen in the DNS; published: all name servers show the record;
-- active: signs; retiring: signed, and the record stays for mail that is under
-- way; revoked: the record says so. Of one domain and algorithm one key is
-- active, which active_algorithm sees to: it is NULL for all others.
--
-- n_absent counts how often in a row all name servers have said that there is
-- no such record; a failure to ask counts nothing.

CREATE TABLE IF NOT EXISTS dkim_key (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  domain VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  selector VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  algorithm ENUM('rsa', 'ed25519') NOT NULL,
  state ENUM('made', 'published', 'active', 'retiring', 'revoked') NOT NULL,
  active_algorithm TINYINT UNSIGNED
    AS (IF(state + 0 = 3, algorithm + 0, NULL)) PERSISTENT,
  private_key VARBINARY(8192) NOT NULL,
  record VARCHAR(1700) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  bits SMALLINT UNSIGNED NOT NULL,
  made_at INT UNSIGNED NOT NULL DEFAULT 0,
  published_at INT UNSIGNED NOT NULL DEFAULT 0,
  active_at INT UNSIGNED NOT NULL DEFAULT 0,
  retired_at INT UNSIGNED NOT NULL DEFAULT 0,
  revoked_at INT UNSIGNED NOT NULL DEFAULT 0,
  checked_at INT UNSIGNED NOT NULL DEFAULT 0,
  check_result VARCHAR(16) NOT NULL DEFAULT '',
  check_problem VARCHAR(255) NOT NULL DEFAULT '',
  n_absent TINYINT UNSIGNED NOT NULL DEFAULT 0,
  author VARCHAR(255) NOT NULL DEFAULT '',
  reason VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY name (domain, selector),
  UNIQUE KEY active (domain, active_algorithm),
  KEY domain_state (domain, state),
  KEY state_checked (state, checked_at),
  -- All that a look for keys that need attention reads of those that do not.
  KEY attention (state, active_at, check_result, domain, algorithm, bits)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
