CREATE TABLE playlists (
    id bigserial PRIMARY KEY,
    owner_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name text NOT NULL
);
CREATE TABLE playlist_tracks (
    playlist_id bigint NOT NULL REFERENCES playlists (id) ON DELETE CASCADE,
    position integer NOT NULL,
    track_id bigint NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    PRIMARY KEY (playlist_id, position)
);
