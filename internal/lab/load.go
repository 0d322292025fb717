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

// Load reads all labs of a directory and returns the valid ones, sorted by id. Its error joins the
// mistakes of all files, each a *source.Error. name is the path of the directory for messages.
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
		return nil, fmt.Errorf("%d labs, at most %d are allowed", len(ids), maxLabs)
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
			e.Msg = fmt.Sprintf("the prerequisite %q is not a lab%s", p, source.DidYouMean(p, others))
			errs.Add(&e)
		}
		if len(errs) == before {
			labs = append(labs, l)
		}
	}
	return labs, errs.Err()
}

// LoadOne reads the lab in the directory id of fsys. It does not check that its prerequisites
// exist. name is the path of fsys for messages.
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

// Validate reports images of a lab that are not among images, the images of the seed.
func Validate(l *Lab, images []string) error {
	var errs source.List
	for i, im := range l.Stack.Images {
		if slices.Contains(images, im) {
			continue
		}
		e := l.imagesAt[i]
		sorted := slices.Clone(images)
		sort.Strings(sorted)
		e.Msg = fmt.Sprintf("the seed has no image %s; it has %s", im, strings.Join(sorted, ", "))
		errs.Add(&e)
	}
	return errs.Err()
}

// dir is a directory of labs that is being loaded.
type dir struct {
	fsys fs.FS
	name string
	errs *source.List
}

// displayName returns the path of a file for messages.
func (d dir) displayName(file string) string { return path.Join(d.name, file) }

func (d dir) wrong(file, format string, args ...any) {
	d.errs.Add(&source.Error{File: d.displayName(file), Msg: fmt.Sprintf(format, args...)})
}

// load reads one lab. It adds mistakes to d.errs and returns an error if a file cannot be read.
func (d dir) load(id string) (*Lab, error) {
	l := &Lab{ID: id, Dir: d.displayName(id), Langs: []string{DefaultLang}}
	if !labID.MatchString(id) {
		d.wrong(id, "the directory name %q is the id of the lab: use at most 40 of a-z, 0-9 and -", id)
		return l, nil
	}
	entries, err := fs.ReadDir(d.fsys, id)
	if err != nil {
		return nil, fmt.Errorf("read the lab %s: %w", id, err)
	}
	name := path.Join(id, labFile)
	content, err := d.readLab(name)
	if errors.Is(err, fs.ErrNotExist) {
		d.wrong(name, "this file is missing: every directory in a directory of labs is a lab and needs a lab.md")
		return l, nil
	}
	if err != nil || content == nil {
		return l, err
	}
	l.parse(scan(d.displayName(name), content, d.errs))

	var langs, parts []string
	for _, e := range entries {
		m := langFile.FindStringSubmatch(e.Name())
		switch {
		case e.Name() == labFile || e.Name() == filesDir && e.IsDir() || strings.HasPrefix(e.Name(), "."):
		case strings.HasPrefix(e.Name(), "_") && (e.IsDir() || e.Type().IsRegular()):
			parts = append(parts, e.Name())
		case m == nil:
			d.wrong(path.Join(id, e.Name()), "a lab has only lab.md, lab.<lang>.md, files/, and files and directories whose name begins with _")
		case m[1] == DefaultLang:
			d.wrong(path.Join(id, e.Name()), "lab.md already has this language")
		default:
			langs = append(langs, m[1])
		}
	}
	if len(langs) > maxLangs {
		d.wrong(id, "a lab has at most %[2]d translations, this one has %[1]d", len(langs), maxLangs)
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
			l.translate(scan(d.displayName(name), content, d.errs), lang)
		}
	}
	if l.Parts, err = d.readFiles(id, parts); err != nil {
		return nil, err
	}
	for _, p := range l.Parts {
		if path.Ext(p.Path) == ".md" {
			l.part(scanPart(d.displayName(path.Join(id, p.Path)), p.Data, d.errs))
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

// part checks an included text. It can be included in a step or in the introduction.
func (l *Lab) part(d *document) {
	l.placeholders(d, 0)
	for _, s := range d.sections {
		d.errorf(s.line, 0, "an included text cannot begin a step: use headings from ### on")
	}
	for _, b := range d.loose {
		l.nodeOK(d, b)
	}
}

// readLab reads a lab file. It returns nil without an error if the file is too large, which it
// reports as a mistake.
func (d dir) readLab(name string) ([]byte, error) {
	info, err := fs.Stat(d.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if info.Size() > maxLabBytes {
		d.wrong(name, "the file has %d bytes; at most %d are allowed", info.Size(), maxLabBytes)
		return nil, nil
	}
	content, err := fs.ReadFile(d.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

// readFiles reads files and directories of a lab. A file that begins with #! gets an executable
// mode, because embed.FS does not keep modes.
func (d dir) readFiles(id string, names []string) (files []File, err error) {
	total := int64(0)
	read := func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !e.Type().IsRegular() {
			d.wrong(name, "a lab can have only regular files")
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		if len(files) == maxFiles || info.Size() > maxFileBytes || total > maxFilesBytes {
			d.wrong(name, "a lab has at most %d files of at most %d bytes, %d bytes in total", maxFiles, maxFileBytes, maxFilesBytes)
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

// saveOK reports whether p is a valid path below the home directory.
func saveOK(p string) bool {
	return fs.ValidPath(p) && p != "." && len(p) <= 200 && !strings.ContainsAny(p, "\\\x00\n")
}

// parse reads lab.md into l.
func (l *Lab) parse(d *document) {
	l.front(d)
	l.placeholders(d, d.frontLine+bytes.Count(d.front, []byte("\n")))
	l.Intro = map[string]Markdown{DefaultLang: d.intro}
	if len(d.sections) == 0 && d.front != nil {
		d.errorf(len(d.lines), 0, "a lab needs at least one step: a heading like ## Run a container {#run}")
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

// blocks reads the special blocks of a step.
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
				d.errorf(b.line, 0, "a step has exactly one check: the first is on line %d", check.line)
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
			d.errorf(b.line, 0, "messages blocks are for translations: in this file, write each hint in the check")
		}
	}
	if check == nil {
		d.errorf(s.line, 0, "this step has no check block, so it can never be done")
	}
	if len(step.Solution) == 0 {
		d.errorf(s.line, 0, "this step has no solution block, so `labd lab test` cannot test its check")
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

// demo adds the script of a wrong or undo block to the wrong state that it names.
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
		d.errorf(b.line, 0, "name a wrong state of the check: ```%s {#id}", b.info.Lang)
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

// facts checks that earlier steps remember the containers that this step compares with.
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
			d.errorf(p.Line, 0, "no earlier step remembers %q%s", name,
				cmp.Or(source.DidYouMean(name, remembered), fmt.Sprintf(": add remember = %q to a container of an earlier step", name)))
		}
	}
}
