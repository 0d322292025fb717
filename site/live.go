package site

import (
	"context"
	"path"
	"slices"
	"sync"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
)

// Live is a site that is never built. It makes each file when a browser asks for it, while the
// author writes the course.
//
// A page is rendered from the current text on every request, so it is never older than the last
// Update, and the first page does not wait for the others. Run finds out in the background what
// needs all pages, such as mistakes and the search index.
//
// Files and mistakes are those that Build would make of the same input with Options.LiveScript set:
// without it, pages are kept in the browser for offline reading.
//
// Live has three parts, each with one lock. Calls take the locks in this order, never the other way
// round:
//
//	updater   reads changed files, one update at a time       updating
//	server    what is served now: a course, and its state     server.mu
//	checker   what is known about all pages of that course    checker.mu
//
// The pictures of pages that were requested are kept by a shownFiles, whose lock is the innermost.
type Live struct {
	*server
	checker *checker

	updating sync.Mutex   // held during an update, so there is one at a time
	tree     *course.Tree // guarded by updating; nil if the course has to be read from scratch
}

// State is the state of a live site.
type State struct {
	Version  int      // counts changes that pages may show
	Checked  int      // the version whose mistakes are listed
	Styles   []string // addresses of all style sheets
	Mistakes source.List
	Warnings source.List
	Err      error // why nothing newer can be served, if that is no mistake of the author
}

// NewLive reads a course. If that fails, State has the error until an Update succeeds.
func NewLive(ctx context.Context, src Source, opts Options) (*Live, error) {
	blank, err := newBuilder(opts)
	if err != nil {
		return nil, err
	}
	s := newServer(blank)
	l := &Live{server: s, checker: newChecker(s)}
	l.Update(ctx, src, nil)
	return l, nil
}

// Run checks the course in the background, again after every update, until ctx ends.
func (l *Live) Run(ctx context.Context) { l.checker.run(ctx) }

// UpdateAssets bundles scripts and styles again. If only style sheets change, the version stays the
// same.
func (l *Live) UpdateAssets() {
	l.updating.Lock()
	defer l.updating.Unlock()
	old := l.design()
	blank, err := newBuilder(l.options())
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.tell(func(s *State) { s.Err = err })
		return
	}
	l.blank = blank
	if l.now != nil {
		l.now = newEdition(l.now.b.with(blank.design))
	}
	l.tell(func(s *State) {
		s.Err, s.Styles = l.fail, stylesOf(blank.design)
		if !sameScripts(old, blank.design) {
			s.Version++
			l.checker.courseChanged(nil, nil)
		}
	})
}

// sameScripts reports whether two designs differ in nothing but style sheets.
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

// stylesOf returns the addresses of all style sheets.
func stylesOf(d *page.Design) []string {
	out := []string{}
	for _, f := range d.Files() {
		if path.Ext(f.Path) == ".css" {
			out = append(out, d.Base()+f.Path)
		}
	}
	return out
}

// Fail reports that the course can't be read any more. The last version is still served.
func (l *Live) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
	l.tell(func(s *State) { s.Err = err })
}

// Update takes over changes of the course. changed are the files and folders of the content that
// may have changed; nil means that src.Content is a different file system. Labs may have changed
// too. When Update returns, pages show the change.
func (l *Live) Update(ctx context.Context, src Source, changed []string) {
	l.updating.Lock()
	defer l.updating.Unlock()
	blank, old := l.current()
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
	} else {
		l.tree = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
	if err == nil {
		l.now = newEdition(b)
	}
	l.tell(func(s *State) {
		s.Version++
		s.Err, s.Styles = err, stylesOf(l.blank.design)
		if err == nil {
			l.checker.courseChanged(old, names)
		} else {
			l.checker.wake()
		}
	})
}

// updateTexts changes texts of the model in place, which is faster than a new model. That is
// possible if nothing but their own pages depends on the changes, apart from titles. It reports
// whether all changes were of that kind.
func (l *Live) updateTexts(names []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return false
	}
	b := l.now.b
	now := map[*course.Text]course.Text{}
	var files []string
	for _, name := range names {
		t := b.model.Text(name)
		if t == nil {
			return false
		}
		changed, ok := l.tree.Reworded(t)
		if !ok || !sameFront(changed.Doc, t.Doc) && (b.cards || b.mistaken(t)) {
			return false
		}
		now[t] = changed
		files = append(files, t.Doc.File, t.Name) // by the name in messages, and by that in includes
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
		n := *b
		n.pages = b.pages.Reworded()
		b = &n
	}
	l.now = &edition{b: b, plan: l.now.plan, shown: newShownFiles()}
	l.tell(func(s *State) {
		s.Version++
		l.checker.textsChanged(files)
	})
	return true
}

// sameFront reports whether two versions of a file differ in nothing but their body.
func sameFront(a, b *source.Document) bool {
	return a.BodyLine == b.BodyLine && string(a.Front) == string(b.Front)
}

// mistaken reports whether something is wrong with a text's front matter. Messages about it name
// its lines.
func (b *builder) mistaken(t *course.Text) bool {
	b.check()
	return slices.ContainsFunc(slices.Concat(b.mistakes, b.warnings), func(e *source.Error) bool { return e.File == t.Doc.File })
}
