package source

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeUnits are the units of a size, largest first.
var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1},
}

// ParseSize parses a number of bytes with a unit: B, KB, MB, GB, TB (powers of 1000), KiB, MiB,
// GiB, TiB (powers of 1024).
func ParseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "BKMGTi ")
	unit := strings.TrimSpace(s[len(number):])
	for _, u := range sizeUnits {
		if u.name != unit {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || !(n >= 0) || n*u.bytes > math.MaxInt64/2 {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("must be a size with its unit like \"768MiB\", not %q", s)
}

// FormatSize formats a number of bytes in the largest unit that gives a whole number.
func FormatSize(n int64) string {
	for _, u := range sizeUnits {
		if n != 0 && n%int64(u.bytes) == 0 {
			return fmt.Sprintf("%d%s", n/int64(u.bytes), u.name)
		}
	}
	return "0B"
}

// Size reads a size like "512MiB" from low to high bytes; 0 if the key is absent.
func (t *Table) Size(key string, low, high int64) int64 {
	s, ok := read[string](t, key, `a size with its unit like "768MiB"`)
	if !ok {
		return 0
	}
	n, err := ParseSize(s)
	switch {
	case err != nil:
		t.Errorf(key, "%s %v", t.Name(key), err)
		return 0
	case n < low || n > high:
		t.Errorf(key, "%s must be from %s to %s, not %q", t.Name(key), FormatSize(low), FormatSize(high), s)
		return 0
	}
	return n
}
