package boot

import (
	"fmt"
	"net"
	"time"

	"github.com/labd-dev/labd/sandbox/agent/node"
)

const (
	dialWait  = 10 * time.Second // for the agent to listen, as right after the node's start
	dialPause = 5 * time.Millisecond
)

// runDial gives the agent standard input and output, and stays until it is done with them: the engine ends the stream
// when this process ends.
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
