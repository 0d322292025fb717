// Package sandbox is the contract between labd and the drivers that run learners' stacks.
//
// A stack is what one learner gets for one lab: one or more nodes. Each node is a machine of its
// own with a private Docker engine. A Driver creates, lists and destroys stacks. A Node is the only
// way into a node. No type of a particular engine appears here, so a driver can use a local Docker
// engine, a remote one or a cluster.
//
// # Trust
//
// Everything a Node returns was produced by a learner who is root in that node, so it is untrusted.
// Drivers bound it in size and time. Callers parse it as hostile input and never execute it.
//
// # Errors
//
// Methods return errors that wrap one of the sentinels below where one applies; test with
// errors.Is. When a context ends, its error is returned.
//
// # Contract
//
// Package sandboxtest contains the test suite that every driver must pass. In short:
//
//   - Create returns a working stack or leaves nothing behind, even if its context ends half way.
//   - Everything that a driver creates carries its labels, so List finds it after a restart of
//     labd.
//   - Destroy is idempotent, and nothing else ends a stack: closing a Stack or the Driver leaves
//     the nodes running.
//   - Two stacks never reach each other, the host or link-local addresses. They reach the internet
//     only if Spec.Internet is set.
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

// Sentinel errors. Each comment says what the caller can do.
var (
	// ErrNotFound: there is no such stack, node, terminal or file. Retrying does not help.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable: the engine behind the driver does not answer. Retry later.
	ErrUnavailable = errors.New("sandbox engine unavailable")
	// ErrNodeDown: the node has ended (killed, out of memory) or its agent does not answer.
	// Node.Restart may bring it back.
	ErrNodeDown = errors.New("node is down")
	// ErrImageMissing: the spec names an image that is not in the seed. Change the lab or the seed.
	ErrImageMissing = errors.New("image is not in the seed")
	// ErrCapacity: there are no subnets, disk or memory left for another stack. Retry after another
	// stack has ended.
	ErrCapacity = errors.New("no capacity for another stack")
	// ErrTooLarge: the result exceeds the caller's limit.
	ErrTooLarge = errors.New("larger than the limit")
	// ErrInvalid: the spec or argument is not valid and never will be.
	ErrInvalid = errors.New("invalid")
)

// DownReason says why a node is down, as far as the driver knows.
type DownReason string

const (
	DownMemory DownReason = "memory" // it used up its memory limit
	DownEnded  DownReason = "ended"  // its first process ended or was killed
)

// NodeDownError is an ErrNodeDown with the node's name and the reason. Drivers return it if they
// know these.
type NodeDownError struct {
	Node   string
	Reason DownReason
	Err    error // how it was detected; may be nil
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

// Is makes every NodeDownError match ErrNodeDown.
func (e *NodeDownError) Is(target error) bool { return target == ErrNodeDown }

func (e *NodeDownError) Unwrap() error { return e.Err }

// Profile describes how a driver isolates nodes from the host, for example with a user-space kernel
// or a virtual machine. Callers decide by the fields, never by the name.
type Profile struct {
	Name     string   // as written in lab.toml, for example "gvisor"
	Fidelity Fidelity // how much of Linux works in a node
	// SharesKernel is set when nodes use the host's kernel. Then a learner can become root on the
	// host, so only trusted learners may use such nodes.
	SharesKernel bool
	Reason       string // one or two sentences for the operator: what the profile gives and what it costs
}

// Fidelity is how much of Linux works in a node.
type Fidelity string

const (
	FidelityFull Fidelity = "full" // everything
	FidelityMost Fidelity = "most" // enough for most labs; a lab that needs more says so
)

// Limits are the resource limits of one node. Zero means the driver's default, never "unlimited".
type Limits struct {
	MemoryBytes int64   // RAM of the whole node
	CPUs        float64 // cores, for example 1.5
	PIDs        int64   // processes and threads
	DiskBytes   int64   // for everything that the node can write
}

// NodeSpec describes one node.
type NodeSpec struct {
	Name   string   // DNS label; unique in the stack
	Images []string // images that its engine must have, as repository:tag; each must be in the seed
	Limits Limits
	Env    map[string]string // environment of shells and commands; Node.SetEnv adds to it later
}

// Spec describes a stack.
type Spec struct {
	// ID is chosen by the caller: 1-40 of [a-z0-9-], unique among the driver's stacks. It
	// identifies the stack, not its user. To create stacks in advance, take an id from NewID, store
	// it before Create, and store separately who uses the stack.
	ID       string
	Nodes    []NodeSpec
	Internet bool              // nodes can reach the internet
	Labels   map[string]string // returned by List; they cannot change after Create
}

// Info is what List returns about a stack. List does not contact its nodes.
type Info struct {
	ID      string
	Labels  map[string]string
	Created time.Time
	// Broken is set if parts of the stack are missing, for example after a crash during Create.
	// Such a stack can only be destroyed.
	Broken bool
}

// Driver creates and finds stacks. Methods are safe for concurrent use, but no call for a stack may
// overlap Destroy of the same stack.
type Driver interface {
	// Create returns when every node's agent answers and shells can be opened. The nodes' Docker
	// engines may still be starting. On an error the stack is nil and nothing is left behind.
	Create(ctx context.Context, spec Spec) (Stack, error)
	// Open connects to an existing stack, for example after a restart of labd. ErrNotFound if there
	// is none or it is broken.
	Open(ctx context.Context, id string) (Stack, error)
	// List returns all stacks of this driver, including broken ones.
	List(ctx context.Context) ([]Info, error)
	// Destroy removes everything of the stack: containers, networks, disks, mounts. It returns nil
	// if there is nothing.
	Destroy(ctx context.Context, id string) error
	// Ready returns nil if Create can work now. Otherwise the error says why not and wraps
	// ErrUnavailable or ErrImageMissing.
	Ready(ctx context.Context) error
	// Profile returns the isolation profile of the stacks that Create makes. It never changes.
	Profile() Profile
	// Images returns the images in the seed, as repository:tag, sorted.
	Images(ctx context.Context) ([]string, error)
	// Close closes all connections and waits for the driver's goroutines. Stacks keep running.
	Close() error
}

// NewID returns a random stack id, so several labd processes can share a driver's engine.
func NewID() string { return strings.ToLower(rand.Text()) }

// Stack is a connection to one stack.
type Stack interface {
	ID() string
	// Nodes returns the nodes in the order of the spec.
	Nodes() []Node
	// Close closes the connections. The nodes and their shells keep running.
	Close() error
}

// Node is one machine of a stack. If the connection to its agent breaks, the next call reconnects.
type Node interface {
	Name() string

	// Ping returns nil if the node's agent answers. Otherwise the error tells the node's state:
	// ErrNodeDown, if possible as a NodeDownError (Restart may help), ErrNotFound (the node was
	// destroyed), or ErrUnavailable (the engine behind the driver does not answer; the node may be
	// running). A node that is down does not affect the other nodes of its stack.
	Ping(ctx context.Context) error

	// SetEnv sets environment variables for shells and commands that start later; running shells
	// keep theirs. They take precedence over NodeSpec.Env and replace those of an earlier SetEnv.
	// They are kept when the node or labd restarts, until the stack is destroyed. After an error,
	// either the old or the new ones are set.
	SetEnv(ctx context.Context, env map[string]string) error

	// Dial connects from inside the node. network is "tcp", with host:port as seen by the node, or
	// "unix", with a path. The node's Docker engine is at ("unix", "/var/run/docker.sock").
	Dial(ctx context.Context, network, address string) (net.Conn, error)

	// Exec runs a command and waits for it. A non-zero exit code is not an error. Output beyond
	// Command.MaxOutput is dropped. When ctx ends, the command and its children are killed.
	Exec(ctx context.Context, cmd Command) (Result, error)

	// ReadFile returns the content of a regular file. ErrTooLarge if it is larger than limit bytes,
	// ErrNotFound if it does not exist.
	ReadFile(ctx context.Context, path string, limit int64) ([]byte, error)
	// WriteFile replaces the file atomically and creates missing parent directories. mode is the
	// permission bits.
	WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode) error

	// OpenTerminal starts a login shell on a PTY under the caller's id. It does nothing if a
	// terminal with this id exists.
	OpenTerminal(ctx context.Context, spec TerminalSpec) error
	// Terminals returns the ids of the terminals whose shell is running, oldest first.
	Terminals(ctx context.Context) ([]string, error)
	// Attach connects to a terminal. from is the sequence number of the first byte wanted; -1 means
	// all of the scrollback. Older output is lost: Attachment.Start says where the output really
	// starts.
	Attach(ctx context.Context, id string, from int64, size Size) (Attachment, error)
	// CloseTerminal ends the shell: SIGHUP, then SIGKILL. It returns nil if there is none.
	CloseTerminal(ctx context.Context, id string) error

	// Watch sends events when something may have changed. Bursts are coalesced, so an event means
	// "look again", not "this happened". The channel is closed when ctx ends or the connection to
	// the agent is lost; then call Watch again.
	Watch(ctx context.Context) (<-chan Event, error)

	// Restart brings back a node that is down. Its disk is kept, its processes are lost. It returns
	// when the agent answers. If a Restart or Reset of this node is in progress, Restart only waits
	// for it.
	Restart(ctx context.Context) error

	// Reset returns the node to its state after Create: a fresh disk of the same size, without the
	// learner's files, containers and shells. The stack and the variables of SetEnv are kept. It
	// returns when the agent answers. Other connections see the node go down and come back. After
	// an error the node may be down; then Restart brings it back, with the old or the fresh disk.
	Reset(ctx context.Context) error

	// RestoreImages adds the images of the seed to the node's engine again, with their names, if
	// they were removed. The learner's own images, containers and volumes are kept. The engine is
	// restarted: its containers are stopped, and those that were running are started again. It
	// returns when the engine answers.
	RestoreImages(ctx context.Context) error
}

// Command is a program to run in a node.
type Command struct {
	Args      []string          // Args[0] is looked up in PATH
	Env       map[string]string // added to the node's environment
	Dir       string            // "" is the shells' home
	Stdin     []byte
	MaxOutput int64 // bytes kept of stdout and of stderr; 0 means 64 KiB
}

// Result is the outcome of a command.
type Result struct {
	ExitCode  int // 128+n if killed by signal n
	Stdout    []byte
	Stderr    []byte
	Truncated bool // some output was dropped
}

// Size is the size of a terminal in cells.
type Size struct{ Cols, Rows uint16 }

// MaxTerminals is the number of terminals that a node can have. Beyond it OpenTerminal returns
// ErrCapacity.
const MaxTerminals = 32

// Limits of Attachment.Run. Beyond them it returns ErrInvalid.
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
// Read returns raw output in order. If the reader stops reading, the program that prints blocks:
// nothing is dropped, and no buffer grows. Read returns io.EOF after the shell has ended and all of
// its output was read. One goroutine may call Read while another one writes.
type Attachment interface {
	// Start is the sequence number of the first byte that Read returns.
	Start() int64
	// End is the sequence number at which history ends. Terminal queries before it have been
	// answered already.
	End() int64
	Read(p []byte) (int, error)
	// Write sends input bytes in order. It blocks while the shell does not read them.
	Write(p []byte) (int, error)
	// Run types text as input, unless this terminal has seen a Run with the same id among its last
	// 256. It reports whether the text was typed.
	Run(id, text string) (bool, error)
	Resize(Size) error
	Close() error
}

// EventKind says what changed.
type EventKind string

const (
	EngineUp     EventKind = "engine-up"     // the node's Docker engine answers
	EngineDown   EventKind = "engine-down"   // it no longer answers; process 1 of the node restarts it
	EngineChange EventKind = "engine-change" // containers, images, networks or volumes changed
	ShellPrompt  EventKind = "shell-prompt"  // a command in some shell finished
)

// Event is a hint that the node may have changed.
type Event struct {
	Kind EventKind
}
