-- What the daemon that policyd runs beside has answered, for "policyctl
-- parallel"; empty in the rows of policyd's own answers.

ALTER TABLE decision
  ADD COLUMN IF NOT EXISTS old_reply VARCHAR(512) NOT NULL DEFAULT '';
