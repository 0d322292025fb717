// Package wire is the protocol between the agent's client in labd (package agent) and its server in
// a node (package node). It runs over any byte stream.
//
// # Connection
//
// The client writes the 16 bytes of Hello, and the server answers with its own. They contain the
// version; a client and a server of different versions close the connection at once. After that the
// connection is one yamux session. Only the client opens streams and sends keepalive pings. A
// server that does either violates the protocol, and the client closes the session.
//
// # Operations
//
// Each stream is one operation. The client sends one request message and the server answers with
// one response message; what follows depends on the operation. A message is a 4-byte big-endian
// length and that many bytes of JSON, at most maxRequest or maxResponse. Requests are of type
// Request, responses of type Response. A response with "code" set reports an error and ends the
// stream. New operations and optional fields do not change the version: a server that does not know
// an operation answers with the code "invalid".
//
//	op          request fields            before the response     after the response
//	ping        -                         -                       -
//	dial        network, address          -                       raw bytes both ways; FIN is half-close
//	env         env                       -                       -
//	exec        args, env, dir, size,     size bytes of stdin     stdout bytes, then stderr bytes, as many as the
//	            limit                                             response says
//	read        path, limit               -                       size bytes
//	write       path, mode, size          size bytes              -
//	open        terminal, cols, rows      -                       -
//	terminals   -                         -                       -
//	close       terminal                  -                       -
//	attach      terminal, from, cols,     -                       frames both ways
//	            rows
//	run         stream, after, run, text  -                       -
//	watch       -                         -                       one byte for each event
//	abort       stream                    -                       -
//
// The client cancels an operation with an abort that names the operation's stream. A FIN is not
// enough: the server does not see it behind data that it has not read. On an abort the server
// kills, closes or detaches whatever belongs to the operation.
//
// env replaces the variables that an earlier env has set. They apply to shells and commands that
// start later.
//
// # Frames of attach
//
// A frame is one type byte, a 3-byte big-endian length and that many bytes, at most maxFrame.
//
//	from client   'i' input bytes     'r' resize: columns and rows, two bytes each, big-endian
//	from server   'o' output bytes    'x' the shell has ended and all output was sent; nothing follows
//
// run types text after the server has processed as many input bytes of the attachment as "after"
// says. So the text keeps its position among the keys, and nobody needs to read the output for it.
//
// # Events
//
// A watch begins with the engine's current state. Then it sends 'u' engine up, 'd' engine down, 'c'
// engine change and 'p' shell prompt. The first event of a burst is sent at once, and each kind at
// most once per EventGap.
//
// # Trust
//
// The learner is root in the node and may have replaced the server by anything. The client bounds
// what it reads in size and time, rejects invalid frames before the multiplexer sees them, and
// closes the session at the first violation. The server bounds what it reads too, so that a bug in
// labd does not take a node down.
package wire
