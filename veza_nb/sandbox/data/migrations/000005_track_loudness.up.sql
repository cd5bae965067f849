ALTER TABLE tracks ADD COLUMN loudness real;
