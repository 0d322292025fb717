package node

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// setUTF8 tells the line discipline that input is UTF-8, as terminal emulators and SSH servers do.
// Without it, Backspace in a program that reads whole lines, such as cat, removes one byte of a
// Chinese character instead of all three.
func setUTF8(tty *os.File) error {
	t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read the terminal's settings: %w", err)
	}
	t.Iflag |= unix.IUTF8
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, t); err != nil {
		return fmt.Errorf("set the terminal to UTF-8: %w", err)
	}
	return nil
}
