-- The white- and blacklists of the tests and of ./quickstart, with the columns
-- of Amavisd's database as iRedMail makes it.

CREATE TABLE users (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  priority INT NOT NULL DEFAULT 7,
  policy_id INT UNSIGNED NOT NULL DEFAULT 1,
  email VARBINARY(255) NOT NULL,
  fullname VARCHAR(255) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY email (email),
  KEY policy_id (policy_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE mailaddr (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  priority INT NOT NULL DEFAULT 7,
  email VARBINARY(255) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY email (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE wblist (
  rid INT UNSIGNED NOT NULL,
  sid INT UNSIGNED NOT NULL,
  wb VARCHAR(10) NOT NULL,
  PRIMARY KEY (rid, sid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE outbound_wblist (
  rid INT UNSIGNED NOT NULL,
  sid INT UNSIGNED NOT NULL,
  wb VARCHAR(10) NOT NULL,
  PRIMARY KEY (rid, sid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE policy (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  policy_name VARCHAR(255) NOT NULL DEFAULT '',
  spam_lover CHAR(1) DEFAULT NULL,
  spam_tag2_level FLOAT DEFAULT NULL,
  spam_kill_level FLOAT DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY policy_name (policy_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

INSERT INTO users (priority, policy_id, email) VALUES (0, 0, '@.');
