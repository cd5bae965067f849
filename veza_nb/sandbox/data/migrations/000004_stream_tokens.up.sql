CREATE TABLE stream_tokens (
    token uuid PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX stream_tokens_by_expiry ON stream_tokens (expires_at);
