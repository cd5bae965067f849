DROP TABLE playlist_tracks;
DROP TABLE playlists;
