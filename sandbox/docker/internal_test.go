package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// frame returns a frame of an exec's output, as an engine sends it.
func frame(kind byte, data string) string {
	head := make([]byte, 8)
	head[0] = kind
	binary.BigEndian.PutUint32(head[4:], uint32(len(data)))
	return string(head) + data
}

func testConn(r io.Reader) *execConn {
	a, b := net.Pipe()
	b.Close()
	return &execConn{conn: a, r: bufio.NewReaderSize(r, streamBuffer)}
}

func TestExecStreamIsUnframed(t *testing.T) {
	long := strings.Repeat("x", 3*streamBuffer)
	stream := frame(frameStdout, "one ") + frame(frameStdout, "") + frame(frameStderr, "noise") + frame(frameStdout, "two ") + frame(frameStdout, long)
	for name, r := range map[string]io.Reader{
		"whole":              strings.NewReader(stream),
		"one byte at a time": iotest.OneByteReader(strings.NewReader(stream)),
		"data with the end":  iotest.DataErrReader(strings.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := io.ReadAll(testConn(r))
			var ee *execError
			if !errors.As(err, &ee) || ee.Text != "noise" {
				t.Errorf("the stream ends with %v, want what standard error said", err)
			}
			if string(got) != "one two "+long {
				t.Errorf("got %d bytes, %.20q...", len(got), got)
			}
		})
	}
}

func TestExecStreamRejectsInvalidFrames(t *testing.T) {
	for name, stream := range map[string]string{
		"unknown kind": frame(9, "x"),
		"huge frame":   "\x01\x00\x00\x00\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := io.ReadAll(testConn(strings.NewReader(stream))); err == nil {
				t.Error("it is read to its end")
			}
		})
	}
	t.Run("cut in a header", func(t *testing.T) {
		got, err := io.ReadAll(testConn(strings.NewReader(frame(frameStdout, "abc") + "\x01\x00")))
		if string(got) != "abc" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestExecStreamBoundsStandardError(t *testing.T) {
	var stream strings.Builder
	for range 100 {
		stream.WriteString(frame(frameStderr, strings.Repeat("e", 32<<10)))
	}
	c := testConn(strings.NewReader(stream.String()))
	if _, err := io.ReadAll(c); err == nil {
		t.Error("no error tells of it")
	}
	if c.stderr.Len() > maxErrorText {
		t.Errorf("kept %d bytes", c.stderr.Len())
	}
}

func TestSubnetsAreDisjoint(t *testing.T) {
	p := &pool{prefix: netip.MustParsePrefix("10.9.0.0/26"), taken: map[netip.Prefix]bool{}}
	used := []netip.Prefix{netip.MustParsePrefix("10.9.0.16/30"), netip.MustParsePrefix("172.17.0.0/16")}
	var got []string
	for {
		s, err := p.next(used)
		if err != nil {
			if !errors.Is(err, sandbox.ErrCapacity) {
				t.Errorf("next gives %v, want %v", err, sandbox.ErrCapacity)
			}
			break
		}
		p.taken[s] = true
		got = append(got, s.String())
	}
	if want := []string{"10.9.0.0/28", "10.9.0.32/28", "10.9.0.48/28"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	delete(p.taken, netip.MustParsePrefix("10.9.0.32/28"))
	if s, err := p.next(used); err != nil || s.String() != "10.9.0.32/28" {
		t.Errorf("next gives %v, %v after one was given back", s, err)
	}
	end := &pool{prefix: netip.MustParsePrefix("255.255.255.240/28"), taken: map[netip.Prefix]bool{}}
	if s, err := end.next(nil); err != nil || s.String() != "255.255.255.240/28" {
		t.Errorf("next gives %v, %v at the end of all addresses", s, err)
	}
	end.taken[end.prefix] = true
	if _, err := end.next(nil); !errors.Is(err, sandbox.ErrCapacity) {
		t.Errorf("next gives %v behind the end of all addresses", err)
	}
}

func TestBridgeNamesFitTheKernel(t *testing.T) {
	a, b := bridgeName(wiredInternal, "labd_x_a"), bridgeName(wiredInternet, "labd_x_a")
	for _, name := range []string{a, b} {
		if len(name) > 15 || !strings.HasPrefix(name, bridgePrefix) {
			t.Errorf("bridge %q", name)
		}
	}
	if a == b || bridgeName(wiredInternal, "labd_x_b") == a {
		t.Error("two networks have one bridge")
	}
}

func TestUndoRunsInReverseAndContinuesAfterErrors(t *testing.T) {
	var u undo
	var order []string
	for i := range 3 {
		u.Push(fmt.Sprint("step ", i), func(ctx context.Context) error {
			if ctx.Err() != nil {
				t.Error("a step gets a context that has ended")
			}
			order = append(order, fmt.Sprint(i))
			if i == 1 {
				return errors.New("stuck")
			}
			return nil
		})
	}
	err := u.Run()
	if err == nil || !strings.Contains(err.Error(), "step 1: stuck") {
		t.Errorf("Run gives %v", err)
	}
	if got := strings.Join(order, ""); got != "210" {
		t.Errorf("steps ran in the order %s, want 210", got)
	}
	u.Push("never", func(context.Context) error { t.Error("a released step ran"); return nil })
	u.Release()
	if err := u.Run(); err != nil {
		t.Errorf("Run gives %v after Release", err)
	}
}

// After a protocol violation the client rejects every call immediately, for as long as the learner
// continues.
func TestWaitingForAHostileAgentDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), agentPatience, errors.New("patience is over"))
		defer cancel()
		attempts := 0
		err := await(ctx, func(context.Context) error {
			if attempts++; attempts > 1000 {
				cancel()
			}
			return fmt.Errorf("%w: %w", wire.ErrProtocol, sandbox.ErrNodeDown)
		})
		if err == nil || err.Error() != "patience is over" {
			t.Errorf("await gives %v after %d attempts", err, attempts)
		}
		if attempts < 10 || attempts > 200 {
			t.Errorf("%d attempts in %s", attempts, agentPatience)
		}
	})
}

func TestHostResolvers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stub := write("stub", "# systemd-resolved\nnameserver 127.0.0.53\noptions edns0\n")
	cloud := write("cloud", "nameserver 169.254.169.254\nnameserver ::1\n")
	real := write("real", "search lan\nnameserver 192.168.1.1\nnameserver 9.9.9.9 # comment\nnameserver fd00::1\n")
	if got := fmt.Sprint(hostResolvers(stub, cloud, filepath.Join(dir, "none"), real)); got != "[192.168.1.1 9.9.9.9]" {
		t.Errorf("resolvers are %s", got)
	}
	if got := hostResolvers(stub, cloud); got != nil {
		t.Errorf("resolvers are %v, want none", got)
	}
}

func TestEffectiveLimits(t *testing.T) {
	got := effectiveLimits(sandbox.Limits{PIDs: 100}, sandbox.Limits{MemoryBytes: 1 << 30, PIDs: 200, CPUs: 0.25})
	if want := (sandbox.Limits{MemoryBytes: 1 << 30, PIDs: 100, CPUs: 0.25}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := effectiveLimits(sandbox.Limits{CPUs: 9999}, sandbox.Limits{}); got.CPUs >= 9999 || got.MemoryBytes != defaultMemory || got.PIDs != defaultPIDs {
		t.Errorf("got %+v", got)
	}
}

// The demultiplexer must never limit a node's output.
func BenchmarkExecStream(b *testing.B) {
	data := []byte(frame(frameStdout, strings.Repeat("x", 32<<10)))
	r := &repeating{data: data}
	c := testConn(r)
	buf := make([]byte, 64<<10)
	b.SetBytes(32 << 10)
	b.ReportAllocs()
	for b.Loop() {
		for got := 0; got < 32<<10; {
			n, err := c.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			got += n
		}
	}
}

// repeating returns data again and again.
type repeating struct {
	data []byte
	at   int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.data[r.at:])
	r.at = (r.at + n) % len(r.data)
	return n, nil
}

func FuzzExecStream(f *testing.F) {
	f.Add([]byte(frame(frameStdout, "abc") + frame(frameStderr, "def")))
	f.Add([]byte{1, 0, 0, 0, 255})
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, _ := io.ReadAll(testConn(bytes.NewReader(stream)))
		if len(got) > len(stream) {
			t.Errorf("%d bytes came out of %d", len(got), len(stream))
		}
	})
}
