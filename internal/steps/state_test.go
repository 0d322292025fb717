package steps

import "testing"

func TestStepMovesForwardOnly(t *testing.T) {
	allowed := map[[2]State]bool{{Locked, Open}: true, {Open, Done}: true}
	for _, from := range order {
		for _, to := range order {
			at := from
			moved := at.advance(to)
			if moved != allowed[[2]State{from, to}] || moved && at != to || !moved && at != from {
				t.Errorf("from %s to %s: moved is %v, and it is %s", from, to, moved, at)
			}
		}
	}
}
