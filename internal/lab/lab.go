package lab

import (
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/source"
)

// Text is one sentence or title in several languages, keyed by language code.
type Text map[string]string

// For returns the text in lang, else in the default language.
func (t Text) For(lang string) string {
	if s, ok := t[lang]; ok {
		return s
	}
	return t[DefaultLang]
}

// DefaultLang is the language a lab must have; others are translations of its text.
const DefaultLang = "en"

// Markdown is a piece of an author's file that a renderer turns into HTML, with the place it came from.
type Markdown struct {
	File   string
	Line   int // 1-based line of Source's first line in File
	Source []byte
}

// Lab is one loaded and validated lab.
type Lab struct {
	ID            string
	Dir           string // its directory, as messages call it
	Title         Text
	Summary       Text
	Intro         map[string]Markdown // prose before the first step, by language
	Level         string              // "beginner", "intermediate" or "advanced"
	Minutes       int
	Prerequisites []string // ids of labs
	Stack         Stack
	Variables     []Variable
	Files         []File // put into every node's home directory before the first step
	Parts         []File // there only for its texts to include them
	Steps         []*Step
	Langs         []string // languages it is written in, default first

	imagesAt        []source.Error // where the author named each of Stack.Images
	prerequisitesAt []source.Error // likewise
}

// File is one file of a lab's directory.
type File struct {
	Path string // slash-separated; of Files below the home directory, of Parts below the lab's
	Mode fs.FileMode
	Data []byte
}

// Includable returns what the lab's texts may include, by name below the lab's directory.
func (l *Lab) Includable() map[string][]byte {
	out := map[string][]byte{}
	for _, f := range l.Parts {
		out[f.Path] = f.Data
	}
	for _, f := range l.Files {
		out[path.Join(filesDir, f.Path)] = f.Data
	}
	return out
}

// Step returns the step with the anchor, or nil.
func (l *Lab) Step(anchor string) *Step {
	for _, s := range l.Steps {
		if s.Anchor == anchor {
			return s
		}
	}
	return nil
}

// Stack is what a lab runs on.
type Stack struct {
	Nodes    []string // node names, the first is where scripts and probes go by default
	Images   []string // repository:tag that every node's engine has
	Limits   Limits   // of each node
	Internet bool
	Full     bool // isolation = "full": needs what gVisor lacks, so it is offered only on another profile
}

// Limits bound one node. Zero means the server's default.
type Limits struct {
	MemoryBytes int64   // RAM of the whole node
	CPUs        float64 // cores, for example 1.5
	PIDs        int64   // processes and threads
	DiskBytes   int64   // everything that the node can write
}

// Variable is a value made anew for each session, shown in the text as {{name}} and set as an environment variable
// LAB_NAME in shells and scripts, so that answers can't be copied.
type Variable struct {
	Name   string
	Length int // random characters of [a-z0-9]
}

// Step is one section of a lab: prose, and a check that says whether the learner is there.
type Step struct {
	Anchor   string
	Title    Text
	Body     map[string]Markdown   // prose with its {run} and {save} blocks, by language
	Hints    map[string][]Markdown // by language, in order
	Setup    []Script              // run before the step opens, in order
	Solution []Script              // what `labd lab test` runs; never sent to a learner's browser
	Check    Check

	code []*block // the {run} and {save} blocks, which translations must repeat
}

// RunLines returns the first line of each {run} block, for a preview of the lab.
func (s *Step) RunLines() []string {
	var out []string
	for _, b := range s.code {
		if b.info.Run {
			line, _, _ := strings.Cut(string(b.body), "\n")
			out = append(out, line)
		}
	}
	return out
}

// Script is a shell script for a node, run with bash -eu.
type Script struct {
	Node   string
	File   string
	Line   int
	Source string
}

// Check decides whether a step is done. Known wrong states are tried first, in order; the first one whose probes all
// hold is the answer. Otherwise the step is done when every probe in Probes holds.
type Check struct {
	Wrong  []Wrong
	Probes []Probe
}

// Wrong is a wrong state that the author foresaw.
type Wrong struct {
	ID     string
	Hint   Text
	Probes []Probe
	File   string
	Line   int

	// Demo brings a stack on which the step is not done into this wrong state, and Undo back: `labd lab test` runs them
	// to prove that the state is recognised. Both may be empty.
	Demo []Script
	Undo []Script
}

// Probe is one look at the learner's stack.
type Probe struct {
	ID      string // names the probe's hint for translations
	Node    string
	Timeout time.Duration
	Hint    Text
	File    string
	Line    int

	Look Look
}

// Look is what a probe looks at: one of the types below. The list kinds in probe.go has all of them.
type Look interface {
	// Kind is the name of the kind in a check: "container" in [[container]].
	Kind() string
	// Absence reports whether the probe holds when something is not there.
	Absence() bool
	// read reads the keys of the probe's table.
	read(t *table)
}

// ContainerProbe looks at containers of the node's engine. It holds when at least one container has everything that is
// set here; with Exists false when none has, with Count when exactly so many have.
type ContainerProbe struct {
	Name   string   // exact name
	Except []string // names that don't count
	Image  string   // repository:tag or repository it was made from
	Labels []string // each key or key=value it carries

	Exists  *bool
	Count   *int
	Running *bool
	// Restarted: it ended and was started again, and runs.
	Restarted *bool
	Status    string // created, running, paused, restarting, removing, exited, dead
	ExitCode  *int
	// Publishes is host:container as `-p` takes it, for example "8080:80" or "53:53/udp"; each side may be "*" for any port.
	Publishes    string
	NotPublishes string // it publishes nothing that fits this
	Error        string // substring of the engine's own error for it
	Env          string // KEY=value that is set
	Network      string // it is attached to this network

	// Remember keeps the container's id and times under this name once the step is done.
	Remember string
	// SameAs requires the id remembered under this name; NotSameAs another one.
	SameAs    string
	NotSameAs string
	// RestartedSince requires a start later than the end (or, if it never ended, the start) remembered under this name.
	RestartedSince string
}

// ImageProbe looks at images of the node's engine.
type ImageProbe struct {
	Name   string // repository:tag
	Exists *bool
}

// NetworkProbe looks at networks of the node's engine.
type NetworkProbe struct {
	Name   string
	Exists *bool
}

// EventProbe looks at what the node's engine remembers to have happened to containers: its last few hundred events
// since it started. Empty fields are not looked at.
type EventProbe struct {
	Action    string // create, start, die, stop, kill, destroy ...
	Container string // name
	Image     string // repository:tag or repository
}

// HTTPProbe asks a server as the node sees it. Redirects are not followed: the first answer counts.
type HTTPProbe struct {
	URL         string
	Method      string // GET if empty
	Status      int    // 0: any
	Contains    string
	NotContains string
	Matches     string // regular expression (RE2) that the body matches
}

// TCPProbe connects from the node, may send text, and looks for text in the answer.
type TCPProbe struct {
	Address string
	Send    string
	Expect  string
	Refused *bool // true: nothing may listen there
}

// FileProbe looks at a file in the node, or in a container (running or not) through the engine's archive API.
type FileProbe struct {
	Path      string
	Container string
	Exists    *bool
	Equals    *string // compared without surrounding white space
	Contains  string
}

// ShellProbe runs a script in the node: exit 0 holds, and its output is the message. It must not change anything.
type ShellProbe struct {
	Script string
}
