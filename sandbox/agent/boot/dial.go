package boot

import (
	"fmt"
	"net"
	"time"

	"github.com/labd-dev/labd/sandbox/agent/node"
)

const (
	dialWait  = 10 * time.Second // for the agent to listen, for example right after the node's start
	dialPause = 5 * time.Millisecond
)

// runDial passes standard input and output to the agent and waits until it closes them. It must not
// exit earlier, because then the engine closes the stream.
func runDial(path string) error {
	for started := time.Now(); ; time.Sleep(dialPause) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		if err == nil {
			defer conn.Close()
			return node.Handover(conn, 0, 1)
		}
		if time.Since(started) > dialWait {
			return fmt.Errorf("connect to the agent: %w", err)
		}
	}
}
