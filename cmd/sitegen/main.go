// Command sitegen turns a course of Markdown lessons and labs into a static site.
//
//	sitegen build   build the site
//	sitegen check   find mistakes without building
//	sitegen new     start a course or a lesson
//	sitegen serve   build it, serve it, and build again when a file changes
//	sitegen import  make a course of Obsidian notes, Docusaurus pages or an mdBook
//
// Without -content and -labs, the folders content and labs of the working directory are used if there are such, else the
// course that the program carries.
//
// Exit codes: 0 success, 1 failure (mistakes in the content among them), 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// env is what a command may use of the process it runs in.
type env struct {
	stdout, stderr io.Writer
}

// command is one verb. run gets the words after the verb.
type command struct {
	name, summary string
	run           func(ctx context.Context, e *env, args []string) error
}

// usageError is a mistake in how the command was called.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func commands() []command {
	return []command{
		{"build", "build the site", runBuild},
		{"check", "find mistakes without building", runCheck},
		{"new", "start a course or a lesson", runNew},
		{"serve", "build it, serve it, and build again when a file changes", runServe},
		{"import", "make a course of Obsidian notes, Docusaurus pages or an mdBook", runImport},
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
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.As(err, &ue):
			fmt.Fprintf(e.stderr, "sitegen %s: %v\n", c.name, err)
			return 2
		default:
			fmt.Fprintf(e.stderr, "sitegen %s: %v\n", c.name, err)
			return 1
		}
	}
	fmt.Fprintf(e.stderr, "sitegen: no command %q\n\n", args[0])
	usage(e.stderr)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: sitegen COMMAND [flags]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprintln(w, "\nsitegen COMMAND -h lists a command's flags.")
}

// parse parses flags; a mistake in them is a usageError.
func parse(fs *flag.FlagSet, e *env, args []string) error {
	fs.SetOutput(e.stderr)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &usageError{err.Error()}
	}
	if fs.NArg() > 0 {
		return &usageError{fmt.Sprintf("unexpected argument %q", fs.Arg(0))}
	}
	return nil
}
