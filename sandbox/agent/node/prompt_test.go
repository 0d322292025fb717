package node_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/sandbox/agent/agenttest"
)

func TestShellMarksItsPromptsAndCommands(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	const end = " \x1b]133;B\a" // the host's own startup files may replace PS1
	r.until(end)
	send(t, a, "printf 'mid'dle; false\n")
	r.until("\x1b]133;C\amiddle\x1b]133;D;1\a")
	if got := strings.Count(r.until(end), "\x1b]133;A\a"); got < 1 {
		t.Fatalf("no prompt is marked: %q", r.b)
	}
	send(t, a, "cat <<E\n")
	r.until("\x1b]133;P;k=s\a> ")
	send(t, a, "E\necho out$((1+1))\n")
	r.until("\x1b]133;C\aout2")
}

func TestPromptLeavesTheModesOfAKilledProgram(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	send(t, a, `printf '\e[?1049h\e[?1003h\e[?25lin''side'`+"\n")
	out := r.until("inside")
	r.b = []byte(out[strings.LastIndex(out, "inside"):])
	out = r.until("\x1b]133;A\a")
	for _, want := range []string{"\x1b[?1049l", "\x1b[!p", "\x1b[?25h", "1003;"} {
		if !strings.Contains(out, want) {
			t.Errorf("the prompt does not send %q: %q", want, out)
		}
	}
}
