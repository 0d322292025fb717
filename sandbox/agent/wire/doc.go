// Package wire is the protocol between the two halves of the agent: labd's half (package agent) and the node's half
// (package node) speak it over any byte stream.
//
// # Connection
//
// The labd half writes the 16 bytes of Hello, the node half answers with its own. They carry the version; halves of
// different versions part at once. From there on the connection is one yamux session in which only the labd half
// opens streams and only the labd half sends keepalive pings. A node half that opens a stream or pings breaks the
// protocol, and the session with it.
//
// # Operations
//
// Each stream is one operation. It starts with one request message; the node half answers with one response message;
// what follows depends on the operation. A message is a 4-byte big-endian length and that many bytes of JSON, at most
// maxRequest or maxResponse. The JSON of a request is type Request, that of a response is type Response. A response with
// "code" set is a failure and ends the stream.
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
// The labd half gives an operation up by an abort that names the operation's stream, because a FIN can't be seen behind
// data that nobody reads. The node half then kills, closes or detaches what the operation held.
//
// An env replaces the variables that an earlier one had set, for shells and commands that start later.
//
// # Frames of attach
//
// A frame is one type byte, a 3-byte big-endian length and that many bytes, at most maxFrame.
//
//	from labd   'i' input bytes     'r' resize: columns and rows, two bytes each, big-endian
//	from node   'o' output bytes    'x' the shell ended and all of its output was sent; nothing follows
//
// A run types text once it has taken in as many input bytes of the attachment as "after" says, so it keeps its place
// among the keys without needing anybody to read the output.
//
// # Events
//
// A watch begins with the engine's present state and then sends 'u' engine up, 'd' engine down, 'c' engine change,
// 'p' shell prompt. The first of a burst is sent at once, and each kind at most once per EventGap.
//
// # Trust
//
// The learner is root in the node and may have replaced the node half by anything. The labd half bounds what it reads in
// size and time, refuses frames that the protocol does not have before the multiplexer sees them, and closes the session
// on the first breach. The node half bounds what it reads too, so that a mistake in labd does not end a node.
package wire
