-- Times are milliseconds since 1970 in UTC.

-- A learner is whoever holds the cookie; only a hash of it is kept.
CREATE TABLE learners (
    id         INTEGER PRIMARY KEY,
    token_hash BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- A session outlives its stack: ended_at is set when nothing of the stack is left.
CREATE TABLE sessions (
    id            TEXT    PRIMARY KEY,
    learner       INTEGER NOT NULL REFERENCES learners (id) ON DELETE CASCADE,
    lab           TEXT    NOT NULL,
    lang          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    error_code    TEXT    NOT NULL DEFAULT '',
    error_message TEXT    NOT NULL DEFAULT '',
    variables     TEXT    NOT NULL, -- JSON object
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    ended_at      INTEGER
) STRICT;
CREATE INDEX sessions_alive ON sessions (created_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_learner ON sessions (learner);

-- A step is here once it was opened in the session, that is, once its setup scripts ran.
CREATE TABLE steps (
    session   TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    anchor    TEXT    NOT NULL,
    opened_at INTEGER NOT NULL,
    done_at   INTEGER,
    PRIMARY KEY (session, anchor)
) STRICT, WITHOUT ROWID;

-- What checks remember for later steps of the same session.
CREATE TABLE facts (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL, -- JSON
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;

-- What a learner has ever finished: it stays when sessions are forgotten.
CREATE TABLE progress (
    learner INTEGER NOT NULL REFERENCES learners (id) ON DELETE CASCADE,
    lab     TEXT    NOT NULL,
    anchor  TEXT    NOT NULL,
    done_at INTEGER NOT NULL,
    PRIMARY KEY (learner, lab, anchor)
) STRICT, WITHOUT ROWID;
