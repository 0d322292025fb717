package lab

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/labd-dev/labd/internal/source"
)

// defaultNode is the only node of a lab without nodes in its front matter.
const defaultNode = "node1"

var (
	labID    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	nodeName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$`)
	varName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	levels   = []string{"beginner", "intermediate", "advanced"}
)

// front reads the front matter of lab.md.
func (l *Lab) front(d *document) {
	l.Stack.Nodes = []string{defaultNode}
	if d.front == nil {
		return
	}
	t := d.parseTOML(d.front, d.frontLine)
	if t == nil {
		return
	}
	l.Title = Text{DefaultLang: t.text("title", maxTitleRunes)}
	l.Summary = Text{DefaultLang: t.text("summary", maxTextRunes)}
	l.Level = t.String("level")
	if t.Has("level") && !slices.Contains(levels, l.Level) {
		t.Errorf("level", "level must be one of %s", strings.Join(levels, ", "))
	}
	if n := t.Int("minutes", 1, maxMinutes); n != nil {
		l.Minutes = *n
	}
	t.Require("title", "summary", "level", "minutes", "stack")
	l.Prerequisites = t.Strings("prerequisites")
	for i := range l.Prerequisites {
		l.prerequisitesAt = append(l.prerequisitesAt, t.Element("prerequisites", i))
	}
	if st := t.table("stack"); st != nil {
		l.stack(st)
	}
	if v := t.table("variables"); v != nil {
		l.variables(v)
	}
	t.Done()
}

func (l *Lab) stack(t *table) {
	if t.Has("nodes") {
		l.Stack.Nodes = t.Strings("nodes")
		if len(l.Stack.Nodes) == 0 || len(l.Stack.Nodes) > maxNodes {
			t.Errorf("nodes", "a stack has 1 to %d nodes", maxNodes)
		}
	}
	t.Known("nodes")
	for i, n := range l.Stack.Nodes {
		switch {
		case !nodeName.MatchString(n):
			t.Report(t.Element("nodes", i), "%q cannot be the name of a node: use at most 31 of a-z, 0-9 and -, begin with a letter, and do not end with -", n)
		case n == "localhost":
			t.Report(t.Element("nodes", i), "a node cannot be named localhost: in every node, localhost is the node itself")
		case slices.Contains(l.Stack.Nodes[:i], n):
			t.Report(t.Element("nodes", i), "two nodes have the name %q", n)
		}
	}
	images := t.Strings("images")
	t.Require("images")
	if len(images) > maxImages {
		t.Errorf("images", "a stack has at most %d images", maxImages)
	}
	for i, im := range images {
		at := t.Element("images", i)
		name, err := imageName(im)
		if err != nil {
			t.Report(at, "%q is not an image name: %v", im, err)
			continue
		}
		l.Stack.Images = append(l.Stack.Images, name)
		l.imagesAt = append(l.imagesAt, at)
	}
	if b := t.Bool("internet"); b != nil {
		l.Stack.Internet = *b
	}
	if s := t.String("isolation"); t.Has("isolation") {
		if l.Stack.Full = s == "full"; !l.Stack.Full {
			t.Errorf("isolation", "isolation can only be \"full\"; leave it out if the lab works on gVisor")
		}
	}
	if lim := t.table("limits"); lim != nil {
		l.Stack.Limits.MemoryBytes = lim.Size("memory", minMemoryBytes, maxMemoryBytes)
		l.Stack.Limits.DiskBytes = lim.Size("disk", minDiskBytes, maxDiskBytes)
		if n := lim.Float("cpus", minCPUs, maxCPUs); n != nil {
			l.Stack.Limits.CPUs = *n
		}
		if n := lim.Int("pids", minPIDs, maxPIDs); n != nil {
			l.Stack.Limits.PIDs = int64(*n)
		}
		lim.Done()
	}
	t.Done()
}

// imageName completes and normalizes an image name as Docker does: "redis" becomes "redis:latest".
// The sandbox accepts exactly what this returns; a test in package labrun compares the two.
func imageName(s string) (string, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return "", errors.New("write repository:tag, with the repository in lower case")
	}
	if _, ok := named.(reference.Digested); ok {
		return "", errors.New("write repository:tag without a digest: labd finds images by tag")
	}
	return reference.FamiliarString(reference.TagNameOnly(named)), nil
}

func (l *Lab) variables(t *table) {
	names := t.Keys()
	if len(names) > maxVariables {
		t.Errorf("", "a lab has at most %d variables", maxVariables)
	}
	for _, name := range names {
		if !varName.MatchString(name) || reserved[name] {
			t.Errorf(name, "%q cannot be the name of a variable: use a-z, 0-9 and _, and begin with a letter", name)
			continue
		}
		if n := t.Int(name, minVarLength, maxVarLength); n != nil {
			l.Variables = append(l.Variables, Variable{Name: name, Length: *n})
		}
	}
}

// placeholders reports every {{name}} in the lines from index from on that is not a variable of the
// lab.
func (l *Lab) placeholders(d *document, from int) {
	var names []string
	for _, v := range l.Variables {
		names = append(names, v.Name)
	}
	for i := from; i < len(d.lines); i++ {
		for _, m := range placeholder.FindAllStringSubmatchIndex(d.lines[i], -1) {
			name := d.lines[i][m[2]:m[3]]
			if slices.Contains(names, name) || reserved[name] {
				continue
			}
			col := len([]rune(d.lines[i][:m[0]])) + 1
			d.errorf(i+1, col, "no variable %q%s", name,
				cmp.Or(source.DidYouMean(name, names), ": declare it in the front matter under [variables]"))
		}
	}
}
