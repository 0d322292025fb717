// Package isolation lists the isolation profiles of the Docker driver.
//
// A profile is one entry of the table in All. Everything that depends on the profile reads a field of its entry: lab.toml
// accepts the names, labd refuses SharesKernel where strangers can reach it, labs with isolation = "full" need
// Fidelity Full, and setup installs gVisor only for the profile whose Runtime is gVisor's. A new profile, such as a
// microVM that the engine knows as a runtime, is a new entry here.
package isolation

import (
	"slices"

	"github.com/labd-dev/labd/sandbox"
)

// Profile is a sandbox.Profile with the OCI runtime that provides it.
type Profile struct {
	sandbox.Profile
	Runtime string // name of the runtime in the engine's list of runtimes
}

// GVisor is the default profile.
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

// Runc is the profile for learners that the operator trusts.
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

// Find returns the profile with the name.
func Find(name string) (Profile, bool) {
	i := slices.IndexFunc(All(), func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	return All()[i], true
}
