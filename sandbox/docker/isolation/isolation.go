// Package isolation lists the isolation profiles of the Docker driver.
//
// All returns the table of profiles. Code that depends on the profile reads a field of its entry:
// lab.toml accepts the names, labd refuses a profile with SharesKernel where strangers can reach
// it, a lab with isolation = "full" needs FidelityFull, and setup installs gVisor only for the
// profile whose Runtime is gVisor's. To add a profile, for example a microVM that the engine knows
// as a runtime, add an entry.
package isolation

import (
	"slices"

	"github.com/labd-dev/labd/sandbox"
)

// Profile is a sandbox.Profile and the OCI runtime that implements it.
type Profile struct {
	sandbox.Profile
	Runtime string // name of the runtime in the engine's configuration
}

// GVisor returns the default profile.
func GVisor() Profile {
	return Profile{
		Profile: sandbox.Profile{
			Name:     "gvisor",
			Fidelity: sandbox.FidelityMost,
			Reason:   "Nodes run on gVisor's user-space kernel. It lacks some features of Linux, and root in a node has no rights on the host.",
		},
		Runtime: "runsc",
	}
}

// Runc returns the profile for learners whom the operator trusts.
func Runc() Profile {
	return Profile{
		Profile: sandbox.Profile{
			Name:         "runc",
			Fidelity:     sandbox.FidelityFull,
			SharesKernel: true,
			Reason:       "Nodes run on the host's kernel with wide capabilities. Every feature of Linux works, and a learner can become root on the host.",
		},
		Runtime: "runc",
	}
}

// All returns every profile, the default one first.
func All() []Profile { return []Profile{GVisor(), Runc()} }

// Names returns the names of all profiles, the default one first.
func Names() []string {
	var names []string
	for _, p := range All() {
		names = append(names, p.Name)
	}
	return names
}

// Find returns the profile with the given name.
func Find(name string) (Profile, bool) {
	i := slices.IndexFunc(All(), func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	return All()[i], true
}
