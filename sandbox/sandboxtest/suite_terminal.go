package sandboxtest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/labd-dev/labd/sandbox"
)

// terminals checks how terminals start and end.
func terminals(t *testing.T, n sandbox.Node) {
	ctx := testContext(t)
	wantTerminals(t, n)
	t.Run("refuses bad ids", func(t *testing.T) {
		for _, id := range []string{"", "UP", "a/b", strings.Repeat("x", 41)} {
			err := n.OpenTerminal(ctx, sandbox.TerminalSpec{ID: id, Size: sandbox.Size{Cols: 80, Rows: 24}})
			wantError(t, fmt.Sprintf("OpenTerminal %q", id), err, sandbox.ErrInvalid)
		}
	})
	t.Run("finds the shell that runs", func(t *testing.T) {
		first := openTerminal(t, n, "tb")
		first.run("mine=yes; echo is set", "is set")
		second := openTerminal(t, n, "ta")
		second.run("echo other shell${mine}", "other shell\r\n")
		wantTerminals(t, n, "tb", "ta") // oldest first
		again := openTerminal(t, n, "tb")
		again.send("echo mine $mine\n")
		again.expect("mine yes")
	})
	t.Run("is a login shell at home on a terminal", func(t *testing.T) {
		term := attach(t, n, "tb", -1)
		term.send("shopt -q login_shell && [ $PWD = $HOME ] && [ -t 0 ] && echo all' 'true $TERM $LAB_CODE\n")
		term.expect("all true xterm-256color x7 k2")
	})
	t.Run("erases a whole character of a line", func(t *testing.T) {
		term := attach(t, n, "tb", -1)
		term.run("clear; echo begin typing; cat >typed", "begin typing")
		// Backspace after a Chinese character and after an emoji, then an end of file.
		term.send("\u4e2d\u6587\x7f\U0001f680\x7f\u5b57\n\x04")
		term.run("echo typing over", "typing over")
		if got := sh(t, n, "cat typed"); got != "\u4e2d\u5b57\n" {
			t.Errorf("the program read %q, want %q", got, "\u4e2d\u5b57\n")
		}
	})
	t.Run("echoes control characters as ^X", func(t *testing.T) {
		term := attach(t, n, "tb", -1)
		// The program prints the text itself. Before it runs, Ctrl-C would not end it.
		term.run("clear; bash -c \"echo no reader; exec sleep 1000\"", "no reader")
		term.send("\x1b[A") // Arrow Up
		term.expect("^[[A")
		term.send("\x1b[>0;276;0c") // a terminal's answer to a query, which is also a query
		if got := term.expect(";276;0c"); strings.Contains(got, "\x1b[>") {
			t.Errorf("the answer is echoed as it is: %q", got)
		}
		term.send("\x03")
		term.expect("^C")
		term.run("bash -c \"stty -echoctl; echo raw echo; exec sleep 1000\"", "raw echo")
		term.send("\x1b[B")
		term.expect("\x1b[B")
		term.send("\x03")
		term.run("stty echoctl; echo set again", "set again")
	})
	t.Run("ends a command whose learner typed ahead", func(t *testing.T) {
		term := attach(t, n, "tb", -1)
		term.run("bash -c \"echo not reading; exec sleep 1000\"", "not reading")
		term.send("echo this is dis''carded\n")
		term.expect("carded\r\n") // the echo; now a complete line is waiting to be read
		term.send("\x03")
		term.run("echo at the prompt", "at the prompt")
		if text := term.text(); strings.Contains(text, "is discarded") {
			t.Error("a line that was typed before Ctrl-C ran as a command")
		}
	})
	t.Run("has the size that was asked for last", func(t *testing.T) {
		term := attach(t, n, "tb", -1)
		term.send("stty size\n")
		term.expect("30 120")
		if err := term.a.Resize(sandbox.Size{Cols: 101, Rows: 41}); err != nil {
			t.Fatalf("Resize: %v", err)
		}
		// A resize is processed in order with the input before and after it.
		term.send("stty size\n")
		term.expect("41 101")
	})
	t.Run("ends with exit, all output read", func(t *testing.T) {
		term := attach(t, n, "ta", -1)
		term.send("for i in $(seq 5000); do echo line-$i; done; exit\n")
		out, err := term.readAll()
		if err != nil {
			t.Errorf("Read ends with %v, want EOF", err)
		}
		if !strings.Contains(out, "line-5000\r\n") {
			t.Errorf("the last line is missing: %q", tail(out))
		}
		wantTerminals(t, n, "tb")
		_, err = n.Attach(ctx, "ta", -1, sandbox.Size{Cols: 80, Rows: 24})
		wantError(t, "Attach to a terminal that ended", err, sandbox.ErrNotFound)
	})
	t.Run("closes, also when the shell ignores it", func(t *testing.T) {
		term := attach(t, n, "tb", -1)
		term.run("trap '' HUP TERM; echo trap is set", "trap is set")
		closeTerminal(t, n, "tb")
		if _, err := term.readAll(); err != nil {
			t.Errorf("Read ends with %v, want EOF", err)
		}
		wantTerminals(t, n)
		closeTerminal(t, n, "tb") // nil if it is gone
	})
}

// attaches checks reconnecting and heavy traffic.
func attaches(t *testing.T, n sandbox.Node) {
	ctx := testContext(t)
	size := sandbox.Size{Cols: 120, Rows: 30}

	t.Run("gives each byte once, by its number", func(t *testing.T) {
		first := openTerminal(t, n, "resume")
		defer closeTerminal(t, n, "resume")
		first.run("stty -echo; echo ready now", "ready now")
		first.send("echo first part; until [ -e gate ]; do sleep 0.05; done; echo second part; echo > passed\n")
		first.expect("first part\r\n")
		first.mu.Lock()
		next := first.a.Start() + int64(first.out.Len())
		first.mu.Unlock()
		first.close()

		// The shell continues while nobody is attached.
		sh(t, n, "echo > gate")
		waitFor(t, "the second part", func() error {
			_, err := n.ReadFile(ctx, "/root/passed", 10)
			return err
		})
		second, err := n.Attach(ctx, "resume", next, size)
		if err != nil {
			t.Fatalf("Attach: %v", err)
		}
		if second.Start() > next {
			t.Errorf("asked for byte %d, got from %d", next, second.Start())
		}
		if second.End() < second.Start() {
			t.Errorf("history ends at %d before its start at %d", second.End(), second.Start())
		}
		term := NewTerminal(t, second)
		got := term.expect("second part\r\n")
		if strings.Contains(got, "first part") {
			t.Errorf("output that was read came again: %q", got)
		}
		whole, err := n.Attach(ctx, "resume", -1, size)
		if err != nil {
			t.Fatalf("Attach: %v", err)
		}
		all := NewTerminal(t, whole)
		text := all.expect("second part\r\n")
		if strings.Count(text, "first part") != 1 {
			t.Errorf("the scrollback holds the first part %d times: %q", strings.Count(text, "first part"), text)
		}
		if int64(len(text)) > whole.End()-whole.Start() {
			t.Errorf("%d bytes of history, but End is only %d after Start", len(text), whole.End()-whole.Start())
		}
	})

	t.Run("types a block once", func(t *testing.T) {
		term := openTerminal(t, n, "blocks")
		defer closeTerminal(t, n, "blocks")
		for i, want := range []bool{true, false} {
			fresh, err := term.a.Run("block-1", "echo ran >> count\n")
			if err != nil || fresh != want {
				t.Errorf("Run %d gives %v, %v; want %v", i, fresh, err, want)
			}
		}
		again := attach(t, n, "blocks", -1)
		if fresh, err := again.a.Run("block-1", "echo ran >> count\n"); err != nil || fresh {
			t.Errorf("Run over a new connection gives %v, %v; want false", fresh, err)
		}
		if fresh, err := again.a.Run("block-2", "echo ran >> count; echo all' 'done\n"); err != nil || !fresh {
			t.Errorf("Run of another block gives %v, %v; want true", fresh, err)
		}
		again.expect("all done")
		if got := sh(t, n, "cat count"); got != "ran\nran\n" {
			t.Errorf("blocks left %q", got)
		}
	})

	t.Run("a paste arrives whole and in order", func(t *testing.T) {
		term := openTerminal(t, n, "paste")
		defer closeTerminal(t, n, "paste")
		term.run("stty raw -echo; echo is raw; head -c 1000000 | cksum; stty sane; echo paste over", "is raw")
		var paste bytes.Buffer
		for i := 0; paste.Len() < 1000000; i++ {
			fmt.Fprintf(&paste, "%d,", i)
		}
		paste.Truncate(1000000)
		term.send(paste.String())
		term.expect("paste over")
		want := sh(t, n, "seq -s, 0 200000 | head -c 1000000 | cksum")
		term.mu.Lock()
		got := term.out.String()
		term.mu.Unlock()
		if !strings.Contains(got, strings.TrimSpace(want)) {
			t.Errorf("the checksum %q is not in %q", want, tail(got))
		}
	})

	t.Run("a reader that stops stops the shell", func(t *testing.T) {
		if err := n.OpenTerminal(ctx, sandbox.TerminalSpec{ID: "slow", Size: size}); err != nil {
			t.Fatalf("OpenTerminal: %v", err)
		}
		defer closeTerminal(t, n, "slow")
		a, err := n.Attach(ctx, "slow", 0, size)
		if err != nil {
			t.Fatalf("Attach: %v", err)
		}
		defer a.Close()
		const total = 20 << 20
		if _, err := io.WriteString(a, fmt.Sprintf("stty -echo raw; head -c %d /dev/zero | tr '\\0' y; echo > flooded; stty sane\n", total)); err != nil {
			t.Fatal(err)
		}
		// Other operations still work. After them, the flood has filled all buffers.
		for range 20 {
			sh(t, n, "true")
		}
		if res, err := n.Exec(ctx, sandbox.Command{Args: []string{"test", "-e", "flooded"}}); err != nil || res.ExitCode == 0 {
			t.Errorf("20 MiB were printed though nobody read: %+v, %v", res, err)
		}
		var got int
		buf := make([]byte, 64<<10)
		for got < total {
			k, err := a.Read(buf)
			got += bytes.Count(buf[:k], []byte("y"))
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
		}
		waitFor(t, "the flood's end", func() error {
			_, err := n.ReadFile(ctx, "/root/flooded", 10)
			return err
		})
	})

	t.Run("refuses a terminal that is not there", func(t *testing.T) {
		_, err := n.Attach(ctx, "nobody", -1, size)
		wantError(t, "Attach", err, sandbox.ErrNotFound)
	})
}
