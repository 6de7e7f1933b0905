-- What has expired is found without reading what has not, however much of
-- either there is.

ALTER TABLE greylisting_tracking
  ADD INDEX IF NOT EXISTS record_expired (record_expired);
