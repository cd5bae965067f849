-- What was measured is lost with the column; it can be measured again.
ALTER TABLE tracks DROP COLUMN loudness;
