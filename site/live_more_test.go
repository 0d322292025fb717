//go:build !race

package site_test

import "testing"

// TestLiveIsWhatABuildWouldMakeOfOtherEdits goes on where the test of that name, which the race detector looks at too, ends.
func TestLiveIsWhatABuildWouldMakeOfOtherEdits(t *testing.T) {
	if testing.Short() {
		t.Skip("some edits are enough for a look")
	}
	editAndCompare(t, 40, 1, 2, 3)
}
