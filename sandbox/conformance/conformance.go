// Package conformance compares a node's Docker engine with a plain one.
//
// A behaviour is a short script and the output that a plain Docker engine gives for it. The files in
// behaviours/ hold them by subject. Each file starts with a title:
//
//	# Networks, names, ports
//
// Each behaviour is
//
//	=== name of the behaviour {core}
//	differs gvisor: the reason why this profile cannot do it
//	script
//	---
//	expected output
//
// The mark {core} puts a behaviour into the part that every test run includes; without a mark only the
// full run includes it. A "differs" line names one isolation profile and the reason, which goes into
// docs/fidelity.md. There may be several. A behaviour must fail on the profiles it names and pass on
// all others, so the table can neither hide a fault nor name one that was fixed.
//
// # Scripts
//
// bash runs a script as root, in a new empty folder, with standard error joined to standard output.
// Scripts may use the images of the seed. Images that they build are called t/NAME. The function
//
//	until_ok COMMAND ARGS...
//
// repeats a command for up to 20 seconds until it succeeds. After each script, Run removes its
// containers, networks, volumes, images and swarm.
//
// # Expected output
//
// Lines must be equal, apart from white space at their ends. In an expected line, … stands for any
// text. A line that is only … stands for any number of lines, including none.
package conformance

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed behaviours
var files embed.FS

// Behaviours returns the suite, in the order of its files.
func Behaviours() ([]Behaviour, error) {
	dir, err := fs.Sub(files, "behaviours")
	if err != nil {
		return nil, err
	}
	return Parse(dir)
}

// Behaviour is one thing that Docker does.
type Behaviour struct {
	Subject string // title of its file
	Name    string
	File    string
	Line    int
	Core    bool              // part of every test run
	Differs map[string]string // isolation profile to the reason why it differs
	Script  string
	Want    string
}

// Parse reads the *.txt files of dir.
func Parse(dir fs.FS) ([]Behaviour, error) {
	names, err := fs.Glob(dir, "*.txt")
	if err != nil {
		return nil, err
	}
	var all []Behaviour
	var errs []error
	seen := map[string]string{}
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		list, err := parseFile(name, string(data))
		errs = append(errs, err)
		for _, b := range list {
			if other, ok := seen[b.Name]; ok {
				errs = append(errs, fmt.Errorf("%s:%d: %q is already in %s", b.File, b.Line, b.Name, other))
			}
			seen[b.Name] = b.File
		}
		all = append(all, list...)
	}
	return all, errors.Join(errs...)
}

const (
	nameMark   = "=== "
	outputMark = "---"
	coreMark   = " {core}"
	differMark = "differs "
)

func parseFile(name, text string) ([]Behaviour, error) {
	subject := strings.TrimSuffix(path.Base(name), ".txt")
	var list []Behaviour
	var errs []error
	fail := func(line int, msg string) { errs = append(errs, fmt.Errorf("%s:%d: %s", name, line, msg)) }
	const (
		before = iota
		script
		output
	)
	part := before
	var b *Behaviour
	finish := func() {
		if b == nil {
			return
		}
		b.Script, b.Want = strings.TrimSpace(b.Script), strings.TrimSpace(b.Want)
		if b.Script == "" || part != output {
			fail(b.Line, fmt.Sprintf("%q needs a script, a line %q and the expected output", b.Name, outputMark))
		}
		list = append(list, *b)
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, nameMark):
			finish()
			title, core := strings.CutSuffix(strings.TrimPrefix(line, nameMark), coreMark)
			b = &Behaviour{Subject: subject, Name: title, File: name, Line: i + 1, Core: core, Differs: map[string]string{}}
			part = script
		case part == before:
			if title, ok := strings.CutPrefix(line, "# "); ok {
				subject = title
			} else if line != "" {
				fail(i+1, "text before the first behaviour")
			}
		case part == script && line == outputMark:
			part = output
		case part == script && b.Script == "" && strings.HasPrefix(line, differMark):
			profile, reason, ok := strings.Cut(strings.TrimPrefix(line, differMark), ": ")
			if !ok || reason == "" {
				fail(i+1, `write "differs PROFILE: REASON"`)
			}
			b.Differs[profile] = reason
		case part == script:
			b.Script += line + "\n"
		default:
			b.Want += line + "\n"
		}
	}
	finish()
	return list, errors.Join(errs...)
}

// Match reports whether output is what Want describes.
func (b Behaviour) Match(output string) bool {
	return matchLines(lines(b.Want), lines(output))
}

func lines(s string) []string {
	s = strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), " \t\n")
	if s == "" {
		return nil
	}
	list := strings.Split(s, "\n")
	for i := range list {
		list[i] = strings.TrimRight(list[i], " \t")
	}
	return list
}

const anything = "…"

func matchLines(want, got []string) bool {
	for len(want) > 0 {
		if want[0] == anything {
			want = want[1:]
			for n := range len(got) + 1 {
				if matchLines(want, got[n:]) {
					return true
				}
			}
			return false
		}
		if len(got) == 0 || !matchLine(want[0], got[0]) {
			return false
		}
		want, got = want[1:], got[1:]
	}
	return len(got) == 0
}

func matchLine(want, got string) bool {
	parts := strings.Split(want, anything)
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return want == got
	}
	if !strings.HasPrefix(got, first) || !strings.HasSuffix(got[len(first):], last) {
		return false
	}
	got = got[len(first) : len(got)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(got, part)
		if !ok {
			return false
		}
		got = after
	}
	return true
}

// Select returns the behaviours whose name or subject contains text, or only the core ones.
func Select(all []Behaviour, coreOnly bool, text string) []Behaviour {
	return slices.DeleteFunc(slices.Clone(all), func(b Behaviour) bool {
		return coreOnly && !b.Core || !strings.Contains(b.Subject+" "+b.Name, text)
	})
}
