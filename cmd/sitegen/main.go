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
// # The preview of sitegen serve
//
// Beside the site, serve answers three addresses. Every page loads the script /-/live.js, which keeps it up to date.
// /-/state tells how things are, and /-/events is a stream of server-sent events with the same object, one at once and one
// whenever it changes:
//
//	{
//	  "version": 12,     counts changes that pages may show; a page's own is in its header Server-Timing: build;desc="12"
//	  "checked": 11,     the version whose mistakes are listed in full; less than version while the course is being checked
//	  "styles": ["/assets/site-4F6Q2J7A.css"],   all style sheets; a change of these alone leaves version as it is
//	  "mistakes": [{"file": "content/en/m/l.md", "line": 2, "col": 1, "text": "titel = 1", "msg": "unknown key …"}],
//	  "warnings": []     as mistakes
//	}
//
// The name of a style sheet is that of its predecessor but for the eight letters before the extension. Line and col are 0 if
// they don't apply. A course that has mistakes is shown all the same, as far as it goes.
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
