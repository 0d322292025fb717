package sandboxtest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

// Terminal types into an attachment and waits for text in its output. It reads the output
// continuously.
type Terminal struct {
	t testing.TB
	a sandbox.Attachment

	mu   sync.Mutex
	out  bytes.Buffer  // guarded by mu
	seen int           // guarded by mu: the end of the output matched so far
	err  error         // guarded by mu: the error that ended reading
	more chan struct{} // signalled after each change
	done chan struct{} // closed when reading has ended
}

// openTerminal starts a shell and attaches to it, beginning with its first byte of output.
func openTerminal(t testing.TB, n sandbox.Node, id string) *Terminal {
	t.Helper()
	if err := n.OpenTerminal(testContext(t), sandbox.TerminalSpec{ID: id, Size: sandbox.Size{Cols: 120, Rows: 30}}); err != nil {
		t.Fatalf("OpenTerminal: %v", err)
	}
	return attach(t, n, id, 0)
}

// attach attaches to a terminal and reads it until the end of the test.
func attach(t testing.TB, n sandbox.Node, id string, from int64) *Terminal {
	t.Helper()
	a, err := n.Attach(testContext(t), id, from, sandbox.Size{Cols: 120, Rows: 30})
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	return NewTerminal(t, a)
}

// NewTerminal reads the attachment until it or the test ends.
func NewTerminal(t testing.TB, a sandbox.Attachment) *Terminal {
	t.Helper()
	term := &Terminal{t: t, a: a, more: make(chan struct{}, 1), done: make(chan struct{})}
	go term.read()
	t.Cleanup(term.close)
	return term
}

func (term *Terminal) read() {
	defer close(term.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := term.a.Read(buf)
		term.mu.Lock()
		term.out.Write(buf[:n])
		term.err = err
		term.mu.Unlock()
		select {
		case term.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// close detaches and waits for the reader.
func (term *Terminal) close() {
	_ = term.a.Close() // the node may be gone already
	<-term.done
}

// send types text.
func (term *Terminal) send(text string) {
	term.t.Helper()
	if _, err := io.WriteString(term.a, text); err != nil {
		term.t.Fatalf("Write to terminal: %v", err)
	}
}

// expect waits until text appears after the text of the last expect. It returns all output in
// between.
func (term *Terminal) expect(text string) string {
	term.t.Helper()
	deadline := time.After(patience)
	for {
		term.mu.Lock()
		rest := term.out.Bytes()[term.seen:]
		at := bytes.Index(rest, []byte(text))
		err := term.err
		shown := tail(string(rest))
		var found string
		if at >= 0 {
			found = string(rest[:at+len(text)])
			term.seen += at + len(text)
		}
		term.mu.Unlock()
		if at >= 0 {
			return found
		}
		if err != nil {
			term.t.Fatalf("terminal ended (%v) before %q; it showed %q", err, text, shown)
		}
		select {
		case <-term.more:
		case <-deadline:
			term.t.Fatalf("terminal did not show %q but %q", text, shown)
		}
	}
}

// run types a command and waits for its answer. The answer must not be part of the echoed command.
func (term *Terminal) run(command, answer string) {
	term.t.Helper()
	// The echoed command has quotes where the answer has a space.
	marked := strings.Replace(answer, " ", "' '", 1)
	term.send(strings.Replace(command, answer, marked, 1) + "\n")
	term.expect(answer)
}

// readAll waits until reading has ended and returns all output. The error is nil after io.EOF.
func (term *Terminal) readAll() (string, error) {
	term.t.Helper()
	select {
	case <-term.done:
	case <-time.After(patience):
		term.t.Fatal("terminal's output did not end")
	}
	term.mu.Lock()
	defer term.mu.Unlock()
	if errors.Is(term.err, io.EOF) {
		return term.out.String(), nil
	}
	return term.out.String(), term.err
}

// text returns all output so far.
func (term *Terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.out.String()
}

// tail returns the end of a long text.
func tail(s string) string {
	if len(s) > 2000 {
		return "..." + s[len(s)-2000:]
	}
	return s
}
