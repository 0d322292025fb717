package sandbox

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// Limits of a Spec.
const (
	maxNodes      = 8       // per stack; a stack's subnet has room for them
	maxImages     = 64      // per node
	maxLabels     = 32      // per stack
	maxLabelKey   = 100     // bytes
	maxLabelValue = 4 << 10 // bytes
	maxEnv        = 64      // per node
	maxEnvValue   = 8 << 10 // bytes
	// maxEnvTotal is the number of bytes of all variables of a node. They fit in an agent's request
	// even if JSON escapes every byte to six.
	maxEnvTotal = 32 << 10
	minMemory   = 64 << 20
	minCPUs     = 0.05
	minPIDs     = 64
	minDisk     = 16 << 20
	maxDisk     = 1 << 40
)

var (
	idPattern   = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	envPattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// CheckID returns an ErrInvalid unless id is a valid stack id.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return invalid("stack id %.60q: must be 1-40 of [a-z0-9-]", id)
	}
	return nil
}

// CheckTerminalID returns an ErrInvalid unless id is a valid terminal id.
func CheckTerminalID(id string) error {
	if !idPattern.MatchString(id) {
		return invalid("terminal id %.60q: must be 1-40 of [a-z0-9-]", id)
	}
	return nil
}

// Check returns an ErrInvalid that says what is wrong with spec, or nil. Drivers call it first.
func (spec Spec) Check() error {
	if err := CheckID(spec.ID); err != nil {
		return err
	}
	if len(spec.Nodes) == 0 {
		return invalid("stack %s has no nodes", spec.ID)
	}
	if len(spec.Nodes) > maxNodes {
		return invalid("stack %s has %d nodes, at most %d are possible", spec.ID, len(spec.Nodes), maxNodes)
	}
	if len(spec.Labels) > maxLabels {
		return invalid("stack %s has %d labels, at most %d are possible", spec.ID, len(spec.Labels), maxLabels)
	}
	for k, v := range spec.Labels {
		if k == "" || len(k) > maxLabelKey || len(v) > maxLabelValue {
			return invalid("label %.60q: keys are 1-%d bytes, values at most %d", k, maxLabelKey, maxLabelValue)
		}
	}
	seen := map[string]bool{}
	for _, n := range spec.Nodes {
		if !namePattern.MatchString(n.Name) {
			return invalid("node name %.80q: must be a DNS label", n.Name)
		}
		if n.Name == "localhost" {
			return invalid("a node can't be named localhost")
		}
		if seen[n.Name] {
			return invalid("two nodes are named %s", n.Name)
		}
		seen[n.Name] = true
		if err := checkNode(n); err != nil {
			return err
		}
	}
	return nil
}

func checkNode(n NodeSpec) error {
	if len(n.Images) > maxImages {
		return invalid("node %s requires %d images, at most %d are possible", n.Name, len(n.Images), maxImages)
	}
	for _, image := range n.Images {
		if !isImageName(image) {
			return invalid("node %s: image %.100q: must be repository:tag", n.Name, image)
		}
	}
	if err := CheckEnv(n.Env); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	if err := n.Limits.Check(); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	return nil
}

// CheckEnv returns an ErrInvalid unless env is a valid set of environment variables for a node.
func CheckEnv(env map[string]string) error {
	if len(env) > maxEnv {
		return invalid("%d environment variables, at most %d are possible", len(env), maxEnv)
	}
	total := 0
	for k, v := range env {
		if !envPattern.MatchString(k) {
			return invalid("environment variable %.60q: must be letters, digits and _", k)
		}
		if len(v) > maxEnvValue || strings.ContainsRune(v, 0) {
			return invalid("environment variable %s: at most %d bytes, none of them NUL", k, maxEnvValue)
		}
		total += len(k) + len(v)
	}
	if total > maxEnvTotal {
		return invalid("environment variables of %d bytes in all, at most %d are possible", total, maxEnvTotal)
	}
	return nil
}

// isImageName reports whether s is repository:tag in the short form that Docker lists images in.
func isImageName(s string) bool {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return false
	}
	_, tagged := named.(reference.Tagged)
	_, digested := named.(reference.Digested)
	return tagged && !digested && reference.FamiliarString(named) == s
}

// Check returns an ErrInvalid unless every limit is zero or within its bounds.
func (l Limits) Check() error {
	switch {
	case l.MemoryBytes != 0 && l.MemoryBytes < minMemory:
		return invalid("memory limit of %d bytes: a node needs at least %d", l.MemoryBytes, minMemory)
	case l.CPUs != 0 && !(l.CPUs >= minCPUs):
		return invalid("CPU limit of %g: must be at least %g", l.CPUs, minCPUs)
	case l.PIDs != 0 && l.PIDs < minPIDs:
		return invalid("limit of %d processes: a node needs at least %d", l.PIDs, minPIDs)
	case l.DiskBytes != 0 && (l.DiskBytes < minDisk || l.DiskBytes > maxDisk):
		return invalid("disk limit of %d bytes: must be %d to %d", l.DiskBytes, minDisk, int64(maxDisk))
	}
	return nil
}
