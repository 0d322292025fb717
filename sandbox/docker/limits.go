package docker

import (
	"fmt"
	"runtime"

	"github.com/labd-dev/labd/sandbox"
)

// Default limits if neither the Spec nor Config.Defaults has one. The default disk size is the
// template's.
const (
	defaultMemory = 2 << 30
	defaultCPUs   = 2
	defaultPIDs   = 4096
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{sandbox.ErrInvalid}, args...)...)
}

// withDefaults fills the zero fields of l from d.
func withDefaults(l, d sandbox.Limits) sandbox.Limits {
	if l.MemoryBytes == 0 {
		l.MemoryBytes = d.MemoryBytes
	}
	if l.CPUs == 0 {
		l.CPUs = d.CPUs
	}
	if l.PIDs == 0 {
		l.PIDs = d.PIDs
	}
	if l.DiskBytes == 0 {
		l.DiskBytes = d.DiskBytes
	}
	return l
}

// effectiveLimits returns a node's limits: its own, else the operator's, else the driver's.
func effectiveLimits(l, operator sandbox.Limits) sandbox.Limits {
	l = withDefaults(l, operator)
	l = withDefaults(l, sandbox.Limits{MemoryBytes: defaultMemory, CPUs: defaultCPUs, PIDs: defaultPIDs})
	// Engines reject more CPUs than the host has, and labs are written for other hosts too.
	l.CPUs = min(l.CPUs, float64(runtime.NumCPU()))
	return l
}
