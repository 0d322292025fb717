package lab

import (
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/source"
)

// Text is a short text in several languages, by language code.
type Text map[string]string

// For returns the text in lang, else in the default language.
func (t Text) For(lang string) string {
	if s, ok := t[lang]; ok {
		return s
	}
	return t[DefaultLang]
}

// DefaultLang is the language that every lab has. All others are translations of it.
const DefaultLang = "en"

// Markdown is a piece of a lab file, with its position for messages about it.
type Markdown struct {
	File   string
	Line   int // 1-based line of Source's first line in File
	Source []byte
}

// Lab is a valid lab.
type Lab struct {
	ID            string
	Dir           string // path of its directory for messages
	Title         Text
	Summary       Text
	Intro         map[string]Markdown // prose before the first step, by language
	Level         string              // "beginner", "intermediate" or "advanced"
	Minutes       int
	Prerequisites []string // ids of labs
	Stack         Stack
	Variables     []Variable
	Files         []File // written into every node's home directory before the first step
	Parts         []File // files that only serve to be shown or included
	Steps         []*Step
	Langs         []string // its languages, the default first

	imagesAt        []source.Error // position of each of Stack.Images
	prerequisitesAt []source.Error // position of each of Prerequisites
}

// File is one file of a lab's directory.
type File struct {
	Path string // slash-separated; relative to the home directory (Files) or to the lab's directory (Parts)
	Mode fs.FileMode
	Data []byte
}

// Includable returns the files that the lab's texts may show or include, by path in the lab's
// directory.
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

// Step returns the step with this anchor, or nil.
func (l *Lab) Step(anchor string) *Step {
	for _, s := range l.Steps {
		if s.Anchor == anchor {
			return s
		}
	}
	return nil
}

// Stack describes the nodes that a lab runs on.
type Stack struct {
	Nodes    []string // names; scripts and probes use the first by default
	Images   []string // images that every node has, as repository:tag
	Limits   Limits   // of each node
	Internet bool
	Full     bool // isolation = "full": does not work on gVisor
}

// Limits bound one node. Zero means the server's default.
type Limits struct {
	MemoryBytes int64   // RAM of the whole node
	CPUs        float64 // cores, for example 1.5
	PIDs        int64   // processes and threads
	DiskBytes   int64   // everything that the node can write
}

// Variable is a random value that differs in each session, which keeps learners from copying
// answers. {{name}} in texts and the environment variable LAB_NAME in shells and scripts hold it.
type Variable struct {
	Name   string
	Length int // number of random characters
}

// Step is one section of a lab: prose, and a check that decides whether it is done.
type Step struct {
	Anchor   string
	Title    Text
	Body     map[string]Markdown   // prose, by language
	Hints    map[string][]Markdown // by language, in order
	Setup    []Script              // run in order before the step opens
	Solution []Script              // run by `labd lab test`; never sent to a browser
	Check    Check

	code []*block // {run} and {save} blocks, which translations must repeat
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

// Script is a shell script that runs in a node with bash -eu.
type Script struct {
	Node   string
	File   string
	Line   int
	Source string
}

// Check decides whether a step is done. The wrong states are tried first, in order. If all probes
// of one hold, the step is not done. Otherwise the step is done if all probes in Probes hold.
type Check struct {
	Wrong  []Wrong
	Probes []Probe
}

// Wrong is a wrong state that the author knows of, such as a container without published port.
type Wrong struct {
	ID     string
	Hint   Text
	Probes []Probe
	File   string
	Line   int

	// Demo creates the wrong state on a stack on which the step is not done yet, and Undo reverts
	// it. `labd lab test` runs them to test that the check recognizes the state. Both may be empty.
	Demo []Script
	Undo []Script
}

// Probe is one condition on the learner's stack.
type Probe struct {
	ID      string // identifies the hint in translations
	Node    string
	Timeout time.Duration
	Hint    Text
	File    string
	Line    int

	Look Look
}

// Look is what a probe looks at: one of the types below. The variable kinds lists all of them.
type Look interface {
	// Kind is the name of the table in a check: "container" for [[container]].
	Kind() string
	// Absence reports whether the probe holds if something does not exist.
	Absence() bool
	// read reads the keys of the probe's table.
	read(t *table)
}

// ContainerProbe looks at the containers of a node's engine. It holds if at least one container
// fits all fields that are set. If Exists is false, it holds if none fits. If Count is set, it
// holds if exactly that many fit.
type ContainerProbe struct {
	Name   string   // exact name
	Except []string // names of containers to ignore
	Image  string   // its image, as repository or repository:tag
	Labels []string // its labels, each as key or key=value

	Exists  *bool
	Count   *int
	Running *bool
	// Restarted: it ended, was started again and is running.
	Restarted *bool
	Status    string // created, running, paused, restarting, removing, exited, dead
	ExitCode  *int
	// Publishes is a port mapping in the format of `docker run -p`: "8080:80", "53:53/udp". "*"
	// stands for any port.
	Publishes    string
	NotPublishes string // a port mapping that it must not have
	Error        string // part of the error that the engine reports for it
	Env          string // an environment variable, as KEY=value
	Network      string // a network that it is attached to

	// Remember stores the container's id and times under this name once the step is done. The next
	// three compare with it.
	Remember string
	// SameAs requires the id that was stored under this name, NotSameAs a different one.
	SameAs    string
	NotSameAs string
	// RestartedSince requires that it was started after the end that was stored under this name, or
	// after the start if it had not ended.
	RestartedSince string
}

// ImageProbe looks at the images of a node's engine.
type ImageProbe struct {
	Name   string // repository:tag
	Exists *bool
}

// NetworkProbe looks at the networks of a node's engine.
type NetworkProbe struct {
	Name   string
	Exists *bool
}

// EventProbe looks at the container events that a node's engine keeps: the last few hundred since
// it started. Empty fields match any event.
type EventProbe struct {
	Action    string // create, start, die, stop, kill, destroy ...
	Container string // name
	Image     string // repository:tag or repository
}

// HTTPProbe sends a request from the node to a server. It does not follow redirects.
type HTTPProbe struct {
	URL         string
	Method      string // "" for GET
	Status      int    // 0 for any
	Contains    string
	NotContains string
	Matches     string // regular expression (RE2) for the body
}

// TCPProbe connects to an address from the node. It can send a text and look for a text in the
// answer.
type TCPProbe struct {
	Address string
	Send    string
	Expect  string
	Refused *bool // true: nothing must listen there
}

// FileProbe looks at a file in the node, or in a running or stopped container.
type FileProbe struct {
	Path      string
	Container string
	Exists    *bool
	Equals    *string // content without surrounding white space
	Contains  string
}

// ShellProbe runs a script in the node. It holds if the exit code is 0. The script must not change
// anything.
type ShellProbe struct {
	Script string
}
