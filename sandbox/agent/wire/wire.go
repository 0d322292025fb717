package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/labd-dev/labd/sandbox"
)

// Limits that client and server agree on. Changing one of them changes the version in Hello.
const (
	Hello = "labnode agent 1\n"

	maxRequest  = 208 << 10 // bytes of a request's JSON; each byte of a run's text may need an escape sequence
	maxResponse = 32 << 10  // bytes of a response's JSON
	maxFrame    = 64 << 10  // payload of an attach frame

	MaxTransfer = 64 << 20 // bytes of a file, of stdin or of an output stream
	MaxStreams  = 256      // concurrent operations in one session
)

// Times that client and server rely on.
const (
	HelloTimeout = 10 * time.Second      // for the other side's hello
	DialTimeout  = 30 * time.Second      // for a connection that the server makes inside the node
	EventGap     = 50 * time.Millisecond // between two events of one watch
)

const chunk = 32 << 10 // bytes of a body written at a time

// Opcode names an operation.
type Opcode string

const (
	OpPing      Opcode = "ping"
	OpDial      Opcode = "dial"
	OpEnv       Opcode = "env"
	OpExec      Opcode = "exec"
	OpRead      Opcode = "read"
	OpWrite     Opcode = "write"
	OpOpen      Opcode = "open"
	OpTerminals Opcode = "terminals"
	OpClose     Opcode = "close"
	OpAttach    Opcode = "attach"
	OpRun       Opcode = "run"
	OpWatch     Opcode = "watch"
	OpAbort     Opcode = "abort"
)

// Request starts an operation. The package comment says which fields each operation uses.
type Request struct {
	Op       Opcode            `json:"op"`
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

// Response answers a request.
type Response struct {
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

// ErrProtocol means that the other side violated the protocol.
var ErrProtocol = errors.New("agent protocol violated")

// failures maps error codes to errors. The first entry that matches an error is used.
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
	codeFailed        = "failed" // any other error
	maxFailureMessage = 512
)

// Failure converts err to a response.
func Failure(err error) *Response {
	r := &Response{Code: codeFailed, Message: Printable(err.Error())}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			r.Code = f.code
			break
		}
	}
	return r
}

// Err returns the error in the response, nil if there is none.
func (r *Response) Err() error {
	if r.Code == "" {
		return nil
	}
	msg := Printable(r.Message)
	for _, f := range failures {
		if f.code == r.Code {
			return &RemoteError{msg: msg, err: f.err}
		}
	}
	return &RemoteError{msg: msg}
}

// RemoteError is an error that the server reported, with its message.
type RemoteError struct {
	msg string
	err error
}

func (e *RemoteError) Error() string { return "node: " + e.msg }
func (e *RemoteError) Unwrap() error { return e.err }

// Printable shortens s and replaces what could disturb a log or a terminal.
func Printable(s string) string {
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

// WriteRequest sends a request. ErrTooLarge if it is larger than maxRequest.
func WriteRequest(w io.Writer, r *Request) error { return writeMessage(w, r, maxRequest) }

// ReadRequest reads a request.
func ReadRequest(r io.Reader) (*Request, error) {
	req := &Request{}
	return req, readMessage(r, req, maxRequest)
}

// WriteResponse sends a response.
func WriteResponse(w io.Writer, r *Response) error { return writeMessage(w, r, maxResponse) }

// ReadResponse reads a response, which may report an error.
func ReadResponse(r io.Reader) (*Response, error) {
	resp := &Response{}
	return resp, readMessage(r, resp, maxResponse)
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

// readMessage reads one message into v. It checks the length before it allocates.
func readMessage(r io.Reader, v any, limit int) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > uint32(limit) {
		return fmt.Errorf("message of %d bytes: %w", n, ErrProtocol)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return unexpected(err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("message: %v: %w", Printable(err.Error()), ErrProtocol)
	}
	return nil
}

// unexpected converts io.EOF in the middle of a message to io.ErrUnexpectedEOF.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteChunks sends data in pieces, so that yamux copies little at a time and other streams wait
// only for one piece.
func WriteChunks(w io.Writer, data []byte) (int, error) {
	total := 0
	for len(data) > 0 {
		n, err := w.Write(data[:min(len(data), chunk)])
		total += n
		if err != nil {
			return total, err
		}
		data = data[n:]
	}
	return total, nil
}

// ReadN reads exactly n bytes. The buffer grows as they arrive, because the announced length is
// untrusted.
func ReadN(r io.Reader, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, n); err != nil {
		return nil, unexpected(err)
	}
	return buf.Bytes(), nil
}

// Frame types of an attachment.
const (
	FrameInput  = 'i'
	FrameResize = 'r'
	FrameOutput = 'o'
	FrameExit   = 'x'

	FrameHeader = 4
	ResizeSize  = 4
)

// PutFrameHeader writes a frame's header to b[:FrameHeader].
func PutFrameHeader(b []byte, kind byte, n int) {
	binary.BigEndian.PutUint32(b, uint32(kind)<<24|uint32(n))
}

// ParseFrameHeader reads a frame's header.
func ParseFrameHeader(b [FrameHeader]byte) (kind byte, n int, err error) {
	v := binary.BigEndian.Uint32(b[:])
	kind, n = byte(v>>24), int(v&0xffffff)
	if n > maxFrame {
		return 0, 0, fmt.Errorf("frame of %d bytes: %w", n, ErrProtocol)
	}
	return kind, n, nil
}

// EventByte is the byte that a watch sends for an event.
func EventByte(kind sandbox.EventKind) byte {
	switch kind {
	case sandbox.EngineUp:
		return 'u'
	case sandbox.EngineDown:
		return 'd'
	case sandbox.EngineChange:
		return 'c'
	case sandbox.ShellPrompt:
		return 'p'
	}
	return 0
}
