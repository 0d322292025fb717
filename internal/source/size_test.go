package source_test

import (
	"testing"

	"github.com/labd-dev/labd/internal/source"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{"1B": 1, "1KB": 1000, "1KiB": 1024, "1.5 GiB": 3 << 29, "2TB": 2e12} {
		if got, err := source.ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "5", "MiB", "-1MiB", "1mib", "NaNB", "InfGB", "1e300TB", "5 apples"} {
		if got, err := source.ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d", s, got)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1: "1B", 1 << 20: "1MiB", 3 << 29: "1536MiB", 8e9: "8GB", 1500: "1500B"} {
		if got := source.FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
		if back, err := source.ParseSize(want); err != nil || back != n {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", want, back, err, n)
		}
	}
}
