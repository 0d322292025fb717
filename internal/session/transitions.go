package session

import "slices"

// transitions is the table of a state machine: for each state, the states that may follow. All states of a session change
// through such a table, so a late event can't move anything backwards. For example, a session that ends never becomes
// ready again.
type transitions[S comparable] map[S][]S

// move sets *at to next if the table allows it. It returns false if it does not.
func (t transitions[S]) move(at *S, next S) bool {
	if !slices.Contains(t[*at], next) {
		return false
	}
	*at = next
	return true
}

// lifeMoves is the state machine of a session. A session is Failed as soon as its removal begins, because the learner should
// read the reason at once. A session that ends for another reason may still fail.
var lifeMoves = transitions[State]{
	Creating: {Ready, Ending, Failed},
	Ready:    {Ending, Failed},
	Ending:   {Ended, Failed},
	Ended:    {},
	Failed:   {},
}

// stackState is the state of a stack. A session that is reset gets another stack.
type stackState string

const (
	stackMaking  stackState = "making"  // the driver creates it
	stackOpening stackState = "opening" // labd connects to it after a restart
	stackUp      stackState = "up"
	stackDown    stackState = "down" // labd has disconnected, to leave it or to destroy it
)

var stackMoves = transitions[stackState]{
	stackMaking:  {stackUp, stackDown},
	stackOpening: {stackUp, stackDown},
	stackUp:      {stackDown},
	stackDown:    {},
}

// nodeMoves is the state machine of a node, which can go down and come back any number of times.
var nodeMoves = transitions[NodeState]{
	NodeUp:   {NodeDown},
	NodeDown: {NodeUp},
}

// engineMoves is the state machine of a node's engine. An engine that is starting can't go down, because it is not up yet.
var engineMoves = transitions[EngineState]{
	EngineStarting: {EngineReady},
	EngineReady:    {EngineDown, EngineStarting},
	EngineDown:     {EngineReady, EngineStarting},
}

// connState is the state of a connection to a shell.
type connState string

const (
	connOpen   connState = "open"
	connClosed connState = "closed"
)

var connMoves = transitions[connState]{connOpen: {connClosed}, connClosed: {}}
