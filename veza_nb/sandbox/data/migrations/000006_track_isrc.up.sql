ALTER TABLE tracks ADD COLUMN isrc text;
CREATE UNIQUE INDEX tracks_by_isrc ON tracks (isrc) WHERE isrc IS NOT NULL;
