package command_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"slices"
	"testing"

	"github.com/labd-dev/labd/internal/command"
)

// program has two commands, one of which has two actions. Action hi takes arguments and a flag;
// action bye fails.
func program(t *testing.T) command.Set {
	t.Helper()
	greet := func(_ context.Context, e *command.Env, args []string) error {
		fl := flag.NewFlagSet("hello say hi", flag.ContinueOnError)
		loud := fl.Bool("loud", false, "in capital letters")
		words, err := command.Parse(fl, e, "usage: hello say hi [NAME [NAME]] [flags]", 2, args)
		if err != nil {
			return err
		}
		if !slices.Equal(words, []string{"Ada", "Bob"}) || !*loud {
			t.Errorf("words %q, loud %v", words, *loud)
		}
		_, err = e.Stdout.Write([]byte("HI\n"))
		return err
	}
	fail := func(context.Context, *command.Env, []string) error { return errors.New("the voice is gone") }
	say := command.Set{Name: "hello say", Commands: []command.Command{{Name: "hi", Summary: "greet", Run: greet}, {Name: "bye", Summary: "part", Run: fail}}}
	return command.Set{Name: "hello", Commands: []command.Command{{Name: "say", Summary: "say something", Run: say.Call}, {Name: "whisper", Summary: "say it softly", Run: fail}}}
}

func TestSet(t *testing.T) {
	const usage = "usage: hello COMMAND [flags]\n  say      say something\n  whisper  say it softly\n\nhello COMMAND -h lists a command's flags.\n"
	const sayUsage = "usage: hello say COMMAND [flags]\n  hi       greet\n  bye      part\n\nhello say COMMAND -h lists a command's flags.\n"
	const hiUsage = "usage: hello say hi [NAME [NAME]] [flags]\n  -loud\n    \tin capital letters\n"
	for _, test := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{nil, 2, "", "hello: a command is missing\n\n" + usage},
		{[]string{"help"}, 0, usage, ""},
		{[]string{"--help"}, 0, usage, ""},
		{[]string{"sya"}, 2, "", "hello: no command \"sya\" (did you mean \"say\"?)\n\n" + usage},
		{[]string{"whisper"}, 1, "", "hello whisper: the voice is gone\n"},
		{[]string{"say"}, 2, "", "hello say: a command is missing\n\n" + sayUsage},
		{[]string{"say", "-h"}, 0, sayUsage, ""},
		{[]string{"say", "bye"}, 1, "", "hello say bye: the voice is gone\n"},
		{[]string{"say", "hi", "-h"}, 0, hiUsage, ""},
		{[]string{"say", "hi", "Ada", "-loud", "Bob"}, 0, "HI\n", ""},
		{[]string{"say", "hi", "Ada", "-loud", "Bob", "Cyd"}, 2, "", "hello say hi: unexpected argument \"Cyd\" (see hello say hi -h)\n"},
		{[]string{"say", "hi", "-luod"}, 2, "", "hello say hi: no flag -luod (did you mean \"-loud\"?) (see hello say hi -h)\n"},
		{[]string{"say", "hi", "-loud=x"}, 2, "", "hello say hi: invalid boolean value \"x\" for -loud: parse error (see hello say hi -h)\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := program(t).Run(t.Context(), &command.Env{Stdout: &stdout, Stderr: &stderr}, test.args)
		if code != test.code || stdout.String() != test.stdout || stderr.String() != test.stderr {
			t.Errorf("%q: code %d, standard output %q, standard error %q; want %d, %q, %q", test.args, code, stdout.String(), stderr.String(), test.code, test.stdout, test.stderr)
		}
	}
}
