// Package session is the life of learners' sessions: a session is one learner's use of one lab on a stack of its own.
//
// # Life
//
//	creating ── ready ⇄ recovering
//	    │         │         │
//	    └────┬────┴─────────┘
//	       ending ── ended        or failed, where something went wrong that the learner should read
//
// Create answers at once with a session in state creating; its stack is made behind it. In ready, shells open and steps
// are checked. A node that goes down makes it recovering until the node is back. Whatever ends a session, its stack is
// destroyed, and destroying is retried until it succeeds, also over restarts of labd. A session counts
// against the class limit until nothing of it is left.
//
// # Steps
//
// Steps are done in order. A step opens once its setup scripts ran; then it is checked whenever the stack reports that
// something may have changed, and again after some time, because what was started may need a while to answer. See
// steps.go.
//
// # Restarts
//
// Closing the Manager leaves stacks and shells running. Start finds them again: sessions in the store whose stack exists
// go on, those without one fail, and stacks that no session knows are destroyed.
//
// # Goroutines
//
// Each session has one goroutine that owns its life (run), and while it is served one for its steps and one for each
// node. All are waited for by Manager.Close. An idle session runs no timer but its expiry.
package session

import (
	"context"
	"encoding/json"
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
	setupTimeout   = 2 * time.Minute  // one setup script
	pingTimeout    = 10 * time.Second // to find out whether a node is there
	storeTimeout   = 10 * time.Second // one write to the store that must happen whoever asked has gone
	shellTimeout   = 30 * time.Second // to open, list or close shells
	restartTimeout = 3 * time.Minute  // to bring a node back

	maxSetupOutput = 500 // bytes of a failed setup script's output that are logged
	maxAttached    = 4   // terminal connections of one session, for each shell that it may have
	maxSubscribers = 32  // readers of one session's events
	maxChecks      = 32  // checks of all sessions at the same time
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

// EngineState is what the Docker engines in the nodes do.
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
	State     State
	Engine    EngineState
	Error     *fault.Error // in state Failed
	Notice    string       // why a node was brought back, "" if none was
	Created   time.Time
	Expires   time.Time
	Warn      time.Time
	Nodes     []string
	Terminals []TerminalView
	Variables map[string]string
	Steps     []StepView
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

// Store is what the Manager keeps over restarts. *store.DB is one; its package says what another must keep.
type Store interface {
	AddSession(ctx context.Context, s store.Session) error
	SetState(ctx context.Context, id, state, errorCode, errorMessage string, ended time.Time) error
	SetExpires(ctx context.Context, id string, at time.Time) error
	SetLang(ctx context.Context, id, lang string) error
	OpenStep(ctx context.Context, session, anchor string, at time.Time) error
	FinishStep(ctx context.Context, session, anchor string, at time.Time, facts map[string]json.RawMessage) error
	Session(ctx context.Context, id string) (store.Session, error)
	Alive(ctx context.Context) ([]store.Session, error)
	Progress(ctx context.Context, learner int64) ([]store.Progress, error)
	Forget(ctx context.Context, before time.Time) error
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
	Store Store
	Labs  map[string]*lab.Lab
	Check Checker
	// Connect makes the driver. It is called until it succeeds; its error is why labs are off.
	Connect  func(ctx context.Context) (sandbox.Driver, error)
	Limits   Limits
	Internet bool // labs that ask for the internet get it
	Full     bool // the isolation is one on which labs run that need what gVisor lacks
	Log      *slog.Logger
}

// Status is what the Manager can do now.
type Status struct {
	Ready    bool
	Reason   string // a sentence for people when not
	Sessions int
	Limit    int
}
