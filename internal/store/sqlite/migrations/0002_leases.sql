-- A stack has an ID of its own. Until now it was the session's.
ALTER TABLE sessions ADD COLUMN stack TEXT NOT NULL DEFAULT '';
UPDATE sessions SET stack = id;

-- The labd that owns the session, '' for none, and until when unless it renews the lease.
ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0;

-- Anchor of the last step that is still to be replayed on a new stack.
ALTER TABLE sessions ADD COLUMN replay_to TEXT NOT NULL DEFAULT '';

-- A learner has a name or none (then only the cookie is known), and a class or none.
ALTER TABLE learners ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE learners ADD COLUMN role TEXT NOT NULL DEFAULT 'learner' CHECK (role IN ('learner', 'instructor'));
ALTER TABLE learners ADD COLUMN class TEXT NOT NULL DEFAULT '';
