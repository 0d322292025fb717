// Package sandbox is the contract between labd and whatever runs learners' stacks.
//
// A stack is what one learner gets for one lab: one or more nodes, each a machine of its own with a whole private
// Docker engine. A Driver makes, finds and destroys stacks; a Node is the only way into one. No type of any engine
// appears here, so a driver can stand on a local Docker engine, a remote one or a cluster.
//
// # Trust
//
// All that a Node returns was produced by a learner who is root in that node. It is untrusted: implementations bound
// it in size and time, and callers parse it as hostile input and never execute it.
//
// # Errors
//
// Methods return errors that wrap one of the sentinels below where one fits; test with errors.Is. A context's end
// always comes back as its own error.
//
// # Contract
//
// Package sandboxtest holds the suite that every driver passes. In short:
//   - Create either returns a working stack or leaves nothing behind, also when its context ends half way.
//   - Everything created carries the driver's labels, so List finds it after a restart of labd.
//   - Destroy is idempotent, and is the only thing that ends a stack: closing a Stack or the Driver leaves nodes running.
//   - Two stacks never reach each other, the host, link-local addresses or the internet, unless Spec.Internet allows the latter.
package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"strings"
	"time"
)

// Sentinel errors. Each names what the caller can do about it.
var (
	// ErrNotFound: no such stack, node, terminal or file. Asking again will not help.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable: the engine behind the driver does not answer. It may come back; try later.
	ErrUnavailable = errors.New("sandbox engine unavailable")
	// ErrNodeDown: the node ended (killed, out of memory) or its agent is gone. Node.Restart may bring it back.
	ErrNodeDown = errors.New("node is down")
	// ErrImageMissing: the spec names an image that the seed does not hold. The lab or the seed must change.
	ErrImageMissing = errors.New("image is not in the seed")
	// ErrCapacity: subnets, disk or memory for one more stack are used up. Try when another stack has ended.
	ErrCapacity = errors.New("no capacity for another stack")
	// ErrTooLarge: the answer passed the limit the caller gave.
	ErrTooLarge = errors.New("larger than the limit")
	// ErrInvalid: the spec or argument can never work.
	ErrInvalid = errors.New("invalid")
)

// DownReason says why a node went down, as far as the driver can tell.
type DownReason string

const (
	DownMemory DownReason = "memory" // it used up its memory limit
	DownEnded  DownReason = "ended"  // its first process ended or was killed
)

// NodeDownError is an ErrNodeDown that knows which node and why. Drivers return it where they can find out.
type NodeDownError struct {
	Node   string
	Reason DownReason
	Err    error // how it was noticed; may be nil
}

func (e *NodeDownError) Error() string {
	why := "it ended"
	if e.Reason == DownMemory {
		why = "it used up its memory"
	}
	if e.Err != nil {
		return "node " + e.Node + " is down, " + why + ": " + e.Err.Error()
	}
	return "node " + e.Node + " is down, " + why
}

// Is makes every NodeDownError an ErrNodeDown.
func (e *NodeDownError) Is(target error) bool { return target == ErrNodeDown }

func (e *NodeDownError) Unwrap() error { return e.Err }

// Profile says how a driver separates nodes from the host, for example by a user-space kernel or a virtual machine.
// Package sandbox knows no profile by name: callers decide by the fields.
type Profile struct {
	Name     string   // as written in lab.toml, for example "gvisor"
	Fidelity Fidelity // how much of Linux works in a node
	// SharesKernel is set when nodes use the host's kernel. Then a learner can become root on the host, so only trusted
	// learners may use such nodes.
	SharesKernel bool
	Reason       string // one or two sentences for the operator: what the profile gives and what it costs
}

// Fidelity is how much of Linux works in a node.
type Fidelity string

const (
	FidelityFull Fidelity = "full" // everything
	FidelityMost Fidelity = "most" // what most labs need; labs that need more must ask for full fidelity
)

// Limits bound one node. Zero means the driver's default, never "unlimited".
type Limits struct {
	MemoryBytes int64   // RAM of the whole node
	CPUs        float64 // cores, for example 1.5
	PIDs        int64   // processes and threads
	DiskBytes   int64   // all that the node can write
}

// NodeSpec describes one node.
type NodeSpec struct {
	Name   string   // DNS label; unique in the stack
	Images []string // images its engine must have, as repository:tag; all must be in the seed
	Limits Limits
	Env    map[string]string // environment of shells and commands; Node.SetEnv adds to it later
}

// Spec describes a stack.
type Spec struct {
	// ID is chosen by the caller: 1-40 of [a-z0-9-], unique among the driver's stacks. It belongs to the stack alone. A
	// caller that prepares stacks in advance takes one from NewID, records it before Create, and keeps elsewhere who uses
	// the stack.
	ID       string
	Nodes    []NodeSpec
	Internet bool              // nodes get a route outward
	Labels   map[string]string // returned by List; fixed at Create, so nothing that changes later belongs here
}

// Info is what List knows of a stack without touching its nodes.
type Info struct {
	ID      string
	Labels  map[string]string
	Created time.Time
	// Broken is set when parts are missing, as after a crash in Create: only Destroy makes sense.
	Broken bool
}

// Driver makes and finds stacks. Methods may be called concurrently; calls about one stack must not overlap Destroy.
type Driver interface {
	// Create returns when every node's agent answers and shells can be opened. Node engines may still be starting. If it
	// fails, the stack is nil and nothing is left of it.
	Create(ctx context.Context, spec Spec) (Stack, error)
	// Open connects to a stack that exists, as after a restart of labd. ErrNotFound if it doesn't or is broken.
	Open(ctx context.Context, id string) (Stack, error)
	// List returns all stacks of this driver, also broken ones.
	List(ctx context.Context) ([]Info, error)
	// Destroy removes all that belongs to id: containers, networks, disks, mounts. Nil if there is nothing.
	Destroy(ctx context.Context, id string) error
	// Ready returns nil when Create could work now, else why not (wraps ErrUnavailable or ErrImageMissing).
	Ready(ctx context.Context) error
	// Profile returns the isolation profile of the stacks that Create makes. It does not change.
	Profile() Profile
	// Images lists what the seed holds, as repository:tag, sorted.
	Images(ctx context.Context) ([]string, error)
	// Close lets go of all connections and waits for the driver's goroutines. Stacks keep running.
	Close() error
}

// NewID returns a new stack id. It is random, so ids of several labd processes don't collide.
func NewID() string { return strings.ToLower(rand.Text()) }

// Stack is a live connection to one stack.
type Stack interface {
	ID() string
	// Nodes returns the nodes in the order of the spec.
	Nodes() []Node
	// Close drops the connections; the nodes and their shells keep running.
	Close() error
}

// Node is one machine of a stack. After its agent's connection broke, the next call connects again.
type Node interface {
	Name() string

	// Ping returns nil when the node's agent answers. Otherwise its error tells the states of a node apart: a
	// NodeDownError or other ErrNodeDown (Restart may help), ErrNotFound (the node was destroyed), ErrUnavailable (the
	// engine behind the driver does not answer, the node may run). Each node is asked for itself: one that is down does
	// not affect the others of its stack.
	Ping(ctx context.Context) error

	// SetEnv sets environment variables for shells and commands that start later; shells that run keep theirs. They
	// take precedence over NodeSpec.Env and replace those of an earlier SetEnv. They last as long as the stack: a
	// restart of the node or of labd keeps them. After an error the old or the new ones are set.
	SetEnv(ctx context.Context, env map[string]string) error

	// Dial connects from inside the node: network "tcp" with host:port as the node sees it, or "unix" with a path.
	// The node's Docker engine is ("unix", "/var/run/docker.sock").
	Dial(ctx context.Context, network, address string) (net.Conn, error)

	// Exec runs a command to its end. A non-zero exit is no error. Output past Command.MaxOutput is dropped.
	// When ctx ends, the command and its children are killed.
	Exec(ctx context.Context, cmd Command) (Result, error)

	// ReadFile returns a regular file's content. ErrTooLarge if over limit bytes, ErrNotFound if absent.
	ReadFile(ctx context.Context, path string, limit int64) ([]byte, error)
	// WriteFile replaces path atomically; missing parent directories are made. mode is the permission bits.
	WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode) error

	// OpenTerminal starts a login shell on a PTY under the caller's id, or finds the one that already runs under it.
	OpenTerminal(ctx context.Context, spec TerminalSpec) error
	// Terminals lists the ids of terminals whose shell runs, oldest first.
	Terminals(ctx context.Context) ([]string, error)
	// Attach joins a terminal. from is the sequence number of the first byte wanted; -1 means "the last scrollback".
	// Output before the scrollback's start is lost: Attachment.Start tells what came first.
	Attach(ctx context.Context, id string, from int64, size Size) (Attachment, error)
	// CloseTerminal ends the shell (SIGHUP, then SIGKILL). Nil if it is gone.
	CloseTerminal(ctx context.Context, id string) error

	// Watch sends an Event for each change worth looking at: bursts are coalesced, so an event means "look again",
	// not "this happened". The channel closes when ctx ends or the agent is lost; call Watch again then.
	Watch(ctx context.Context) (<-chan Event, error)

	// Restart brings a node back that went down; its disk is kept, its processes are gone. It returns when the agent
	// answers. During another Restart or a Reset of the node it only waits for that one.
	Restart(ctx context.Context) error

	// Reset makes the node as Create had made it: a fresh disk of the same size, no files, containers or shells of the
	// learner. The stack and the variables of SetEnv stay. It returns when the agent answers. To others the node goes
	// down and comes back. After an error the node may be down; Restart brings it back with the old or the fresh disk.
	Reset(ctx context.Context) error

	// RestoreImages puts the images of the seed back into the node's engine, where they were removed, and gives them
	// their names again. The learner's own images, containers and volumes stay. The engine is restarted for it: its
	// containers are stopped, and those that ran are started again. It returns when the engine answers.
	RestoreImages(ctx context.Context) error
}

// Command is a program to run in a node.
type Command struct {
	Args      []string          // Args[0] is looked up in PATH
	Env       map[string]string // added to the node's environment
	Dir       string            // "" is the shells' home
	Stdin     []byte
	MaxOutput int64 // bytes kept of stdout and stderr each; 0 means 64 KiB
}

// Result is how a command ended.
type Result struct {
	ExitCode  int // 128+n if killed by signal n
	Stdout    []byte
	Stderr    []byte
	Truncated bool // some output was dropped
}

// Size is a terminal's size in cells.
type Size struct{ Cols, Rows uint16 }

// MaxTerminals is how many terminals a node holds. OpenTerminal of one more is an ErrCapacity.
const MaxTerminals = 32

// What Attachment.Run takes; more is an ErrInvalid.
const (
	MaxRunID   = 100      // bytes of an id
	MaxRunText = 32 << 10 // bytes of text
)

// TerminalSpec describes a shell to start.
type TerminalSpec struct {
	ID   string // 1-40 of [a-z0-9-], unique in the node
	Size Size
}

// Attachment is one reader and writer of a terminal.
//
// Read gives raw output bytes in order. A reader that stops reading stops the shell's output: nothing is dropped and
// nothing grows. Read returns io.EOF once the shell has ended and all its output was read. One goroutine may Read while
// one other writes.
type Attachment interface {
	// Start is the sequence number of the first byte that Read gives.
	Start() int64
	// End is the sequence number up to which output is replayed history: queries in it were answered before.
	End() int64
	Read(p []byte) (int, error)
	// Write sends input bytes, in order, blocking while the shell does not take them.
	Write(p []byte) (int, error)
	// Run types text as input unless a Run with the same id was seen by this terminal before (the last 256 are remembered).
	// It reports whether the text was typed.
	Run(id, text string) (bool, error)
	Resize(Size) error
	Close() error
}

// EventKind says what changed.
type EventKind string

const (
	EngineUp     EventKind = "engine-up"     // the node's Docker engine answers
	EngineDown   EventKind = "engine-down"   // it stopped answering; the agent restarts it
	EngineChange EventKind = "engine-change" // containers, images, networks or volumes changed
	ShellPrompt  EventKind = "shell-prompt"  // a command in some shell finished
)

// Event is a hint to look at the node again.
type Event struct {
	Kind EventKind
}
