// Package session is the life of learners' sessions: a session is one learner's use of one lab on a stack of its own.
//
// # Life
//
//	creating ── ready ── ending ── ended
//	    │         │         │
//	    └─────────┴─────────┴── failed, where something went wrong that the learner should read
//
// Create answers at once with a session in state creating; its stack is made behind it. In ready, shells open and steps
// are checked. Whatever ends a session, its stack is destroyed, and destroying is retried until it succeeds, also over
// restarts of labd. A session counts against the class limit until nothing of it is left. States only move forward, see
// transitions.go.
//
// # Stacks and nodes
//
// A stack has an ID of its own, and nothing in it belongs to a learner until it is handed over. A session has one stack
// at a time; a reset replaces it. Each node has a state of its own: one that goes down is restarted, and meanwhile only
// its own terminals are blocked. The state in a View sums this up: "creating" while a stack is made, "recovering" while a
// node is down.
//
// # Steps
//
// Steps are done in order. A step opens once its setup scripts ran; then it is checked whenever the stack reports that
// something may have changed, and again after some time, because what was started may need a while to answer. See
// steps.go. On a new stack, the steps that the learner finished earlier are replayed first. See replay.go.
//
// # Restarts, and several labds
//
// Closing the Manager leaves stacks and shells running. Start finds them again: sessions in the store whose stack exists
// go on, those without one fail, and stacks that belong to no session are destroyed. Several Managers may share one
// database: each session is owned by one of them, by a lease (see package store). A Manager takes over the sessions of
// another one whose leases have expired, if its driver has their stacks, and leaves a session alone once another Manager
// owns it. Limits hold for each Manager.
//
// # Goroutines
//
// Each session has one goroutine that owns its life (run), and while it is served one for its steps and one for each
// node. All are waited for by Manager.Close. An idle session runs no timer but its expiry.
package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Limits on what one session may cost labd.
const (
	createTimeout  = 5 * time.Minute  // to make a stack, without waiting for its turn
	destroyTimeout = 2 * time.Minute  // one attempt to destroy one
	engineTimeout  = 2 * time.Minute  // for the engines of a new stack to answer, before steps are replayed
	filesTimeout   = 2 * time.Minute  // to install the lab's files
	restoreTimeout = 2 * time.Minute  // to restore the images of a node
	pingTimeout    = 10 * time.Second // to find out whether a node is there
	storeTimeout   = 10 * time.Second // one write to the store that must happen whoever asked has gone
	shellTimeout   = 30 * time.Second // to open, list or close shells
	restartTimeout = 3 * time.Minute  // to restart a node

	maxScriptOutput = 500 // bytes of a failed script's output that are logged
	maxAttached     = 4   // terminal connections of one session, for each shell that it may have
	maxSubscribers  = 32  // readers of one session's events
	maxChecks       = 32  // checks of all sessions at the same time
)

// State is where a session is in its life.
type State string

const (
	Creating   State = "creating"
	Ready      State = "ready"
	Recovering State = "recovering"
	Ending     State = "ending"
	Ended      State = "ended"
	Failed     State = "failed"
)

// NodeState is whether a node can be used.
type NodeState string

const (
	NodeUp   NodeState = "up"
	NodeDown NodeState = "down" // it is being restarted, or does not answer
)

// EngineState is what the Docker engine of a node does.
type EngineState string

const (
	EngineStarting EngineState = "starting"
	EngineReady    EngineState = "ready"
	EngineDown     EngineState = "down"
)

// StepState is where a step is.
type StepState string

const (
	Locked StepState = "locked"
	Open   StepState = "open"
	Done   StepState = "done"
)

// View is a session at one moment. It shares nothing with the session.
type View struct {
	ID        string
	Lab       string
	Lang      string
	State     State        // sums up the session, its stack and its nodes
	Engine    EngineState  // of the node where it is worst
	Error     *fault.Error // in state Failed
	Notice    string       // of the node that has one, "" if none has
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
	Notice string // why it was restarted last: "memory" or "ended"; "" if it never was
}

// ReplayView says how far finished steps were replayed on a new stack.
type ReplayView struct {
	Step   string // anchor of the step that is replayed now, or whose replay failed
	Done   int    // steps replayed so far
	Total  int    // steps to be replayed
	To     string // anchor of the step that the learner then goes on with, "" if all are done
	Failed bool   // the learner goes on with Step instead
}

// TerminalView is a shell that runs.
type TerminalView struct {
	ID   string
	Node string
}

// StepView is a step of a View.
type StepView struct {
	Anchor string
	Title  string // in the session's language
	State  StepState
	Done   time.Time     // zero until it is
	Report *check.Report // of the open step, once it was checked; read only
}

// Checker looks at a stack and says whether a step is done. *check.Runner is one.
type Checker interface {
	Run(ctx context.Context, in check.Input) (check.Report, error)
}

// Limits bound the class and each session.
type Limits struct {
	Sessions         int // of all learners
	PerLearner       int
	Starting         int // stacks made at the same time
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
	Check Checker
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
