package setup

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// socketOwner returns the process id of the process that listens on a Unix socket.
func socketOwner(path string) (int, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, fmt.Errorf("owner of %s: %w", path, credErr)
	}
	return int(cred.Pid), nil
}
