package conformance

import (
	"bytes"
	"fmt"
	"strings"
)

// Reference names the plain Docker engine among the profiles.
const Reference = "plain"

// Report returns docs/fidelity.md: every behaviour that differs on the given profiles, with its reason.
// It needs no run, because a run fails if a behaviour differs that is not named, or if a named one does
// not differ.
func Report(all []Behaviour, profiles ...string) []byte {
	var out bytes.Buffer
	out.WriteString("# How a node differs from a Docker host\n\n" +
		"`sandbox/conformance/behaviours` holds scripts with the output that a plain Docker engine gives. `make\n" +
		"conformance` runs them in nodes and on a plain engine of the same version on the host's kernel, and fails\n" +
		"if the tables below are incomplete or out of date. A test keeps this page equal to the scripts.\n\n" +
		"| engine | as on a Docker host | of |\n| --- | --- | --- |\n")
	for _, profile := range profiles {
		same := len(all)
		for _, b := range all {
			if _, ok := b.Differs[profile]; ok {
				same--
			}
		}
		fmt.Fprintf(&out, "| %s | %d | %d |\n", engineName(profile), same, len(all))
	}
	for _, profile := range profiles {
		fmt.Fprintf(&out, "\n## %s\n\n| subject | behaviour | why it differs |\n| --- | --- | --- |\n", engineName(profile))
		for _, b := range all {
			if reason, ok := b.Differs[profile]; ok {
				fmt.Fprintf(&out, "| %s | %s | %s |\n", escape(b.Subject), escape(b.Name), escape(reason))
			}
		}
	}
	return out.Bytes()
}

func engineName(profile string) string {
	if profile == Reference {
		return "Plain Docker engine (the reference)"
	}
	return "Profile `" + profile + "`"
}

// escape keeps a text within its cell of a Markdown table.
func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
