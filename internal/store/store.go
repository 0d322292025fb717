// Package store is the port to the database: what must outlive labd. That is learners, their sessions, the steps done in
// them, what checks remembered, and each learner's progress.
//
// Store is implemented by package sqlite. Package storetest holds one test suite that every implementation passes; a
// further database needs a package with a Store and a test that runs the suite.
//
// # Contract
//
//   - Each method is one transaction: after a crash it has happened completely or not at all.
//   - What a method returned without an error is durable.
//   - A row that does not exist is an ErrNotFound. A second row under the same key is an ErrExists.
//   - Times are kept to the millisecond.
//
// # Leases
//
// Several labd processes may use one database. A session has at most one owner: the process that may use its stack and
// change its rows. Ownership is a lease. It ends by itself unless its owner renews it, so a process that was killed does
// not keep its sessions for ever. The clock is the store's, not the caller's: the clocks of two machines differ.
//
//   - AddSession takes the lease of a new session.
//   - Claim renews all leases of an owner, and takes over those of others that have expired.
//   - Renew renews one lease and is the test whether it is still held.
//   - Release gives up all leases of an owner.
//   - A method that takes a Lease changes nothing and returns ErrLeaseLost when another owner holds the session. The
//     owner whose lease expired still owns the session until another one claims it.
//
// Each of these is one statement of the database, so two processes never both succeed.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

var (
	// ErrNotFound means that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists means that there is a row under that key already.
	ErrExists = errors.New("already exists")
	// ErrLeaseLost means that another owner has the session now. The caller must not touch its stack any more.
	ErrLeaseLost = errors.New("another labd owns this session now")
)

// Role is what a learner may do.
type Role string

const (
	// RoleLearner is everybody's role until somebody gives them another one.
	RoleLearner Role = "learner"
	// RoleInstructor is for people who teach a class.
	RoleInstructor Role = "instructor"
)

// Learner is a person as far as labd knows them.
type Learner struct {
	ID    int64
	Name  string // "" for an anonymous learner, who is only known by a cookie
	Role  Role
	Class string // "" for a learner without a class
}

// Lease is the right of one labd to change one session.
type Lease struct {
	Session string // the session's ID
	Owner   string // names a labd; never ""
}

// Session is one learner's use of one lab.
type Session struct {
	ID           string
	Owner        string // the labd that took the lease last
	Learner      int64
	Lab          string
	Lang         string
	State        string // as package session names it
	ErrorCode    string
	ErrorMessage string
	Stack        string // ID of the stack, which has a life of its own; "" if there was none yet
	ReplayTo     string // anchor of the last step that is still to be replayed on a new stack; "" for none
	Variables    map[string]string
	Created      time.Time
	Expires      time.Time
	Ended        time.Time // zero while something of the session may be left

	Steps []Step                     // those that were opened, in no order
	Facts map[string]json.RawMessage // by name
}

// Step is a step that was opened in a session.
type Step struct {
	Anchor string
	Opened time.Time
	Done   time.Time // zero until it is done
}

// Progress is a step that a learner finished at some time, in whichever session.
type Progress struct {
	Lab    string
	Anchor string
	Done   time.Time
}

// Store is the database. The package comment states the contract.
type Store interface {
	// AddLearner stores a new anonymous learner. ErrExists if the hash is taken.
	AddLearner(ctx context.Context, tokenHash []byte, now time.Time) (Learner, error)
	// Learner returns the learner with that hash. ErrNotFound.
	Learner(ctx context.Context, tokenHash []byte) (Learner, error)
	// SetLearner stores name, role and class of the learner with l.ID. ErrNotFound.
	SetLearner(ctx context.Context, l Learner) error

	// AddSession stores a new session without its steps and facts. s.Owner gets the lease for ttl. ErrExists, or
	// ErrNotFound for an unknown learner.
	AddSession(ctx context.Context, s Session, ttl time.Duration) error
	// Claim gives owner, for ttl, the lease of every session that has not ended and that it owns already, that nobody
	// ever owned, or whose lease has expired. Sessions of others are taken only if their stack is one of stacks, or if
	// they have none: an owner that can't reach a stack can't serve its session. It returns the IDs of all sessions
	// that owner holds now.
	Claim(ctx context.Context, owner string, ttl time.Duration, stacks []string) ([]string, error)
	// Renew extends the lease to ttl from now. ErrLeaseLost, ErrNotFound (also: the session has ended).
	Renew(ctx context.Context, l Lease, ttl time.Duration) error
	// Release makes all leases of owner expire at once. It stays the owner until another one claims its sessions.
	Release(ctx context.Context, owner string) error
	// Stacks returns the IDs of the stacks of all sessions that have not ended, whoever owns them.
	Stacks(ctx context.Context) ([]string, error)

	// SetState stores a session's state and, for a failed one, why. A non-zero ended says that nothing of it is left.
	SetState(ctx context.Context, l Lease, state, errorCode, errorMessage string, ended time.Time) error
	// SetExpires stores a session's new end.
	SetExpires(ctx context.Context, l Lease, at time.Time) error
	// SetLang stores the language that a session's learner reads.
	SetLang(ctx context.Context, l Lease, lang string) error
	// Restart makes a session begin again on another stack: its steps and facts are deleted.
	Restart(ctx context.Context, l Lease, stack, replayTo string) error
	// SetReplayTo stores which steps are still to be replayed.
	SetReplayTo(ctx context.Context, l Lease, anchor string) error
	// OpenStep stores that a step's setup ran. A later call keeps the first time.
	OpenStep(ctx context.Context, l Lease, anchor string, at time.Time) error
	// FinishStep stores together that an opened step is done, what its check remembered, and the learner's progress. A
	// step that was done keeps its first time. ErrNotFound if the step was never opened.
	FinishStep(ctx context.Context, l Lease, anchor string, at time.Time, facts map[string]json.RawMessage) error

	// Session returns one session, alive or ended. ErrNotFound.
	Session(ctx context.Context, id string) (Session, error)
	// Progress returns everything that a learner ever finished, by lab and time.
	Progress(ctx context.Context, learner int64) ([]Progress, error)
	// Forget deletes sessions that ended before the time, those that nobody has owned or could have used since then, and
	// learners made before it who have no name, session or progress: most visitors never start a lab.
	Forget(ctx context.Context, before time.Time) error

	// Close closes the database.
	Close() error
}
