package lab

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

const (
	labFile  = "lab.md"
	filesDir = "files"
)

var langFile = regexp.MustCompile(`^lab\.([a-z]{2,3}(?:-[A-Za-z]{2,4})?)\.md$`)

// Load reads every lab of a directory of labs, sorted by id. The error is all mistakes of all files (a *source.Error
// each, joined); labs without a mistake are returned beside it. Messages call the directory name.
func Load(fsys fs.FS, name string) ([]*Lab, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("read the directory of labs: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "_") {
			ids = append(ids, e.Name())
		}
	}
	if len(ids) > maxLabs {
		return nil, fmt.Errorf("%d labs; at most %d are allowed", len(ids), maxLabs)
	}
	var errs source.List
	var labs []*Lab
	d := dir{fsys, name, &errs}
	for _, id := range ids {
		before := len(errs)
		l, err := d.load(id)
		if err != nil {
			return nil, err
		}
		for i, p := range l.Prerequisites {
			if slices.Contains(ids, p) && p != id {
				continue
			}
			e := l.prerequisitesAt[i]
			others := slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
			e.Msg = fmt.Sprintf("no lab %q to be a prerequisite%s", p, source.DidYouMean(p, others))
			errs.Add(&e)
		}
		if len(errs) == before {
			labs = append(labs, l)
		}
	}
	return labs, errs.Err()
}

// LoadOne reads the lab in the directory id of fsys, which messages call name. Prerequisites are not looked for.
func LoadOne(fsys fs.FS, name, id string) (*Lab, error) {
	var errs source.List
	l, err := dir{fsys, name, &errs}.load(id)
	if err != nil {
		return nil, err
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return l, nil
}

// Validate compares a lab with the images that the seed holds.
func Validate(l *Lab, images []string) error {
	var errs source.List
	for i, im := range l.Stack.Images {
		if slices.Contains(images, im) {
			continue
		}
		e := l.imagesAt[i]
		sorted := slices.Clone(images)
		sort.Strings(sorted)
		e.Msg = fmt.Sprintf("image nobody built: %s; the seed has %s", im, strings.Join(sorted, ", "))
		errs.Add(&e)
	}
	return errs.Err()
}

// dir is a directory of labs that is being read.
type dir struct {
	fsys fs.FS
	name string
	errs *source.List
}

// called is what messages call a file.
func (d dir) called(file string) string { return path.Join(d.name, file) }

func (d dir) wrong(file, format string, args ...any) {
	d.errs.Add(&source.Error{File: d.called(file), Msg: fmt.Sprintf(format, args...)})
}

// load reads one lab. Mistakes go to d.errs; the error is about reading files.
func (d dir) load(id string) (*Lab, error) {
	l := &Lab{ID: id, Dir: d.called(id), Langs: []string{DefaultLang}}
	if !labID.MatchString(id) {
		d.wrong(id, "the directory name %q is the lab's id: it may hold only a-z, 0-9 and -, at most 40", id)
		return l, nil
	}
	entries, err := fs.ReadDir(d.fsys, id)
	if err != nil {
		return nil, fmt.Errorf("read the lab %s: %w", id, err)
	}
	name := path.Join(id, labFile)
	content, err := d.readLab(name)
	if errors.Is(err, fs.ErrNotExist) {
		d.wrong(name, "this file is missing: a directory of labs holds one directory with a lab.md per lab")
		return l, nil
	}
	if err != nil || content == nil {
		return l, err
	}
	l.parse(scan(d.called(name), content, d.errs))

	var langs, parts []string
	for _, e := range entries {
		m := langFile.FindStringSubmatch(e.Name())
		switch {
		case e.Name() == labFile || e.Name() == filesDir && e.IsDir() || strings.HasPrefix(e.Name(), "."):
		case strings.HasPrefix(e.Name(), "_") && (e.IsDir() || e.Type().IsRegular()):
			parts = append(parts, e.Name())
		case m == nil:
			d.wrong(path.Join(id, e.Name()), "a lab's directory holds lab.md, lab.<lang>.md, files/ and what begins with _ only")
		case m[1] == DefaultLang:
			d.wrong(path.Join(id, e.Name()), "lab.md is this language already")
		default:
			langs = append(langs, m[1])
		}
	}
	if len(langs) > maxLangs {
		d.wrong(id, "%d translations; at most %d are allowed", len(langs), maxLangs)
		return l, nil
	}
	for _, lang := range langs {
		name := path.Join(id, "lab."+lang+".md")
		content, err := d.readLab(name)
		if err != nil {
			return nil, err
		}
		if content != nil {
			l.Langs = append(l.Langs, lang)
			l.translate(scan(d.called(name), content, d.errs), lang)
		}
	}
	if l.Parts, err = d.readFiles(id, parts); err != nil {
		return nil, err
	}
	for _, p := range l.Parts {
		if path.Ext(p.Path) == ".md" {
			l.part(scanPart(d.called(path.Join(id, p.Path)), p.Data, d.errs))
		}
	}
	if l.Files, err = d.readFiles(id, []string{filesDir}); err != nil {
		return nil, err
	}
	for i := range l.Files {
		l.Files[i].Path = strings.TrimPrefix(l.Files[i].Path, filesDir+"/")
	}
	return l, nil
}

// part judges a text that others include: it is prose of a step, or of what stands before the first.
func (l *Lab) part(d *document) {
	l.placeholders(d, 0)
	for _, s := range d.sections {
		d.errorf(s.line, 0, "no step begins in a text that others include: its headings are ### and smaller")
	}
	for _, b := range d.loose {
		l.nodeOK(d, b)
	}
}

// readLab reads an author's file; nil without an error means that it is too large, which is a mistake.
func (d dir) readLab(name string) ([]byte, error) {
	info, err := fs.Stat(d.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if info.Size() > maxLabBytes {
		d.wrong(name, "%d bytes; a lab has at most %d", info.Size(), maxLabBytes)
		return nil, nil
	}
	content, err := fs.ReadFile(d.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

// readFiles reads files of labs/<id>, which may be folders. One that begins with #! is executable in the node: embedding
// loses modes.
func (d dir) readFiles(id string, names []string) (files []File, err error) {
	total := int64(0)
	read := func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !e.Type().IsRegular() {
			d.wrong(name, "a lab is made of regular files only")
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		if len(files) == maxFiles || info.Size() > maxFileBytes || total > maxFilesBytes {
			d.wrong(name, "a lab has at most %d files of at most %d bytes, %d in all", maxFiles, maxFileBytes, maxFilesBytes)
			return fs.SkipAll
		}
		data, err := fs.ReadFile(d.fsys, name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(data, []byte("#!")) {
			mode = 0o755
		}
		files = append(files, File{Path: strings.TrimPrefix(name, id+"/"), Mode: mode, Data: data})
		return nil
	}
	for _, name := range names {
		if err := fs.WalkDir(d.fsys, path.Join(id, name), read); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", path.Join(id, name), err)
		}
	}
	return files, nil
}

// saveOK reports whether p is a plain path below the home directory.
func saveOK(p string) bool {
	return fs.ValidPath(p) && p != "." && len(p) <= 200 && !strings.ContainsAny(p, "\\\x00\n")
}

// parse turns lab.md into l.
func (l *Lab) parse(d *document) {
	l.front(d)
	l.placeholders(d, d.frontLine+bytes.Count(d.front, []byte("\n")))
	l.Intro = map[string]Markdown{DefaultLang: d.intro}
	if len(d.sections) == 0 && d.front != nil {
		d.errorf(len(d.lines), 0, "a lab has at least one step: a heading like ## Run a container {#run}")
	}
	if len(d.sections) > maxSteps {
		d.errorf(d.sections[maxSteps].line, 0, "a lab has at most %d steps", maxSteps)
		return
	}
	remembered := []string{}
	for _, s := range d.sections {
		step := &Step{
			Anchor: s.anchor, Title: Text{DefaultLang: s.title}, Body: map[string]Markdown{DefaultLang: s.body},
			Hints: map[string][]Markdown{}, code: s.code,
		}
		l.blocks(d, s, step)
		step.facts(d, remembered)
		for _, p := range step.Check.Probes {
			if c, ok := p.Look.(*ContainerProbe); ok && c.Remember != "" {
				remembered = append(remembered, c.Remember)
			}
		}
		for _, c := range s.code {
			l.nodeOK(d, c)
		}
		l.Steps = append(l.Steps, step)
	}
}

// blocks reads a step's special blocks.
func (l *Lab) blocks(d *document, s *section, step *Step) {
	var check *block
	demos := map[string][]*block{}
	scripts := 0
	for _, b := range s.blocks {
		kind := b.info.Lang
		if strings.TrimSpace(string(b.body)) == "" {
			d.errorf(b.line, 0, "this %s block is empty", kind)
			if kind == "check" {
				check = b
			}
			continue
		}
		switch kind {
		case "check":
			if check != nil {
				d.errorf(b.line, 0, "a step has one check: the first is in line %d", check.line)
				continue
			}
			check = b
			step.Check = l.check(d, b)
		case "hint":
			step.Hints[DefaultLang] = append(step.Hints[DefaultLang], Markdown{File: d.file, Line: b.bodyLine(), Source: b.body})
		case "setup":
			scripts++
			step.Setup = append(step.Setup, l.script(d, b))
		case "solution":
			scripts++
			step.Solution = append(step.Solution, l.script(d, b))
		case "wrong", "undo":
			scripts++
			demos[kind] = append(demos[kind], b)
		case "messages":
			d.errorf(b.line, 0, "messages belong into a translation: here each hint stands in the check")
		}
	}
	if check == nil {
		d.errorf(s.line, 0, "this step has no check block: without one it can never be done")
	}
	if len(step.Solution) == 0 {
		d.errorf(s.line, 0, "this step has no solution block: `labd lab test` cannot prove its check")
	}
	if len(step.Hints[DefaultLang]) > maxHints {
		d.errorf(s.line, 0, "a step has at most %d hints", maxHints)
	}
	if scripts > maxScripts {
		d.errorf(s.line, 0, "a step has at most %d scripts", maxScripts)
	}
	for _, kind := range []string{"wrong", "undo"} {
		for _, b := range demos[kind] {
			l.demo(d, b, step)
		}
	}
}

// demo files a wrong or undo block with the wrong state that it names.
func (l *Lab) demo(d *document, b *block, step *Step) {
	var ids []string
	for i := range step.Check.Wrong {
		w := &step.Check.Wrong[i]
		if ids = append(ids, w.ID); w.ID != b.info.ID {
			continue
		}
		if b.info.Lang == "wrong" {
			w.Demo = append(w.Demo, l.script(d, b))
		} else {
			w.Undo = append(w.Undo, l.script(d, b))
		}
		return
	}
	if b.info.ID == "" {
		d.errorf(b.line, 0, "name a wrong state of the check, as ```%s {#id}", b.info.Lang)
		return
	}
	d.errorf(b.line, 0, "the check has no wrong state %q%s", b.info.ID,
		cmp.Or(source.Suggest(b.info.ID, ids), ": add a [[wrong]] table with this id"))
}

func (l *Lab) script(d *document, b *block) Script {
	l.nodeOK(d, b)
	return Script{Node: b.info.Node, File: d.file, Line: b.bodyLine(), Source: string(b.body)}
}

func (l *Lab) nodeOK(d *document, b *block) {
	if b.info.Node != "" && !slices.Contains(l.Stack.Nodes, b.info.Node) {
		d.errorf(b.line, 0, "%s", l.noNode(b.info.Node))
	}
}

func (l *Lab) noNode(name string) string {
	return fmt.Sprintf("no node %q%s", name, source.Suggest(name, l.Stack.Nodes))
}

// facts checks that what the step compares with was remembered by a step before it.
func (s *Step) facts(d *document, remembered []string) {
	all := slices.Clone(s.Check.Probes)
	for _, w := range s.Check.Wrong {
		all = append(all, w.Probes...)
	}
	for _, p := range all {
		c, ok := p.Look.(*ContainerProbe)
		if !ok {
			continue
		}
		for _, name := range []string{c.SameAs, c.NotSameAs, c.RestartedSince} {
			if name == "" || slices.Contains(remembered, name) {
				continue
			}
			d.errorf(p.Line, 0, "no step before this one remembers %q%s", name,
				cmp.Or(source.DidYouMean(name, remembered), fmt.Sprintf(": add remember = %q to its container there", name)))
		}
	}
}
