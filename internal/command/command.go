// Package command is the form that the project's programs share. A call is
//
//	PROGRAM COMMAND [ACTION] [flags and words, in any order]
//
// Help, asked for with -h, --help or help, goes to standard output and is a success. Whatever is wrong with a call is
// answered with what was probably meant and where help is.
//
// Exit codes: 0 success, 1 failure, 2 wrong usage.
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

// Env is what a command may use of the process it runs in.
type Env struct {
	Stdout, Stderr io.Writer
}

// Command is one verb.
type Command struct {
	Name, Summary string
	// Run gets the words after the verb. An error of Misuse is a mistake in these; flag.ErrHelp says that help was given.
	Run func(ctx context.Context, e *Env, args []string) error
}

// Set is what a program, or a command with several actions, can do.
type Set struct {
	Name     string // as one types it: "labd" or "labd images"
	Commands []Command
}

// usageError is a mistake in how a command was called.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// Misuse is the error of a command that was called wrongly.
func Misuse(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// Main runs the program until it ends or is told to by a signal, and exits.
func (s Set) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := s.Run(ctx, &Env{Stdout: os.Stdout, Stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// Run calls the command in args, reports its error and returns the exit code.
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

// Call calls the command in args. It is a Command's Run for a command with several actions.
func (s Set) Call(ctx context.Context, e *Env, args []string) error {
	if len(args) == 0 {
		return s.misuse("say what to do")
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

// named is the error of the command with that name, the innermost.
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

// Parse reads flags and at most so many words, in any order, and returns the words. The name of flags is the command's as
// one types it; usage stands above the flags when help is asked for.
func Parse(flags *flag.FlagSet, e *Env, usage string, most int, args []string) (words []string, err error) {
	flags.SetOutput(io.Discard) // it would say its own, and all flags with each mistake
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

// explain is the message of an error of flags, with the flag that was probably meant if there is none of that name.
func explain(flags *flag.FlagSet, err error) string {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
	if !unknown {
		return err.Error()
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return fmt.Sprintf("no flag %s%s", name, source.DidYouMean(name, names))
}
