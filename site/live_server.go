package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// server has what a live site serves now. Whoever reads the course holds mu for reading until done,
// so no update changes a text in the middle of a page, and all that is made under one lock is of
// one version.
type server struct {
	facts func(e *edition) ([]*page.Facts, map[string]*search.Index) // what the checker knows about all pages

	mu      sync.RWMutex
	blank   *builder // without a course; guarded by mu, like all below
	now     *edition // nil before the course could be read
	fail    error    // why the course could not be read when it last changed
	state   State
	changed chan struct{} // closed when state changes
}

func newServer(blank *builder) *server {
	return &server{blank: blank, changed: make(chan struct{})}
}

// edition is a course as it is served between two updates.
type edition struct {
	b     *builder
	plan  func() *plan // made when it is first needed, which isn't for a lesson
	shown *shownFiles
}

func newEdition(b *builder) *edition {
	return &edition{b: b, plan: sync.OnceValue(b.plan), shown: newShownFiles()}
}

// plan lists the files of a site.
type plan struct {
	jobs   []page.Job        // all pages
	byFile map[string]int    // index into jobs
	others map[string]output // files other than pages
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

// job returns the page at a path of the site.
func (e *edition) job(name string) (page.Job, bool) {
	if j, ok := e.b.pages.Find(name); ok {
		return j, true
	}
	p := e.plan()
	i, ok := p.byFile[name]
	if !ok {
		return page.Job{}, false
	}
	return p.jobs[i], true
}

// shownFiles remembers the pictures of the pages that were made since the last update: a browser
// asks for them next. It is safe for concurrent use.
type shownFiles struct {
	mu    sync.Mutex
	files map[string]output // guarded by mu
}

func newShownFiles() *shownFiles { return &shownFiles{files: map[string]output{}} }

func (s *shownFiles) add(files []output) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range files {
		s.files[o.path] = o
	}
}

func (s *shownFiles) get(name string) (output, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.files[name]
	return o, ok
}

// State returns the current state, and a channel that is closed when it changes.
func (s *server) State() (State, <-chan struct{}) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state, s.changed
}

// tell changes the state. The caller holds mu.
func (s *server) tell(change func(*State)) {
	change(&s.state)
	close(s.changed)
	s.changed = make(chan struct{})
}

// current returns the builder without a course, and that of the course; nil if there is none.
func (s *server) current() (blank, b *builder) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now != nil {
		b = s.now.b
	}
	return s.blank, b
}

func (s *server) options() Options {
	blank, _ := s.current()
	return blank.opts
}

func (s *server) design() *page.Design {
	blank, _ := s.current()
	return blank.design
}

// errNeedsAll says that a file can be made only when all pages are known.
var errNeedsAll = errors.New("the file depends on all pages")

// File makes the file at a path of the site, like "zh/index.html", and returns the version of the
// site that it belongs to. The error is fs.ErrNotExist if the site does not have the file. Files
// that depend on all pages, such as the search index, wait until the checker has looked at all of
// them.
func (s *server) File(ctx context.Context, name string) (data []byte, version int, err error) {
	data, version, err = s.fileNow(ctx, name)
	for errors.Is(err, errNeedsAll) {
		var changed <-chan struct{}
		if data, version, changed, err = s.fileOfAll(ctx, name); !errors.Is(err, errNeedsAll) {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, version, ctx.Err()
		}
	}
	return data, version, err
}

// fileNow makes a file that does not depend on all pages.
func (s *server) fileNow(ctx context.Context, name string) ([]byte, int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now == nil {
		return nil, s.state.Version, fmt.Errorf("the course can't be read: %w", s.fail)
	}
	data, err := s.now.file(ctx, name)
	return data, s.state.Version, err
}

func (e *edition) file(ctx context.Context, name string) ([]byte, error) {
	if _, folder := e.b.pages.Find(path.Join(name, "index.html")); folder {
		return nil, fs.ErrNotExist // the folder of a page; answering that here saves a wait for the plan
	}
	if job, ok := e.job(name); ok {
		return e.page(ctx, job)
	}
	if o, ok := e.plan().others[name]; ok && !o.whole {
		return o.data()
	}
	if o, ok := e.shown.get(name); ok {
		return o.data()
	}
	_, whole := e.plan().others[name]
	_, _, index := e.searchFile(name)
	image := e.b.gallery.Name(e.b.design.Base()+name) != "" || strings.HasPrefix(name, "assets/")
	if whole || index || image {
		return nil, errNeedsAll
	}
	return nil, fs.ErrNotExist
}

// page renders a page.
func (e *edition) page(ctx context.Context, job page.Job) ([]byte, error) {
	p, err := e.b.pages.Look(ctx, job, nil)
	if err != nil {
		return nil, err
	}
	data, err := p.HTML()
	// The browser asks for these files in requests of their own, after this one has ended.
	e.shown.add(e.b.filesOf(context.WithoutCancel(ctx), []*page.Facts{p.Facts}))
	return data, err
}

// fileOfAll makes a file that depends on all pages. If the checker has not looked at all pages of
// the current version, the error is errNeedsAll, and changed is closed when there is something new.
func (s *server) fileOfAll(ctx context.Context, name string) (data []byte, version int, changed <-chan struct{}, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	version = s.state.Version
	if s.state.Checked != version {
		return nil, version, s.changed, errNeedsAll
	}
	e := s.now
	pages, indexes := s.facts(e)
	if lang, file, ok := e.searchFile(name); ok {
		if data, ok := indexes[lang].File(file); ok {
			return data, version, nil, nil
		}
		return nil, version, nil, fs.ErrNotExist
	}
	others := e.b.otherFiles(pages, e.b.saveIndexes(ctx, pages, indexes, nil))
	for _, o := range append(others, e.b.filesOf(ctx, pages)...) {
		if o.path == name {
			data, err := o.data()
			return data, version, nil, err
		}
	}
	return nil, version, nil, fs.ErrNotExist
}

// searchFile returns the language and the name of a file of a search index.
func (e *edition) searchFile(name string) (lang, file string, ok bool) {
	dir, file := path.Split(name)
	if path.Ext(file) != ".json" {
		return "", "", false
	}
	for _, lang := range e.b.model.Langs {
		if dir == course.LangPrefix(lang, e.b.opts.DefaultLang)+page.SearchFolder {
			return lang, file, true
		}
	}
	return "", "", false
}
