-- When an entry was added by itself, because somebody wrote to that address:
-- so that it need not stay for ever. 0 is "not known", as for every entry
-- that an administrator or iRedAPD made; those are never removed for age.

ALTER TABLE greylisting_whitelists
  ADD COLUMN IF NOT EXISTS created_at INT UNSIGNED NOT NULL DEFAULT 0;
