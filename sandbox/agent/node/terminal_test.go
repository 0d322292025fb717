package node_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/agent/node"
)

func kill(pid int) { syscall.Kill(pid, syscall.SIGKILL) }

// openTerminal starts a shell without line editing or prompt and attaches to it.
func openTerminal(tb testing.TB, h *agenttest.Pair, id string) sandbox.Attachment {
	tb.Helper()
	ctx := agenttest.Context(tb)
	if err := h.OpenTerminal(ctx, sandbox.TerminalSpec{ID: id, Size: sandbox.Size{Cols: 80, Rows: 24}}); err != nil {
		tb.Fatal(err)
	}
	return attach(tb, h, id, -1)
}

func attach(tb testing.TB, h *agenttest.Pair, id string, from int64) sandbox.Attachment {
	tb.Helper()
	a, err := h.Attach(agenttest.Context(tb), id, from, sandbox.Size{Cols: 80, Rows: 24})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { a.Close() })
	return a
}

// reading collects what an attachment returns.
type reading struct {
	tb testing.TB
	a  sandbox.Attachment
	b  []byte
}

// until reads until text appears and returns everything read so far.
func (r *reading) until(text string) string {
	r.tb.Helper()
	timer := time.AfterFunc(agenttest.Patience, func() { r.a.Close() })
	defer timer.Stop()
	buf := make([]byte, 32<<10)
	for !strings.Contains(string(r.b), text) {
		n, err := r.a.Read(buf)
		r.b = append(r.b, buf[:n]...)
		if err != nil {
			tail := r.b
			if len(tail) > 2000 {
				tail = tail[len(tail)-2000:]
			}
			r.tb.Fatalf("waiting for %q: %v; got %q", text, err, tail)
		}
	}
	return string(r.b)
}

func send(tb testing.TB, a sandbox.Attachment, text string) {
	tb.Helper()
	if n, err := io.WriteString(a, text); err != nil || n != len(text) {
		tb.Fatalf("wrote %d of %d bytes: %v", n, len(text), err)
	}
}

// withScript makes every terminal run a script instead of a shell.
func withScript(tb testing.TB, script string) func(*node.Options) {
	return func(o *node.Options) {
		o.Shell = filepath.Join(o.Home, "shell")
		if err := os.WriteFile(o.Shell, []byte("#!/bin/bash\n"+script), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestTerminalIsALoginShellWithTheLabsEnvironment(t *testing.T) {
	h := agenttest.Start(t)
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	send(t, a, `shopt -q login_shell && echo "login:$LAB_CODE:$TERM:$LANG:$HOME:$PWD:$(tty):"`+"\n")
	out := r.until(h.Options.Home + ":/dev/pts/")
	want := fmt.Sprintf("login:x7k2:xterm-256color:C.UTF-8:%s:%s:/dev/pts/", h.Options.Home, h.Options.Home)
	if !strings.Contains(out, want) {
		t.Fatalf("got %q, want %q in it", out, want)
	}
}

func TestOpenTerminalFindsTheRunningOne(t *testing.T) {
	h := agenttest.Start(t)
	a := openTerminal(t, h, "t1")
	send(t, a, "mark=here; echo se''t\n")
	(&reading{tb: t, a: a}).until("set")
	b := openTerminal(t, h, "t1")
	send(t, b, "echo is:$mark:\n")
	(&reading{tb: t, a: b}).until("is:here:")
	openTerminal(t, h, "a-2")
	ids, err := h.Terminals(agenttest.Context(t))
	if err != nil || !slices.Equal(ids, []string{"t1", "a-2"}) {
		t.Fatalf("terminals are %v, %v", ids, err)
	}
}

func TestTerminalRefusesBadIDs(t *testing.T) {
	h := agenttest.Start(t)
	for _, id := range []string{"", "A", "a b", "../x", strings.Repeat("a", 41)} {
		agenttest.MustBe(t, h.OpenTerminal(agenttest.Context(t), sandbox.TerminalSpec{ID: id}), sandbox.ErrInvalid)
	}
	_, err := h.Attach(agenttest.Context(t), "none", -1, sandbox.Size{})
	agenttest.MustBe(t, err, sandbox.ErrNotFound)
	if err := h.CloseTerminal(agenttest.Context(t), "none"); err != nil {
		t.Fatal(err)
	}
}

func TestTerminalsAreLimited(t *testing.T) {
	h := agenttest.Start(t, withScript(t, "exec sleep 1000"))
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = h.OpenTerminal(agenttest.Context(t), sandbox.TerminalSpec{ID: "t" + strconv.Itoa(n)})
	}
	agenttest.MustBe(t, err, sandbox.ErrCapacity)
}

func TestResizeReachesTheShell(t *testing.T) {
	h := agenttest.Start(t, withScript(t, "while sleep 0.02; do echo size:$(stty size):; done"))
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	r.until("size:24 80:")
	if err := a.Resize(sandbox.Size{Cols: 133, Rows: 47}); err != nil {
		t.Fatal(err)
	}
	r.until("size:47 133:")
	// A new attachment has a size of its own.
	b, err := h.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{Cols: 99, Rows: 33})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r.until("size:33 99:")
}

func TestReadReturnsAllOutputThenEOFAfterTheShellEnds(t *testing.T) {
	const lines = 20000
	h := agenttest.Start(t, withScript(t, fmt.Sprintf("read; seq %d; echo last", lines)))
	a := openTerminal(t, h, "t1")
	send(t, a, "\n")
	got, err := io.ReadAll(a)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	want.WriteString("\r\n") // the echo
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&want, "%d\r\n", i)
	}
	want.WriteString("last\r\n")
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("got %d bytes, want %d; end %q", len(got), want.Len(), got[max(0, len(got)-100):])
	}
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("after the end: %v", err)
	}
	agenttest.Eventually(t, "terminal is gone", func() bool {
		ids, err := h.Terminals(agenttest.Context(t))
		return err == nil && len(ids) == 0
	})
}

func TestShellEndsWhileABackgroundProcessHoldsTheTerminal(t *testing.T) {
	h := agenttest.Start(t)
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	send(t, a, "(trap '' HUP; echo pid:$BASHPID:; exec sleep 1000) &\n")
	out := r.until("pid:")
	send(t, a, "echo good${nothing}bye; exit\n")
	rest, err := io.ReadAll(a)
	if err != nil || !strings.Contains(string(r.b)+string(rest), "goodbye") {
		t.Fatalf("got %q, %v", rest, err)
	}
	for _, m := range strings.Split(out+string(rest), "pid:")[1:] {
		if pid, err := strconv.Atoi(strings.TrimSuffix(strings.SplitN(m, ":", 2)[0], ":")); err == nil {
			kill(pid)
		}
	}
}

func TestCloseTerminalEndsShellsThatIgnoreHangup(t *testing.T) {
	h := agenttest.Start(t, withScript(t, "trap '' HUP TERM INT; echo up; while :; do read -t 1000; done"))
	a := openTerminal(t, h, "t1")
	(&reading{tb: t, a: a}).until("up")
	if err := h.CloseTerminal(agenttest.Context(t), "t1"); err != nil {
		t.Fatal(err)
	}
	ids, err := h.Terminals(agenttest.Context(t))
	if err != nil || len(ids) != 0 {
		t.Fatalf("terminals are %v, %v", ids, err)
	}
	if rest, err := io.ReadAll(a); err != nil {
		t.Fatalf("attachment ended with %v after %q", err, rest)
	}
}

// A reader that disconnects and resumes at arbitrary positions gets exactly what the program wrote.
func TestResumeReturnsExactlyWhatWasMissed(t *testing.T) {
	const rounds, perRound = 120, 40000
	h := agenttest.Start(t, func(o *node.Options) {
		withScript(t, `stty raw -echo; printf R; exec 3<"$HOME/data"; while [[ $(dd bs=1 count=1 2>/dev/null) == g ]]; do head -c `+strconv.Itoa(perRound)+` <&3; done`)(o)
		rng := rand.New(rand.NewPCG(3, 4))
		data := make([]byte, rounds*perRound)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		if err := os.WriteFile(filepath.Join(o.Home, "data"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	want, err := os.ReadFile(filepath.Join(h.Options.Home, "data"))
	if err != nil {
		t.Fatal(err)
	}
	want = append([]byte("R"), want...)
	a := openTerminal(t, h, "t1")
	(&reading{tb: t, a: a}).until("R")
	rng := rand.New(rand.NewPCG(1, 2))
	got := []byte("R")
	asked := 0
	buf := make([]byte, 70000)
	for len(got) < len(want) {
		// At most five rounds may be missed, which fit in the scrollback.
		for limit := 1 + len(got)/perRound + rng.IntN(5); asked < min(limit, rounds); asked++ {
			send(t, a, "g")
		}
		for more := rng.IntN(4); more > 0 && len(got) < 1+asked*perRound; more-- {
			n, err := a.Read(buf[:1+rng.IntN(len(buf))])
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			got = append(got, buf[:n]...)
		}
		if rng.IntN(2) == 0 {
			a.Close()
			if rng.IntN(4) == 0 {
				// lets some output pass while nobody is attached
				time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
			}
			a = attach(t, h, "t1", int64(len(got)))
			if a.Start() != int64(len(got)) {
				t.Fatalf("asked for %d, got %d", len(got), a.Start())
			}
		}
	}
	if !bytes.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("differs at byte %d of %d", i, len(want))
			}
		}
	}
}

func TestScrollbackKeepsTheLastOutput(t *testing.T) {
	h := agenttest.Start(t, withScript(t, "seq 200000; echo the-end; exec sleep 1000"))
	if err := h.OpenTerminal(agenttest.Context(t), sandbox.TerminalSpec{ID: "t1"}); err != nil {
		t.Fatal(err)
	}
	var b []byte
	agenttest.Eventually(t, "the unattended shell gets through", func() bool {
		a := attach(t, h, "t1", -1)
		defer a.Close()
		b = make([]byte, a.End()-a.Start())
		if _, err := io.ReadFull(a, b); err != nil {
			t.Fatal(err)
		}
		return bytes.HasSuffix(b, []byte("the-end\r\n"))
	})
	if len(b) > 256<<10 || len(b) < 200<<10 {
		t.Fatalf("scrollback has %d bytes", len(b))
	}
	first, _, _ := strings.Cut(string(b), "\r\n")
	if n, err := strconv.Atoi(first); err != nil || n < 100000 {
		t.Fatalf("scrollback starts in the middle of a line: %q", first)
	}
	// A sequence number before the scrollback, or of another shell, yields the whole scrollback.
	for _, from := range []int64{5, 1 << 40} {
		a := attach(t, h, "t1", from)
		if a.Start() < 1000000 || a.End() <= a.Start() {
			t.Fatalf("from %d: start %d, end %d", from, a.Start(), a.End())
		}
	}
}

func TestReaderThatStopsStopsTheChild(t *testing.T) {
	h := agenttest.Start(t, withScript(t, `stty raw -echo; printf R; head -c 1 >/dev/null; head -c 67108864 /dev/zero; exec sleep 1000`))
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	r.until("R")
	send(t, a, "g")
	// The program writes until all buffers are full, and then blocks.
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var last int64 = -1
	blocked := func() bool {
		// A second reader shows how much was written, without reading it.
		b, err := h.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		time.Sleep(100 * time.Millisecond)
		still := b.End() == last && b.End() > 256<<10
		last = b.End()
		return still
	}
	agenttest.Eventually(t, "the child is blocked", blocked)
	if last > 2<<20 {
		t.Fatalf("%d bytes of output went on though nobody reads", last)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Fatalf("%d bytes of memory for a reader that stopped", grown)
	}
	// When the first reader continues, it gets everything.
	n, err := io.CopyN(io.Discard, a, int64(1+67108864-len(r.b)))
	if err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
}

func TestHundredMegabytesArriveWhole(t *testing.T) {
	const size = 100 << 20
	h := agenttest.Start(t, withScript(t, `stty raw -echo; printf R; read -r -n1 _; (yes 0123456789abcdef | head -c `+strconv.Itoa(size)+`)`))
	a := openTerminal(t, h, "t1")
	(&reading{tb: t, a: a}).until("R")
	send(t, a, "x")
	got := sha256.New()
	n, err := io.Copy(got, a)
	if err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	line := []byte(strings.Repeat("0123456789abcdef\n", 1<<10))
	for left := size; left > 0; left -= len(line) {
		want.Write(line[:min(left, len(line))])
	}
	if n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Fatalf("got %d bytes of %d, or others", n, size)
	}
}

func TestPasteOfAMegabyteArrivesWholeAndInOrder(t *testing.T) {
	var paste bytes.Buffer
	for i := 0; paste.Len() < 1<<20; i++ {
		fmt.Fprintf(&paste, "line %07d of a paste that is long enough to need more than one write\n", i)
	}
	for _, mode := range []string{"stty -echo", "stty raw -echo", "stty echo"} {
		t.Run(mode, func(t *testing.T) {
			h := agenttest.Start(t, withScript(t, mode+`; echo ready; head -c `+strconv.Itoa(paste.Len())+` > "$HOME/out"; echo do''ne; sleep 1000`))
			a := openTerminal(t, h, "t1")
			r := &reading{tb: t, a: a}
			r.until("ready")
			go a.Write(paste.Bytes())
			r.until("done")
			got, err := os.ReadFile(filepath.Join(h.Options.Home, "out"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, paste.Bytes()) {
				t.Fatalf("%d bytes of %d arrived, or in another order", len(got), paste.Len())
			}
		})
	}
}

func TestClosingAnAttachmentDiscardsUnreadInput(t *testing.T) {
	h := agenttest.Start(t, withScript(t, `stty -echo; echo up; until [[ -e $HOME/go ]]; do sleep 0.02; done
		n=0; while read -r line && [[ $line != last ]]; do ((n++)); done; echo lines:$n:; sleep 1000`))
	a := openTerminal(t, h, "t1")
	(&reading{tb: t, a: a}).until("up")
	// Nobody reads the input, so a large paste blocks, and Close must unblock it.
	const lines = 1 << 20
	wrote := make(chan error, 1)
	go func() {
		_, err := a.Write(bytes.Repeat([]byte("paste\n"), lines))
		wrote <- err
	}()
	select {
	case err := <-wrote:
		t.Fatalf("6 MB of input were swallowed: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	a.Close()
	agenttest.MustBe(t, <-wrote, net.ErrClosed)
	_, err := a.Read(make([]byte, 1))
	agenttest.MustBe(t, err, net.ErrClosed)
	b := attach(t, h, "t1", -1)
	send(t, b, "\nlast\n")
	time.Sleep(500 * time.Millisecond) // longer than a closed attachment's grace period for its last keys
	if err := os.WriteFile(filepath.Join(h.Options.Home, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := (&reading{tb: t, a: b}).until(":\r\n")
	_, count, _ := strings.Cut(strings.TrimSuffix(out, ":\r\n"), "lines:")
	if n, err := strconv.Atoi(count); err != nil || n < 10 || n > lines/2 {
		t.Fatalf("the shell read %q lines", count)
	}
}

func TestRunTypesAnIDOnce(t *testing.T) {
	h := agenttest.Start(t)
	a := openTerminal(t, h, "t1")
	run := func(a sandbox.Attachment, id string, want bool) {
		t.Helper()
		fresh, err := a.Run(id, "echo ran-$((1+1))-"+id+"\n")
		if err != nil || fresh != want {
			t.Fatalf("run %s: %v, %v", id, fresh, err)
		}
	}
	run(a, "one", true)
	run(a, "one", false)
	b := attach(t, h, "t1", -1)
	run(b, "one", false) // the same ids from another tab
	run(b, "two", true)
	a.Close()
	run(b, "one", false)
	out := (&reading{tb: t, a: b}).until("ran-2-two\r\n")
	if n := strings.Count(out, "ran-2-one\r\n"); n != 1 {
		t.Fatalf("it ran %d times: %q", n, out)
	}
	// Another terminal remembers ids of its own.
	c := openTerminal(t, h, "t2")
	run(c, "one", true)
	for i := range 300 {
		if _, err := c.Run("filler-"+strconv.Itoa(i), "\n"); err != nil {
			t.Fatal(err)
		}
	}
	run(c, "one", true) // forgotten after 256 other ids
	_, err := c.Run("", "x")
	agenttest.MustBe(t, err, sandbox.ErrInvalid)
}

// A run stays behind the keys that were sent before it, however slowly the shell reads them.
func TestRunWaitsForTheKeysBeforeIt(t *testing.T) {
	const keys = 400000
	h := agenttest.Start(t, withScript(t, `stty raw -echo; echo ready; sleep 0.3; head -c `+strconv.Itoa(keys+4)+` | tail -c 8; echo; sleep 1000`))
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	r.until("ready")
	send(t, a, strings.Repeat("k", keys))
	if fresh, err := a.Run("r", "RUN!"); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	r.until("kkkkRUN!")
}

func TestTwoTabsSeeTheSame(t *testing.T) {
	h := agenttest.Start(t)
	a, b := openTerminal(t, h, "t1"), attach(t, h, "t1", -1)
	send(t, a, "echo from-$((1+0))\n")
	(&reading{tb: t, a: b}).until("from-1")
	send(t, b, "echo from-$((1+1))\n")
	(&reading{tb: t, a: a}).until("from-2")
}

func TestShellSurvivesALostConnection(t *testing.T) {
	h := agenttest.Start(t)
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	send(t, a, "x=kept; echo set$x\n")
	r.until("setkept")
	h.Client.Close() // as when labd restarts
	if _, err := io.ReadAll(a); err == nil || errors.Is(err, io.EOF) {
		t.Fatalf("a lost connection looks like the shell's end: %v", err)
	}
	fresh := agenttest.NewClient(t, h.Socket)
	b, err := fresh.Attach(agenttest.Context(t), "t1", int64(len(r.b)), sandbox.Size{Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	send(t, b, "echo still:$x\n")
	(&reading{tb: t, a: b}).until("still:kept")
}

// Idle terminals must not hold OS threads, because a class has hundreds of them.
func TestIdleTerminalsHoldNoThreads(t *testing.T) {
	h := agenttest.Start(t)
	threads := func() int {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	openTerminal(t, h, "t0")
	before := threads()
	for i := 1; i <= 30; i++ {
		a := openTerminal(t, h, "t"+strconv.Itoa(i))
		send(t, a, "echo up$((1+1))\n")
		(&reading{tb: t, a: a}).until("up2")
	}
	if n := threads() - before; n > 12 {
		t.Fatalf("30 terminals cost %d threads", n)
	}
}
