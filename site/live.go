package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/memo"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// Live is a site that isn't built, but made file by file as it is asked for, while its course is written.
//
// A page is made anew from what was read whenever somebody asks for it, so it is never older than the last Update, and the
// first one waits for no other. What needs all pages, as mistakes and search, Run finds out in the background. It remembers
// what came of each text, and renders one again only if it has changed or one of the questions that rendering it asked (where
// does this link lead, how large is this image) has another answer.
//
// Files and mistakes are those that Build would make of the same input, if Options.LiveScript is set: a site without one keeps
// its pages in the browser, for reading without a network.
type Live struct {
	kick chan struct{} // holds a token when there is something to do for Run

	updating sync.Mutex   // held by what updates
	tree     *course.Tree // guarded by updating; nil if it has to be read from scratch

	mu      sync.RWMutex
	blank   *builder     // without a course; guarded by mu, like those below
	b       *builder     // nil before the course could be read
	plan    func() *plan // of b; made when it is first needed, which isn't for a page of the course
	indexes map[string]*search.Index
	fail    error // why the course could not be read when it last changed
	state   State
	changed chan struct{} // closed when state changes

	// With mu held for reading, showing guards this too.
	showing sync.Mutex
	shown   map[string]output // pictures of pages that were made since the last update

	// With mu held for reading, found guards these too.
	found    sync.Mutex
	since    *since             // what to find the pages to look at by, if the course is another; nil if that is done
	reworded []string           // the same for texts that have changed since, as messages call them and as includes do
	pages    map[string]*looked // by file; those that were looked at
	dirty    map[string]bool    // files of pages to look at
	err      error              // what went wrong with looking
}

// plan is what files there are.
type plan struct {
	jobs   []page.Job        // all pages
	byFile map[string]int    // places in jobs
	others map[string]output // files that are no pages
}

// State says how a live site is.
type State struct {
	Version  int      // counts changes that pages may show
	Checked  int      // the version whose mistakes are known
	Styles   []string // addresses of all style sheets
	Mistakes source.List
	Warnings source.List
	Err      error // why nothing more recent can be served; not the author's
}

// looked is what was found out about a page, and what from.
type looked struct {
	facts  *page.Facts
	place  int // among all pages, as the search index was told
	origin origin
	memo   *memo.Memo
}

// NewLive reads a course. One that can't be read is an error of State, until Update succeeds.
func NewLive(ctx context.Context, src Source, opts Options) (*Live, error) {
	blank, err := newBuilder(opts)
	if err != nil {
		return nil, err
	}
	l := &Live{
		kick: make(chan struct{}, 1), changed: make(chan struct{}), blank: blank,
		pages: map[string]*looked{}, dirty: map[string]bool{}, indexes: map[string]*search.Index{},
	}
	l.Update(ctx, src, nil)
	return l, nil
}

// State returns how things are, and a channel that is closed when they change.
func (l *Live) State() (State, <-chan struct{}) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.state, l.changed
}

// tell changes the state. The caller holds mu.
func (l *Live) tell(change func(*State)) {
	change(&l.state)
	close(l.changed)
	l.changed = make(chan struct{})
}

// UpdateAssets bundles scripts and styles again. Pages that differ only in their style sheets count as the same version.
func (l *Live) UpdateAssets() {
	l.updating.Lock()
	defer l.updating.Unlock()
	l.mu.RLock()
	opts := l.blank.opts
	l.mu.RUnlock()
	blank, err := newBuilder(opts)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.tell(func(s *State) { s.Err = err })
		return
	}
	same := sameScripts(l.blank.design, blank.design)
	l.blank = blank
	if l.b != nil {
		l.use(l.b.with(blank.design))
	}
	l.tell(func(s *State) {
		s.Err, s.Styles = l.fail, l.styles()
		if !same {
			s.Version++
			l.lookSince(nil, nil)
			l.wake()
		}
	})
}

// Fail says that the course can't be read any more. What was read before is still served.
func (l *Live) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
	l.tell(func(s *State) { s.Err = err })
}

// sameScripts says whether two bundles differ in nothing but style sheets.
func sameScripts(a, b *page.Design) bool {
	names := func(d *page.Design) (out []string) {
		for _, f := range d.Files() {
			if path.Ext(f.Path) != ".css" {
				out = append(out, f.Path)
			}
		}
		return out
	}
	return slices.Equal(names(a), names(b))
}

// styles are the addresses of all style sheets.
func (l *Live) styles() []string {
	out := []string{}
	for _, f := range l.blank.design.Files() {
		if path.Ext(f.Path) == ".css" {
			out = append(out, l.blank.design.Base()+f.Path)
		}
	}
	return out
}

// Update takes over changes of the course. changed are the files and folders of the content that may have changed; nil means
// that src.Content is another one. Labs may have changed too. When Update returns, pages show the change.
func (l *Live) Update(ctx context.Context, src Source, changed []string) {
	l.updating.Lock()
	defer l.updating.Unlock()
	l.mu.RLock()
	blank, old := l.blank, l.b
	l.mu.RUnlock()
	if changed == nil || l.tree == nil {
		l.tree, changed = course.NewTree(blank.treeSource(src)), []string{"."}
		old = nil
	}
	var names []string
	var err error
	if len(changed) > 0 {
		names, err = l.tree.Refresh(ctx, changed...)
	}
	labs := old == nil || !slices.Equal(old.src.Labs, src.Labs) || old.src.LabErr != src.LabErr
	if err == nil && !labs && l.updateTexts(names) {
		return
	}
	var b *builder
	if err == nil {
		b = blank.of(l.tree, src)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
	if err == nil {
		l.use(b)
	} else {
		l.tree = nil
	}
	l.tell(func(s *State) {
		s.Version++
		s.Err, s.Styles = err, l.styles()
		if err == nil {
			l.lookSince(old, names)
		}
		l.wake()
	})
}

// updateTexts takes over changes of texts that touch nothing but their own pages, and titles where others show them. It says
// whether that was all.
func (l *Live) updateTexts(names []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return false
	}
	now := map[*course.Text]course.Text{}
	var files []string
	for _, name := range names {
		t := l.b.model.Text(name)
		if t == nil {
			return false
		}
		changed, ok := l.tree.Reworded(t)
		if !ok || !sameFront(changed.Doc, t.Doc) && (l.b.cards || l.b.mistaken(t)) {
			return false
		}
		now[t] = changed
		files = append(files, t.Doc.File, t.Name) // as texts and as includes are called
	}
	if len(now) == 0 {
		return true
	}
	retitled := false
	for t, changed := range now {
		retitled = retitled || t.Title != changed.Title
		*t = changed
	}
	if retitled {
		b := *l.b
		b.pages = b.pages.Reworded()
		l.b = &b
	}
	l.shown = map[string]output{}
	l.tell(func(s *State) {
		s.Version++
		l.reworded = append(l.reworded, files...)
		l.wake()
	})
	return true
}

// sameFront says whether two versions of a file differ in nothing but their body.
func sameFront(a, b *markdown.Document) bool {
	return a.BodyLine == b.BodyLine && string(a.Front) == string(b.Front)
}

// mistaken says whether something is wrong with a text's front matter, which names its lines.
func (b *builder) mistaken(t *course.Text) bool {
	b.check()
	return slices.ContainsFunc(slices.Concat(b.mistakes, b.warnings), func(e *source.Error) bool { return e.File == t.Doc.File })
}

// use makes b the course that is served. The caller holds mu.
func (l *Live) use(b *builder) {
	l.b, l.plan, l.shown = b, sync.OnceValue(b.plan), map[string]output{}
	for _, lang := range b.model.Langs {
		if l.indexes[lang] == nil {
			l.indexes[lang] = search.New()
		}
	}
}

func (b *builder) plan() *plan {
	p := &plan{jobs: b.pages.Plan(), others: map[string]output{}}
	p.byFile = make(map[string]int, len(p.jobs))
	for i, j := range p.jobs {
		if _, ok := p.byFile[j.File]; !ok {
			p.byFile[j.File] = i
		}
	}
	for _, o := range b.otherFiles(nil, nil) {
		if _, ok := p.others[o.path]; !ok {
			p.others[o.path] = o
		}
	}
	return p
}

// Run finds out in the background what needs all pages, until ctx ends.
func (l *Live) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		}
		for ctx.Err() == nil && l.look(ctx) {
		}
	}
}

// look looks at the pages that need it. It returns false when there were none, and all is known.
func (l *Live) look(ctx context.Context) bool {
	l.mu.RLock()
	l.compare()
	var files []string
	workers := l.blank.opts.Workers
	if len(l.dirty) > 0 {
		for _, j := range l.plan().jobs {
			if l.dirty[j.File] {
				files = append(files, j.File)
			}
		}
	}
	l.mu.RUnlock()
	if len(files) == 0 {
		return l.sumUp()
	}
	var g errgroup.Group
	g.SetLimit(workers)
	for _, file := range files {
		g.Go(func() error {
			if ctx.Err() == nil {
				l.lookOne(file)
			}
			return nil
		})
	}
	_ = g.Wait()
	return true
}

// lookOne finds out about one page.
func (l *Live) lookOne(file string) {
	// An Update waits until the page is done, so that what is found out is of one version.
	l.mu.RLock()
	defer l.mu.RUnlock()
	plan := l.plan()
	i, ok := plan.byFile[file]
	l.found.Lock()
	old := l.pages[file]
	delete(l.dirty, file)
	l.found.Unlock()
	if !ok || plan.jobs[i].Copy {
		return
	}
	job := plan.jobs[i]
	now := &looked{place: i, origin: l.b.origin(job)}
	var before *memo.Memo
	if old != nil && old.origin == now.origin {
		before = old.memo
	}
	now.memo = memo.After(before)
	p, err := l.b.pages.Look(job, now.memo)
	same := before != nil && now.memo.Same()
	if err == nil && !same && before != nil {
		// What is remembered lacks the words to search for.
		now.memo = memo.After(nil)
		p, err = l.b.pages.Look(job, now.memo)
	}
	if err != nil {
		l.found.Lock()
		l.err = err
		l.found.Unlock()
		return
	}
	now.facts = p.Facts
	if index := l.indexes[p.Facts.Lang]; same {
		index.Move(file, i)
	} else {
		index.Set(file, i, p.Findable().Docs())
	}
	l.found.Lock()
	defer l.found.Unlock()
	l.pages[file] = now
}

// sumUp tells the mistakes once all pages were looked at. It returns true if there is one left after all.
func (l *Live) sumUp() bool {
	l.mu.RLock()
	l.found.Lock()
	left := len(l.dirty) > 0 || l.since != nil || l.reworded != nil
	version, b, err := l.state.Version, l.b, l.err
	l.err = nil
	var mistakes, warnings source.List
	if !left && b != nil && err == nil {
		mistakes, warnings = b.verdict(l.facts())
	}
	l.found.Unlock()
	l.mu.RUnlock()
	if left {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell(func(s *State) {
		s.Checked, s.Mistakes, s.Warnings = version, mistakes, warnings
		s.Err = errors.Join(l.fail, err)
	})
	return l.state.Version != version
}

// facts are those of all pages, in order. The caller holds mu and found.
func (l *Live) facts() []*page.Facts {
	jobs := l.plan().jobs
	out := make([]*page.Facts, 0, len(jobs))
	for _, j := range jobs {
		if p := l.pages[j.File]; p != nil {
			out = append(out, p.facts)
		}
	}
	return out
}

// File makes the file at a path of the site, like "zh/index.html", and says which version of the site it is of. A file that
// the site does not have is fs.ErrNotExist. What all pages decide, as search, waits until all have been looked at.
func (l *Live) File(ctx context.Context, name string) (data []byte, version int, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	version = l.state.Version
	if l.b == nil {
		return nil, version, fmt.Errorf("the course can't be read: %w", l.fail)
	}
	if _, folder := l.b.pages.Find(path.Join(name, "index.html")); folder {
		return nil, version, fs.ErrNotExist // a page is asked for by its folder, and shouldn't wait for a plan to say that this is no file
	}
	if job, ok := l.job(name); ok {
		p, err := l.b.pages.Look(job, nil)
		if err != nil {
			return nil, version, err
		}
		data, err := p.HTML()
		if files := l.b.filesOf([]*page.Facts{p.Facts}); len(files) > 0 {
			l.showing.Lock()
			defer l.showing.Unlock()
			for _, o := range files {
				l.shown[o.path] = o
			}
		}
		return data, version, err
	}
	o, ok := l.plan().others[name]
	if ok && !o.whole {
		data, err := o.data()
		return data, version, err
	}
	l.showing.Lock()
	shown := l.shown[name].data
	l.showing.Unlock()
	if shown != nil {
		data, err := shown()
		return data, version, err
	}
	lang, file := l.searchFile(name)
	if !ok && file == "" && l.b.gallery.Name(l.b.design.Base()+name) == "" && !strings.HasPrefix(name, "assets/") {
		return nil, version, fs.ErrNotExist
	}
	for l.state.Checked != l.state.Version {
		changed := l.changed
		l.mu.RUnlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		l.mu.RLock()
		if err := ctx.Err(); err != nil {
			return nil, version, err
		}
	}
	version = l.state.Version
	if file != "" {
		if data, ok := l.indexes[lang].File(file); ok {
			return data, version, nil
		}
		return nil, version, fs.ErrNotExist
	}
	l.found.Lock()
	pages := l.facts()
	l.found.Unlock()
	for _, o := range l.b.otherFiles(pages, l.b.saveIndexes(ctx, pages, l.indexes, nil)) {
		if o.path == name {
			data, err := o.data()
			return data, version, err
		}
	}
	return nil, version, fs.ErrNotExist
}

// job is the page at a path of the site. The caller holds mu.
func (l *Live) job(name string) (page.Job, bool) {
	if j, ok := l.b.pages.Find(name); ok {
		return j, true
	}
	p := l.plan()
	i, ok := p.byFile[name]
	if !ok {
		return page.Job{}, false
	}
	return p.jobs[i], true
}

// searchFile returns the language and the name of a file of a search index.
func (l *Live) searchFile(name string) (lang, file string) {
	dir, file := path.Split(name)
	if path.Ext(file) != ".json" {
		return "", ""
	}
	for _, lang := range l.b.model.Langs {
		if strings.TrimSuffix(dir, "/")+"/" == l.b.searchPath(lang, "") {
			return lang, file
		}
	}
	return "", ""
}
