package gvisor

// basicPatches returns the bug fixes that terminals and the start of containers need.
func basicPatches() []patch {
	const (
		lineDiscipline = "pkg/sentry/fsimpl/devpts/line_discipline.go"
		queueFile      = "pkg/sentry/fsimpl/devpts/queue.go"
	)
	return []patch{{
		// open(2) of a FIFO blocks until the other end is opened. Linux restarts it after a signal
		// whose handler has SA_RESTART, but gVisor returns EINTR. runc's init process blocks there
		// between create and start, and the Go runtime signals its own threads, so on a busy
		// machine some containers failed with "cannot start a stopped process".
		File: "pkg/sentry/kernel/pipe/vfs.go", Old: "linuxerr.EINTR\n", New: "linuxerr.ERESTARTSYS\n", Times: 2,
	}, {
		// ECHOCTL: Linux echoes a control character as ^X. gVisor accepts the flag but echoes the
		// character itself, so an arrow key that is pressed while a command runs moves the cursor,
		// and a terminal's answer to a query is echoed as a new query, which the terminal answers
		// again. See echo_char in Linux's drivers/tty/n_tty.c.
		File: lineDiscipline, Times: 1,
		Old: "\t\t\tl.outQueue.writeBytes(cBytes, l)\n",
		New: "\t\t\tl.outQueue.writeBytes(l.echo(cBytes), l)\n",
	}, {
		// The same for the characters that send a signal, which gVisor does not echo at all: Ctrl-C
		// shows ^C. See n_tty_receive_signal_char.
		File: lineDiscipline, Times: 3,
		Old: "\t\t\tif l.termios.LEnabled(linux.ISIG) {\n",
		New: "\t\t\tif l.termios.LEnabled(linux.ISIG) {\n" +
			"\t\t\t\tif l.termios.LEnabled(linux.ECHO) {\n" +
			"\t\t\t\t\tl.outQueue.writeBytes(l.echo(cBytes), l)\n" +
			"\t\t\t\t\tnotifyEcho = true\n" +
			"\t\t\t\t}\n",
	}, {
		// An end of file (Ctrl-D at the start of a line) was lost if more input waited behind it,
		// for example when a learner pastes a text for cat, Ctrl-D and the next command.
		File: queueFile, Times: 1,
		Old: "return int64(n) + int64(pktHdrLen), nPushed > 0, notifyEcho, nil",
		New: "return int64(n) + int64(pktHdrLen), nPushed > 0 && n > 0, notifyEcho, nil",
	}, {
		// Linux handles Ctrl-C, Ctrl-\\ and Ctrl-Z at once and discards the input that nobody has
		// read yet, unless NOFLSH is set. gVisor kept them behind a line that waited to be read:
		// after a learner had typed ahead, or pasted several commands, Ctrl-C did not end the first
		// one. See isig in n_tty.c.
		File: queueFile, Times: 1,
		Old: "\t\tq.waitBufAppend(buf)\n",
		New: "\t\tq.waitBufAppend(l.discardBeforeSignal(q, buf))\n",
	}, {
		File: lineDiscipline, Times: 1,
		Old: "// peek returns the size in bytes",
		New: `// discardBeforeSignal discards all unread input of q if the new input buf has characters that send a signal. It returns
// what is left of buf: these characters, and what follows the last one.
func (l *lineDiscipline) discardBeforeSignal(q *queue, buf []byte) []byte {
	if q != &l.inQueue || !l.termios.LEnabled(linux.ISIG) || l.termios.LEnabled(linux.NOFLSH) {
		return buf
	}
	var signals []byte
	rest := 0
	for i, c := range buf {
		switch c {
		case 0: // a control character that is turned off
		case l.termios.ControlCharacters[linux.VINTR], l.termios.ControlCharacters[linux.VQUIT], l.termios.ControlCharacters[linux.VSUSP]:
			signals = append(signals, c)
			rest = i + 1
		}
	}
	if signals == nil {
		return buf
	}
	q.readBuf, q.readable = nil, false
	q.waitBuf, q.waitBufLen = nil, 0
	return append(signals, buf[rest:]...)
}

// peek returns the size in bytes`,
	}, {
		File: lineDiscipline, Times: 1,
		Old: "// shouldDiscard returns whether c should be discarded.",
		New: `// echo returns what is echoed for c: with ECHOCTL, ^X for a control character.
func (l *lineDiscipline) echo(c []byte) []byte {
	if !l.termios.LEnabled(linux.ECHOCTL) || c[0] >= ' ' && c[0] != 0x7f || c[0] == '\n' || c[0] == '\t' {
		return c
	}
	return []byte{'^', c[0] ^ 0x40}
}

// shouldDiscard returns whether c should be discarded.`,
	}}
}
