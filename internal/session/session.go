// Package session manages sessions. A session is one learner's use of one lab, on a stack of its own.
//
// # Life
//
//	creating ── ready ── ending ── ended
//	    │         │         │
//	    └─────────┴─────────┴── failed: it ended because of an error that the learner should read
//
// Create returns at once with a session in state creating, and its stack is created in the background. In state ready,
// shells can be opened and steps are checked. When a session ends, for whatever reason, its stack is destroyed. This is
// retried until it succeeds, also after restarts of labd. A session counts against the class limit until its stack is
// destroyed. States only move forward; transitions.go has the tables.
//
// # Stacks and nodes
//
// A stack has an ID of its own. It contains nothing of a learner until it is handed over to a session, so stacks can be
// created in advance. A session has one stack at a time, and a reset replaces it. Each node has a state of its own: a
// node that goes down is restarted, and until then only its own terminals are blocked. State in a View is a summary:
// "creating" while a stack is created, "recovering" while a node is down.
//
// # Steps
//
// Package steps leads the learner through the steps on one stack. A reset starts it again on another one.
//
// # Restarts and shared databases
//
// Stacks and shells keep running while labd does not. Start resumes the stored sessions whose stack exists; the others
// fail. Stacks that belong to no session are destroyed. Several labd processes may share one database. A lease (see
// package store) makes one of them the owner of a session. A Manager takes over sessions whose lease has expired, if its
// driver has their stacks, and stops touching a session that another labd owns. The limits are those of one Manager.
//
// # Goroutines
//
// Each session has one goroutine (run), and while it has a stack one for its steps (steps.Guide) and one for each node
// (watcher). Manager.Close waits for all of them. The only timer of an idle session is the one for its end.
package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/steps"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Limits on what one session may cost labd.
const (
	createTimeout  = 5 * time.Minute  // to create a stack, after waiting for its turn
	destroyTimeout = 2 * time.Minute  // for one attempt to destroy a stack
	restoreTimeout = 2 * time.Minute  // to restore the images of a node
	pingTimeout    = 10 * time.Second // for a node to answer a ping
	storeTimeout   = 10 * time.Second // for a write to the store that must happen even if the request was cancelled
	shellTimeout   = 30 * time.Second // to open, list or close shells
	restartTimeout = 3 * time.Minute  // to restart a node

	maxAttached    = 4  // connections per shell that a session may have
	maxSubscribers = 32 // readers of one session's events
	maxChecks      = 32 // checks of all sessions at the same time
)

// State is the state of a session.
type State string

const (
	Creating   State = "creating"
	Ready      State = "ready"
	Recovering State = "recovering"
	Ending     State = "ending"
	Ended      State = "ended"
	Failed     State = "failed"
)

// NodeState is the state of a node.
type NodeState string

const (
	NodeUp   NodeState = "up"
	NodeDown NodeState = "down" // it is being restarted, or does not answer
)

// EngineState is the state of the Docker engine in a node.
type EngineState string

const (
	EngineStarting EngineState = "starting"
	EngineReady    EngineState = "ready"
	EngineDown     EngineState = "down"
)

// What a View says about steps is what package steps says.
type (
	StepState  = steps.State
	StepView   = steps.View
	ReplayView = steps.Replay
)

const (
	Locked = steps.Locked
	Open   = steps.Open
	Done   = steps.Done
)

// View is a snapshot of a session. It shares no memory with the session.
type View struct {
	ID        string
	Lab       string
	Lang      string
	State     State        // summary of the session, its stack and its nodes
	Engine    EngineState  // the worst state of an engine
	Error     *fault.Error // in state Failed
	Notice    string       // the Notice of a node, "" if none has one
	Created   time.Time
	Expires   time.Time
	Warn      time.Time
	Nodes     []NodeView
	Terminals []TerminalView
	Variables map[string]string
	Steps     []StepView
	Replay    *ReplayView // nil if nothing is or was replayed on the present stack
}

// NodeView is a node of a View.
type NodeView struct {
	Name   string
	State  NodeState
	Engine EngineState
	Notice string // why the node was restarted last: "memory" or "ended"; "" if it never was
}

// TerminalView is a shell that runs.
type TerminalView struct {
	ID   string
	Node string
}

// Limits are the limits of this labd, of each learner and of each session.
type Limits struct {
	Sessions         int // of all learners
	PerLearner       int
	Starting         int // stacks that are created at the same time
	ShellsPerSession int
	TTL              time.Duration
	Max              time.Duration
	WarnBefore       time.Duration
	Node             sandbox.Limits // of a node; a lab may ask for less
}

// Config is what a Manager needs.
type Config struct {
	Store store.Store
	Owner string // names this labd in the store, the same after a restart; no other labd on that database has it
	Labs  map[string]*lab.Lab
	Check steps.Checker
	// Connect makes the driver. It is called until it succeeds; its error is why labs are off.
	Connect  func(ctx context.Context) (sandbox.Driver, error)
	Limits   Limits
	Internet bool // labs that ask for the internet get it
	Full     bool // the isolation is one on which labs run that need what gVisor lacks
	Log      *slog.Logger

	LeaseTTL time.Duration // after which another labd may take over the sessions of one that died; 0 means 30 s
	Settle   time.Duration // for a check to pass after a solution was replayed; 0 means labrun.Settle
}

// Status is what the Manager can do now.
type Status struct {
	Ready    bool
	Reason   string // a sentence for people when not
	Detail   string // of the fault that Reason is from
	Sessions int
	Limit    int
}
