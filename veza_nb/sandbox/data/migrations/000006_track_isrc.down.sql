DROP INDEX tracks_by_isrc;
ALTER TABLE tracks DROP COLUMN isrc;
