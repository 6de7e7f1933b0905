-- Written by the one statement that checks a limit and adds to its counter:
-- whether the message fitted. It lets the statement tell its answer row by
-- row (RETURNING), however many daemons count at once.

ALTER TABLE throttle_tracking
  ADD COLUMN IF NOT EXISTS admitted TINYINT(1) NOT NULL DEFAULT 1;
