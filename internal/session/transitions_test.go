package session

import "testing"

// checkMoves tries every pair of states. want lists the allowed ones.
func checkMoves[S ~string](t *testing.T, what string, table transitions[S], want ...[2]S) {
	t.Helper()
	allowed := map[[2]S]bool{}
	for _, pair := range want {
		allowed[pair] = true
	}
	for from := range table {
		for to := range table {
			at := from
			moved := table.move(&at, to)
			if moved != allowed[[2]S{from, to}] {
				t.Errorf("%s: from %s to %s: moved is %v", what, from, to, moved)
			}
			if moved && at != to || !moved && at != from {
				t.Errorf("%s: from %s to %s ended at %s", what, from, to, at)
			}
		}
	}
}

func TestStatesMoveOnlyAsTheTablesSay(t *testing.T) {
	checkMoves(t, "life", lifeMoves, [2]State{Creating, Ready}, [2]State{Creating, Ending}, [2]State{Creating, Failed},
		[2]State{Ready, Ending}, [2]State{Ready, Failed}, [2]State{Ending, Ended}, [2]State{Ending, Failed})
	checkMoves(t, "stack", stackMoves, [2]stackState{stackMaking, stackUp}, [2]stackState{stackMaking, stackDown},
		[2]stackState{stackOpening, stackUp}, [2]stackState{stackOpening, stackDown}, [2]stackState{stackUp, stackDown})
	checkMoves(t, "node", nodeMoves, [2]NodeState{NodeUp, NodeDown}, [2]NodeState{NodeDown, NodeUp})
	checkMoves(t, "engine", engineMoves, [2]EngineState{EngineStarting, EngineReady}, [2]EngineState{EngineReady, EngineDown},
		[2]EngineState{EngineReady, EngineStarting}, [2]EngineState{EngineDown, EngineReady}, [2]EngineState{EngineDown, EngineStarting})
	checkMoves(t, "connection", connMoves, [2]connState{connOpen, connClosed})
}

// What has an end must reach it from every state, and never come back from it.
func TestFinalStatesAreFinal(t *testing.T) {
	for state, next := range lifeMoves {
		if (state == Ended || state == Failed) != (len(next) == 0) {
			t.Errorf("from %s a session can become %v", state, next)
		}
	}
	if len(stackMoves[stackDown]) != 0 || len(connMoves[connClosed]) != 0 {
		t.Error("a state after the last one")
	}
}
