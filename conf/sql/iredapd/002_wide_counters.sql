-- Counters that cannot overflow: MEDIUMINT ended at 16,777,215 messages and
-- INT at 4 GiB, after which every further message was an SQL error.
-- Only readers besides policyd exist, and they read any width.

ALTER TABLE throttle_tracking
  MODIFY COLUMN cur_msgs BIGINT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY COLUMN cur_quota BIGINT UNSIGNED NOT NULL DEFAULT 0;
