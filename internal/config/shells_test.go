package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/sandbox"
)

// A node accepts a limited number of shells, so a higher limit per session would never be reached.
func TestShellsPerSessionIsAtMostWhatANodeAccepts(t *testing.T) {
	text := func(n int) []byte { return fmt.Appendf(nil, "[limits]\nshells_per_session = %d\n", n) }
	c, err := config.Parse("lab.toml", text(sandbox.MaxTerminals))
	if err != nil || c.Limits.ShellsPerSession != sandbox.MaxTerminals {
		t.Errorf("%d shells: %d, %v", sandbox.MaxTerminals, c.Limits.ShellsPerSession, err)
	}
	_, err = config.Parse("lab.toml", text(sandbox.MaxTerminals+1))
	if want := fmt.Sprintf("lab.toml:2:1: limits.shells_per_session must be from 1 to %d", sandbox.MaxTerminals); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("one more: %v, want %s", err, want)
	}
}
