package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/docker/docker/api/types/container"
)

const (
	// streamBuffer is the size of the read buffer of a node's connection. Engines write frames of
	// up to 32 KiB; several fit, so a busy terminal needs few system calls.
	streamBuffer = 128 << 10
	// maxErrorText bounds the stored part of an exec's error output.
	maxErrorText = 4 << 10
	// maxFrame is the largest accepted frame. Engines send far smaller ones.
	maxFrame = 16 << 20
)

// dialCommand is run inside a node. It connects its standard streams to the agent's socket.
var dialCommand = []string{"/usr/bin/labnode", "dial"}

// dialExec runs dialCommand in a container and returns its standard streams as a connection.
func (d *Driver) dialExec(ctx context.Context, containerID string) (io.ReadWriteCloser, error) {
	created, err := d.cli.ContainerExecCreate(ctx, containerID, container.ExecOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: dialCommand,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare connection to node: %w", err)
	}
	conn, err := d.startExec(ctx, created.ID)
	if err != nil {
		return nil, fmt.Errorf("connect to node: %w", err)
	}
	return conn, nil
}

// startExec starts an exec and hijacks the HTTP connection as its standard streams. The client
// library's ContainerExecAttach does not return when its context ends while the engine stalls, so
// it can't be used.
func (d *Driver) startExec(ctx context.Context, execID string) (_ *execConn, err error) {
	conn, err := d.cli.Dialer()(ctx)
	if err != nil {
		return nil, err
	}
	// Until stop is called, the end of ctx makes all reads and writes on conn fail.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			conn.Close()
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
		}
	}()
	body, err := json.Marshal(container.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	url := "http://docker/v" + d.cli.ClientVersion() + "/exec/" + execID + "/start"
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, streamBuffer)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	// After 101 the connection is the stream, and there is no body to close.
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
		resp.Body.Close()
		return nil, &execError{Status: resp.StatusCode, Text: string(bytes.TrimSpace(text))}
	}
	return &execConn{conn: conn, r: r}, nil
}

// execError is the engine's error response to an exec, or the error output of the command.
type execError struct {
	Status int
	Text   string
}

func (e *execError) Error() string {
	if e.Status == 0 {
		return "exec failed: " + e.Text
	}
	return fmt.Sprintf("engine answered %d: %s", e.Status, e.Text)
}

// Types of frames in which engines wrap the output of an exec without a TTY.
const (
	frameStdout = 1
	frameStderr = 2
)

// execConn is the standard input and output of an exec as one stream. Read returns the standard
// error output as its final error. One goroutine may call Read while another one writes. Close may
// be called at any time.
type execConn struct {
	conn   net.Conn
	r      *bufio.Reader
	left   int // bytes of the current stdout frame not yet read
	header [8]byte
	stderr bytes.Buffer
}

// Read returns the content of stdout frames.
func (c *execConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.left == 0 {
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// nextFrame reads the header of the next stdout frame. It consumes other frames.
func (c *execConn) nextFrame() error {
	if _, err := io.ReadFull(c.r, c.header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			if c.stderr.Len() > 0 {
				return &execError{Text: string(bytes.TrimSpace(c.stderr.Bytes()))}
			}
			return io.EOF
		}
		return err
	}
	size := binary.BigEndian.Uint32(c.header[4:])
	if size > maxFrame {
		return fmt.Errorf("engine sent a frame of %d bytes", size)
	}
	switch c.header[0] {
	case frameStdout:
		c.left = int(size)
		return nil
	case frameStderr:
		keep := min(int(size), maxErrorText-c.stderr.Len())
		if _, err := io.CopyN(&c.stderr, c.r, int64(keep)); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, c.r, int64(int(size)-keep))
		return err
	default:
		return fmt.Errorf("engine sent a frame of unknown kind %d", c.header[0])
	}
}

func (c *execConn) Write(p []byte) (int, error) { return c.conn.Write(p) }

// Close closes the stream. The command in the node reads an end of file and exits.
func (c *execConn) Close() error { return c.conn.Close() }
