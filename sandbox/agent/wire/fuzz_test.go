package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func FuzzReadMessage(f *testing.F) {
	for _, s := range []string{"", "\x00", "\x00\x00\x00\x02{}", "\x00\x00\x00\x0d{\"size\":\"x\"}", "\xff\xff\xff\xff", "\x00\x00\x00\x10{\"terminals\":[1]}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		resp, err := ReadResponse(bytes.NewReader(b))
		if _, err2 := ReadResponse(iotest.OneByteReader(bytes.NewReader(b))); (err == nil) != (err2 == nil) {
			t.Fatalf("%v, but byte by byte %v", err, err2)
		}
		if err != nil {
			return
		}
		if e := resp.Err(); e != nil && (len(e.Error()) > 2*maxFailureMessage || strings.ContainsAny(e.Error(), "\x1b\x00\n")) {
			t.Fatalf("unfit to show: %q", e)
		}
	})
}

// The guard may receive the stream in pieces of any size and must decide the same. What it accepts
// contains no stream or ping that the server opened.
func FuzzGuard(f *testing.F) {
	frame := func(kind byte, flags uint16, id, length uint32, body string) []byte {
		b := binary.BigEndian.AppendUint16([]byte{0, kind}, flags)
		b = binary.BigEndian.AppendUint32(b, id)
		return append(binary.BigEndian.AppendUint32(b, length), body...)
	}
	f.Add(frame(0, 0, 1, 3, "abc"), 1)
	f.Add(append(frame(0, 2, 1, 3, "abc"), frame(1, 1, 2, 0, "")...), 5)
	f.Add(frame(2, 1, 0, 0, ""), 3)
	f.Add(frame(0, 0, 1, 1<<31, "x"), 12)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		whole, err := io.ReadAll(newTestGuard(b))
		parts := newTestGuard(b)
		var got []byte
		var err2 error
		buf := make([]byte, 1+abs(cut)%32)
		for err2 == nil {
			var n int
			n, err2 = parts.Read(buf)
			got = append(got, buf[:n]...)
		}
		if (err == nil) != (err2 == io.EOF) {
			t.Fatalf("whole: %v, in parts: %v", err, err2)
		}
		if err == nil && (!bytes.Equal(whole, b) || !bytes.Equal(got, b)) {
			t.Fatal("the guard changed what passed")
		}
		for rest := got; err == nil && len(rest) >= muxHeader; {
			if binary.BigEndian.Uint16(rest[2:])&muxFlagSYN != 0 {
				t.Fatal("a stream or ping of the node's own passed")
			}
			skip := uint32(0)
			if rest[1] == muxTypeData {
				skip = binary.BigEndian.Uint32(rest[8:])
			}
			rest = rest[min(len(rest), muxHeader+int(skip)):]
		}
	})
}

func newTestGuard(b []byte) *guard {
	l := &ledger{}
	l.bytes.Store(1 << 20)
	return &guard{ReadWriteCloser: pipeEnd{bytes.NewReader(b)}, ledger: l}
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

type pipeEnd struct{ io.Reader }

func (pipeEnd) Write(p []byte) (int, error) { return len(p), nil }
func (pipeEnd) Close() error                { return nil }

// Everything that yamux writes passes through the joiner unchanged, in fewer writes.
func FuzzJoiner(f *testing.F) {
	f.Add([]byte("hello"), 3)
	f.Add(bytes.Repeat([]byte("x"), 6000), 1)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		var want bytes.Buffer
		out := &countingConn{}
		j := newJoiner(out, &ledger{})
		for range 1 + abs(n)%4 {
			for _, kind := range []byte{muxTypeWindow, muxTypeData} {
				head := make([]byte, muxHeader)
				head[1] = kind
				binary.BigEndian.PutUint32(head[8:], uint32(len(body)))
				want.Write(head)
				if m, err := j.Write(head); m != len(head) || err != nil {
					t.Fatal(m, err)
				}
				if kind == muxTypeData && len(body) > 0 {
					want.Write(body)
					if m, err := j.Write(body); m != len(body) || err != nil {
						t.Fatal(m, err)
					}
				}
			}
		}
		if !bytes.Equal(out.Bytes(), want.Bytes()) {
			t.Fatal("changed on the way")
		}
	})
}

type countingConn struct{ bytes.Buffer }

func (*countingConn) Close() error { return nil }
