package lab

import (
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

// defaultNode is the node of a lab that names none.
const defaultNode = "node1"

var (
	labID     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	nodeName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	varName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	imageName = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?(:[A-Za-z0-9_][A-Za-z0-9._-]*)?$`)
	levels    = []string{"beginner", "intermediate", "advanced"}
)

// front reads lab.md's front matter.
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
	l.Level = t.str("level")
	if t.has("level") && !slices.Contains(levels, l.Level) {
		t.errorf("level", "level must be one of %s", strings.Join(levels, ", "))
	}
	if n := t.number("minutes", 1, maxMinutes); n != nil {
		l.Minutes = *n
	}
	t.required("title", "summary", "level", "minutes", "stack")
	l.Prerequisites = t.strs("prerequisites")
	p := t.place("prerequisites")
	for range l.Prerequisites {
		l.prerequisitesAt = append(l.prerequisitesAt, source.Error{File: d.file, Line: p.line, Text: d.lines[p.line-1]})
	}
	if st := t.table("stack"); st != nil {
		l.stack(st)
	}
	if v := t.table("variables"); v != nil {
		l.variables(v)
	}
	t.done()
}

func (l *Lab) stack(t *table) {
	if t.has("nodes") {
		l.Stack.Nodes = t.strs("nodes")
		if len(l.Stack.Nodes) == 0 || len(l.Stack.Nodes) > maxNodes {
			t.errorf("nodes", "a stack has from 1 to %d nodes", maxNodes)
		}
	} else {
		t.known = append(t.known, "nodes")
	}
	for i, n := range l.Stack.Nodes {
		if !nodeName.MatchString(n) {
			t.errorf("nodes", "the node name %q may hold only a-z, 0-9 and -, begin with a letter, and be at most 31 long", n)
		}
		if slices.Contains(l.Stack.Nodes[:i], n) {
			t.errorf("nodes", "two nodes have the name %q", n)
		}
	}
	images := t.strs("images")
	t.required("images")
	if len(images) > maxImages {
		t.errorf("images", "at most %d images are allowed", maxImages)
	}
	for _, im := range images {
		if !imageName.MatchString(im) {
			t.errorf("images", "%q is not an image name; write repository:tag", im)
			continue
		}
		p := t.place(t.sub("images"))
		l.Stack.Images = append(l.Stack.Images, tagged(im))
		l.imagesAt = append(l.imagesAt, t.doc.find(p, im))
	}
	if b := t.boolean("internet"); b != nil {
		l.Stack.Internet = *b
	}
	if s := t.str("isolation"); t.has("isolation") {
		if l.Stack.Full = s == "full"; !l.Stack.Full {
			t.errorf("isolation", "isolation can only be \"full\"; leave it out if gVisor will do")
		}
	}
	if lim := t.table("limits"); lim != nil {
		l.Stack.Limits.MemoryBytes = lim.bytes("memory", minMemoryBytes, maxMemoryBytes)
		l.Stack.Limits.DiskBytes = lim.bytes("disk", minDiskBytes, maxDiskBytes)
		l.Stack.Limits.CPUs = lim.cpus("cpus")
		if n := lim.number("pids", minPIDs, maxPIDs); n != nil {
			l.Stack.Limits.PIDs = int64(*n)
		}
		lim.done()
	}
	t.done()
}

// find returns the place of text in a value that begins at p and may span lines.
func (d *document) find(p place, text string) source.Error {
	for line := p.line; line <= len(d.lines); line++ {
		s := d.lines[line-1]
		if i := strings.Index(s, strconv.Quote(text)); i >= 0 {
			return source.Error{File: d.file, Line: line, Col: len([]rune(s[:i])) + 1, Text: s}
		}
		if strings.Contains(s, "]") {
			break
		}
	}
	return source.Error{File: d.file, Line: p.line, Col: p.col, Text: d.lines[p.line-1]}
}

func (t *table) cpus(key string) float64 {
	t.known = append(t.known, key)
	var n float64
	switch v := t.values[key].(type) {
	case nil:
		return 0
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		t.errorf(key, "%s must be a number, not %s", key, typeName(v))
		return 0
	}
	if math.IsNaN(n) || n < 0.1 || n > maxCPUs {
		t.errorf(key, "%s must be from 0.1 to %d", key, maxCPUs)
		return 0
	}
	return n
}

// tagged completes an image name as Docker does.
func tagged(image string) string {
	if strings.LastIndexByte(image, ':') > strings.LastIndexByte(image, '/') {
		return image
	}
	return image + ":latest"
}

func (l *Lab) variables(t *table) {
	names := make([]string, 0, len(t.values))
	for name := range t.values {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(names) > maxVariables {
		t.errorf("", "at most %d variables are allowed", maxVariables)
	}
	for _, name := range names {
		if !varName.MatchString(name) || reserved[name] {
			t.errorf(name, "%q cannot be a variable's name: use a-z, 0-9 and _, beginning with a letter", name)
			continue
		}
		if n := t.number(name, minVarLength, maxVarLength); n != nil {
			l.Variables = append(l.Variables, Variable{Name: name, Length: *n})
		}
	}
}

// placeholders reports each {{name}} in the lines from index `from` on that is no variable of the lab.
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
			if n := source.Nearest(name, names); n != "" {
				d.errorf(i+1, col, "no variable %q (did you mean %q?)", name, n)
			} else {
				d.errorf(i+1, col, "no variable %q: declare it in the front matter under [variables]", name)
			}
		}
	}
}
