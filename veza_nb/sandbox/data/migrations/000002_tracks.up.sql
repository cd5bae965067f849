CREATE TABLE tracks (
    id bigserial PRIMARY KEY,
    owner_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title text NOT NULL,
    artist text NOT NULL,
    seconds integer NOT NULL CHECK (seconds > 0)
);
CREATE INDEX tracks_by_owner ON tracks (owner_id);
