//go:build !race

package site_test

import "testing"

// TestLiveEqualsBuildForMoreEdits makes more random edits than TestLiveEqualsBuild, which also runs
// with the race detector.
func TestLiveEqualsBuildForMoreEdits(t *testing.T) {
	if testing.Short() {
		t.Skip("some edits are enough for a look")
	}
	editAndCompare(t, 40, 1, 2, 3)
}
