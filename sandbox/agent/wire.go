package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
	"unicode"

	"labd/sandbox"
)

// What both halves agree on. Changing any of these changes the version in helloLine.
const (
	helloLine = "labnode agent 1\n"

	maxRequest  = 208 << 10 // bytes of a request's JSON: a run's text may be all escapes
	maxResponse = 32 << 10  // bytes of a response's JSON
	maxFrame    = 64 << 10  // payload of an attach frame
	maxRunText  = sandbox.MaxRunText
	maxRunID    = sandbox.MaxRunID
	maxTransfer = 64 << 20 // bytes of a file, of stdin or of an output stream
	maxPath     = 4096
	maxSeq      = 1 << 53 // sequence numbers stay exact in JavaScript

	maxTerminals = sandbox.MaxTerminals
	maxStreams   = 256 // operations at once in one session
)

// opcode names an operation.
type opcode string

const (
	opPing      opcode = "ping"
	opDial      opcode = "dial"
	opExec      opcode = "exec"
	opRead      opcode = "read"
	opWrite     opcode = "write"
	opOpen      opcode = "open"
	opTerminals opcode = "terminals"
	opClose     opcode = "close"
	opAttach    opcode = "attach"
	opRun       opcode = "run"
	opWatch     opcode = "watch"
	opAbort     opcode = "abort"
)

// request starts an operation. Which fields an operation reads is in the package comment.
type request struct {
	Op       opcode            `json:"op"`
	Network  string            `json:"network,omitempty"`
	Address  string            `json:"address,omitempty"`
	Args     []string          `json:"args,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Dir      string            `json:"dir,omitempty"`
	Path     string            `json:"path,omitempty"`
	Mode     uint32            `json:"mode,omitempty"`
	Size     int64             `json:"size,omitempty"`
	Limit    int64             `json:"limit,omitempty"`
	Terminal string            `json:"terminal,omitempty"`
	Cols     uint16            `json:"cols,omitempty"`
	Rows     uint16            `json:"rows,omitempty"`
	From     int64             `json:"from,omitempty"`
	Stream   uint32            `json:"stream,omitempty"`
	After    int64             `json:"after,omitempty"`
	Run      string            `json:"run,omitempty"`
	Text     string            `json:"text,omitempty"`
}

// response answers a request.
type response struct {
	Code      string   `json:"code,omitempty"`
	Message   string   `json:"message,omitempty"`
	Exit      int      `json:"exit,omitempty"`
	Size      int64    `json:"size,omitempty"`
	Stdout    int64    `json:"stdout,omitempty"`
	Stderr    int64    `json:"stderr,omitempty"`
	Truncated bool     `json:"truncated,omitempty"`
	Terminals []string `json:"terminals,omitempty"`
	Start     int64    `json:"start,omitempty"`
	End       int64    `json:"end,omitempty"`
	Fresh     bool     `json:"fresh,omitempty"`
}

// errProtocol is a breach of the protocol by the other half.
var errProtocol = errors.New("agent protocol broken")

// failures pairs the codes of a failed response with the errors they stand for. The first match names an error.
var failures = []struct {
	code string
	err  error
}{
	{"not_found", sandbox.ErrNotFound},
	{"too_large", sandbox.ErrTooLarge},
	{"invalid", sandbox.ErrInvalid},
	{"capacity", sandbox.ErrCapacity},
	{"refused", syscall.ECONNREFUSED},
	{"timeout", syscall.ETIMEDOUT},
	{"unreachable", syscall.EHOSTUNREACH},
	{"no_space", syscall.ENOSPC},
	{"permission", syscall.EACCES},
}

const (
	codeFailed        = "failed" // no error of its own
	maxFailureMessage = 512
)

// failure turns err into a response.
func failure(err error) *response {
	r := &response{Code: codeFailed, Message: printable(err.Error())}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			r.Code = f.code
			break
		}
	}
	return r
}

// err is the error that the response stands for, nil if it is none.
func (r *response) err() error {
	if r.Code == "" {
		return nil
	}
	msg := printable(r.Message)
	for _, f := range failures {
		if f.code == r.Code {
			return &remoteError{msg: msg, err: f.err}
		}
	}
	return &remoteError{msg: msg}
}

// remoteError is a failure that the node half reported in its own words.
type remoteError struct {
	msg string
	err error
}

func (e *remoteError) Error() string { return "node: " + e.msg }
func (e *remoteError) Unwrap() error { return e.err }

// printable bounds s and takes out what could upset a log or a terminal.
func printable(s string) string {
	if len(s) > maxFailureMessage {
		s = s[:maxFailureMessage]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// writeMessage sends v as one message.
func writeMessage(w io.Writer, v any, limit int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(body) > limit {
		return fmt.Errorf("message of %d bytes: %w", len(body), sandbox.ErrTooLarge)
	}
	buf := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(buf, uint32(len(body)))
	_, err = w.Write(append(buf, body...))
	return err
}

// readMessage reads one message into v. Nothing is allocated on the word of a length over limit.
func readMessage(r io.Reader, v any, limit int) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > uint32(limit) {
		return fmt.Errorf("message of %d bytes: %w", n, errProtocol)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return unexpected(err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("message: %v: %w", printable(err.Error()), errProtocol)
	}
	return nil
}

// unexpected marks an end of stream in the middle of something.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Frame types of an attachment.
const (
	frameInput  = 'i'
	frameResize = 'r'
	frameOutput = 'o'
	frameExit   = 'x'

	frameHeader = 4
	resizeSize  = 4
)

// putFrameHeader writes a frame's header to b[:frameHeader].
func putFrameHeader(b []byte, kind byte, n int) {
	binary.BigEndian.PutUint32(b, uint32(kind)<<24|uint32(n))
}

// parseFrameHeader reads a frame's header.
func parseFrameHeader(b [frameHeader]byte) (kind byte, n int, err error) {
	v := binary.BigEndian.Uint32(b[:])
	kind, n = byte(v>>24), int(v&0xffffff)
	if n > maxFrame {
		return 0, 0, fmt.Errorf("frame of %d bytes: %w", n, errProtocol)
	}
	return kind, n, nil
}

// validTerminalID reports whether id is one that TerminalSpec allows.
func validTerminalID(id string) bool {
	if len(id) < 1 || len(id) > 40 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Event bytes of a watch.
var eventBytes = map[sandbox.EventKind]byte{
	sandbox.EngineUp:     'u',
	sandbox.EngineDown:   'd',
	sandbox.EngineChange: 'c',
	sandbox.ShellPrompt:  'p',
}

// longAgo as a deadline interrupts what waits.
var longAgo = time.Unix(1, 0)
