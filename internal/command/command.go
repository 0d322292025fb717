// Package command parses the command lines of labd and sitegen, which have the form
//
//	PROGRAM COMMAND [ACTION] [flags and arguments, in any order]
//
// -h, --help and help print help to standard output and exit with code 0. The message of a usage
// error suggests the command or flag that was probably meant, and names the command that prints
// help.
//
// Exit codes: 0 success, 1 failure, 2 usage error.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/labd-dev/labd/internal/source"
)

// Env holds the standard streams of a command. Tests replace them.
type Env struct {
	Stdout, Stderr io.Writer
}

// Command is one command of a program, or one action of a command.
type Command struct {
	Name, Summary string
	// Run gets the arguments after the command's name. It returns a Misuse error for a usage error,
	// and flag.ErrHelp after it has printed help.
	Run func(ctx context.Context, e *Env, args []string) error
}

// Set is a list of commands: those of a program, or the actions of a command.
type Set struct {
	Name     string // as the user types it: "labd" or "labd images"
	Commands []Command
}

// usageError is the error that Misuse returns.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// Misuse returns a usage error. The program exits with code 2.
func Misuse(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// Main runs the program with the process's arguments and exits. SIGINT and SIGTERM cancel the
// command's context.
func (s Set) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := s.Run(ctx, &Env{Stdout: os.Stdout, Stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// Run calls the command that args name, prints its error and returns the exit code.
func (s Set) Run(ctx context.Context, e *Env, args []string) int {
	err := s.Call(ctx, e, args)
	var misuse *usageError
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(e.Stderr, err)
	if errors.As(err, &misuse) {
		return 2
	}
	return 1
}

// Call calls the command that args name and returns its error. It serves as Run of a command that
// has actions.
func (s Set) Call(ctx context.Context, e *Env, args []string) error {
	if len(args) == 0 {
		return s.misuse("a command is missing")
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		fmt.Fprint(e.Stdout, s.usage())
		return flag.ErrHelp
	}
	names := make([]string, len(s.Commands))
	for i, c := range s.Commands {
		if names[i] = c.Name; c.Name != args[0] {
			continue
		}
		err := c.Run(ctx, e, args[1:])
		var inner *named
		if err == nil || errors.Is(err, flag.ErrHelp) || errors.As(err, &inner) {
			return err
		}
		return &named{s.Name + " " + c.Name, err}
	}
	return s.misuse(fmt.Sprintf("no command %q%s", args[0], source.DidYouMean(args[0], names)))
}

func (s Set) misuse(msg string) error {
	return &named{s.Name, Misuse("%s\n\n%s", msg, strings.TrimSuffix(s.usage(), "\n"))}
}

// named prefixes an error with the full name of the command that returned it.
type named struct {
	name string
	err  error
}

func (n *named) Error() string { return n.name + ": " + n.err.Error() }
func (n *named) Unwrap() error { return n.err }

func (s Set) usage() string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s COMMAND [flags]\n", s.Name)
	for _, c := range s.Commands {
		fmt.Fprintf(&b, "  %-8s %s\n", c.Name, c.Summary)
	}
	fmt.Fprintf(&b, "\n%s COMMAND -h lists a command's flags.\n", s.Name)
	return b.String()
}

// Parse parses flags and at most the given number of arguments, in any order, and returns the
// arguments. The name of flags is the command as the user types it. Help prints usage above the
// list of flags.
func Parse(flags *flag.FlagSet, e *Env, usage string, most int, args []string) (words []string, err error) {
	flags.SetOutput(io.Discard) // package flag would print its own message and all flags
	for {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprintln(e.Stdout, usage)
			flags.SetOutput(e.Stdout)
			flags.PrintDefaults()
			return nil, err
		case err != nil:
			return nil, Misuse("%s (see %s -h)", explain(flags, err), flags.Name())
		case flags.NArg() == 0:
			return words, nil
		case len(words) == most:
			return nil, Misuse("unexpected argument %q (see %s -h)", flags.Arg(0), flags.Name())
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

// explain returns the message of an error of package flag. For an unknown flag it suggests a
// similar one.
func explain(flags *flag.FlagSet, err error) string {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
	if !unknown {
		return err.Error()
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return fmt.Sprintf("no flag %s%s", name, source.DidYouMean(name, names))
}
