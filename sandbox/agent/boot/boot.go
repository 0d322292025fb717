// Package boot is the command labnode, the first process of a node.
//
//	labnode                  as process 1: prepare the node, supervise the agent, containerd and dockerd, reap orphans
//	labnode agent            serve labd on the agent's socket; started by process 1
//	labnode dial             connect standard input and output to the agent's socket
//	labnode restore-images   give the node's engine the course images back that the learner removed
//
// Process 1 only forks, waits and sends signals. A wait for one particular child would race the
// reaping of orphans. The agent, which does everything for labd and the learner, is a process of
// its own, so it can crash and be restarted. All of this is part of the learner's node, and labd
// trusts none of it.
//
// # Environment
//
//	LABNODE_KERNEL    "gvisor" or "linux"; detected if not set
//
// All other variables are passed on to shells and commands.
//
// # Stopping
//
// SIGTERM stops dockerd, which stops its containers, and then everything else, within stopBudget:
// the engine that runs the node sends SIGKILL after 10 s. All other signals are ignored.
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

// Run is the main function of labnode; args are the command-line arguments.
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

// runAgent serves labd until SIGTERM.
func runAgent() error {
	// A keystroke passes through several goroutines in turn. With one P each hands over directly;
	// with more, each would first have to wake an OS thread.
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
