package session

import "slices"

// transitions lists, for each state of something, the states that may follow. Every state of a session is kept behind
// such a table, so no late event can move anything backwards: a session that ends never becomes ready again.
type transitions[S comparable] map[S][]S

// move sets *at to next if the table allows it, and reports whether the state changed.
func (t transitions[S]) move(at *S, next S) bool {
	if !slices.Contains(t[*at], next) {
		return false
	}
	*at = next
	return true
}

// lifeMoves is the life of a session. Failed is entered when the removal begins, because the learner should read why at
// once; a session whose removal began for another reason may still fail.
var lifeMoves = transitions[State]{
	Creating: {Ready, Ending, Failed},
	Ready:    {Ending, Failed},
	Ending:   {Ended, Failed},
	Ended:    {},
	Failed:   {},
}

// stepMoves is the way of a step. What is done stays done, even if its check would fail later.
var stepMoves = transitions[StepState]{
	Locked: {Open},
	Open:   {Done},
	Done:   {},
}

// stackState is where a stack is. A session that is reset gets another stack.
type stackState string

const (
	stackMaking  stackState = "making"  // the driver makes it
	stackOpening stackState = "opening" // it was made by an earlier run of labd, which connects to it again
	stackUp      stackState = "up"
	stackDown    stackState = "down" // labd has let go of it, to leave it or to destroy it
)

var stackMoves = transitions[stackState]{
	stackMaking:  {stackUp, stackDown},
	stackOpening: {stackUp, stackDown},
	stackUp:      {stackDown},
	stackDown:    {},
}

// nodeMoves: a node goes down and comes back any number of times.
var nodeMoves = transitions[NodeState]{
	NodeUp:   {NodeDown},
	NodeDown: {NodeUp},
}

// engineMoves: an engine that is starting can't go down; it is not up yet.
var engineMoves = transitions[EngineState]{
	EngineStarting: {EngineReady},
	EngineReady:    {EngineDown, EngineStarting},
	EngineDown:     {EngineReady, EngineStarting},
}

// connState is where a connection to a shell is.
type connState string

const (
	connOpen   connState = "open"
	connClosed connState = "closed"
)

var connMoves = transitions[connState]{connOpen: {connClosed}, connClosed: {}}
