// Package boot is the command labnode, the first process of a node.
//
//	labnode          as process 1: prepare the node, keep the agent, containerd and dockerd running, reap orphans
//	labnode agent    answer labd on the agent's socket; started by process 1
//	labnode dial     join standard input and output to the agent's socket
//	labnode restore-images   give the engine the course images back that the learner removed
//
// Process 1 only forks, waits and signals, so that no wait of its own can race the reaping of orphans, and so that the
// agent, which does all that labd and the learner ask for, can die and come back. All of it belongs to the learner's
// node: nothing here is trusted by labd.
//
// # Environment
//
//	LABNODE_KERNEL    "gvisor" or "linux"; found out when unset
//
// All other variables are passed on to shells and scripts.
//
// # Stopping
//
// SIGTERM stops dockerd, which stops its containers, then everything else, within stopBudget: the engine that runs the node
// kills after 10 s. All other signals are ignored.
package boot

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/labd-dev/labd/sandbox/agent/node"
)

const (
	runDir       = "/run/labnode"
	socketPath   = runDir + "/agent.sock"
	promptPath   = runDir + "/prompt"
	engineSocket = "/var/run/docker.sock"
)

// Run is the whole program; args are the words after its name.
func Run(args []string) error {
	switch {
	case len(args) == 0 && os.Getpid() == 1:
		return runInit()
	case len(args) == 1 && args[0] == "agent":
		return runAgent()
	case len(args) == 1 && args[0] == "dial":
		return runDial(socketPath)
	case len(args) == 1 && args[0] == "restore-images":
		return restoreImages(context.Background())
	}
	return fmt.Errorf("usage: labnode agent | labnode dial | labnode restore-images; without arguments only as process 1")
}

// runAgent answers labd until SIGTERM.
func runAgent() error {
	// A keystroke passes through several goroutines one after the other. On one processor each hands on to the next; on more
	// each would have to wake a thread first.
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ln, err := node.Listen(socketPath)
	if err != nil {
		return err
	}
	return node.Serve(ctx, ln, node.Options{
		Engine: engineSocket,
		Prompt: promptPath,
		Spare:  true,
		Log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}
