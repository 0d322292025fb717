// Command labd is the lab daemon and the tools around it.
//
//	labd serve          serve the site and the labs
//	labd setup          install and build what this machine lacks
//	labd doctor         tell what is there, what is missing and how to fix it
//	labd images build   build the node image, the course images and the seed
//	labd lab validate   check labs for mistakes
//	labd lab test       prove labs on real nodes: each check fails before and passes after its solution
//	labd lab new        start a new lab from a template
//
// Exit codes: 0 success, 1 failure, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// env is what a command may use of the process it runs in.
type env struct {
	stdout io.Writer
	stderr io.Writer
}

// command is one verb. run gets the words after the verb.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, e *env, args []string) error
}

// usageError is a mistake in how the command was called.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func commands() []command {
	return []command{
		{"serve", "serve the site and the labs", runServe},
		{"setup", "install and build what this machine lacks", runSetup},
		{"doctor", "tell what is there, what is missing and how to fix it", runDoctor},
		{"images", "build the node image, the course images and the seed", runImages},
		{"lab", "validate, test and create labs", runLab},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &env{stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run calls the verb in args and turns its error into an exit code.
func run(ctx context.Context, e *env, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(e.stdout)
		if len(args) == 0 {
			return 2
		}
		return 0
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, e, args[1:])
		var ue *usageError
		switch {
		case err == nil:
			return 0
		case errors.As(err, &ue):
			fmt.Fprintf(e.stderr, "labd %s: %v\n", c.name, err)
			return 2
		default:
			fmt.Fprintf(e.stderr, "labd %s: %v\n", c.name, err)
			return 1
		}
	}
	fmt.Fprintf(e.stderr, "labd: no command %q\n\n", args[0])
	usage(e.stderr)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: labd COMMAND [arguments]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
}
