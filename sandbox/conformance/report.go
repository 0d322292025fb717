package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reference names the plain Docker engine among the profiles.
const Reference = "plain"

// Report returns docs/fidelity.md: how far each profile behaves as a plain Docker engine, and every
// difference with its reason.
func Report(results map[string][]Result) []byte {
	var out bytes.Buffer
	out.WriteString("# How a node differs from a Docker host\n\n" +
		"`make conformance` wrote this page. It runs the scripts of `sandbox/conformance/behaviours` in nodes of\n" +
		"each isolation profile and on a plain Docker engine of the same version, and compares what they print.\n\n" +
		"| engine | as expected | of |\n| --- | --- | --- |\n")
	profiles := slices.Sorted(maps.Keys(results))
	for _, profile := range profiles {
		passed := 0
		for _, r := range results[profile] {
			if r.Passed {
				passed++
			}
		}
		fmt.Fprintf(&out, "| %s | %d | %d |\n", engineName(profile), passed, len(results[profile]))
	}
	for _, profile := range profiles {
		var rows []string
		for _, r := range results[profile] {
			if reason, ok := r.Differs[profile]; ok {
				rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", r.Subject, escape(r.Name), escape(reason)))
			}
		}
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n## %s\n\n| subject | behaviour that differs | reason |\n| --- | --- | --- |\n%s", engineName(profile), strings.Join(rows, ""))
	}
	return out.Bytes()
}

func engineName(profile string) string {
	if profile == Reference {
		return "Plain Docker engine (the reference)"
	}
	return "Profile " + profile
}

// escape keeps a text within its cell of a Markdown table.
func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
