package site

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/memo"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// checker looks at all pages of a live site in the background: for mistakes, for the search index,
// and for files that depend on all pages. It remembers what it found, with the questions that
// rendering asked about other files and their answers (package memo). After a change it looks only
// at pages whose text changed or one of whose answers may have changed.
//
// Updates call courseChanged and textsChanged, which only note what changed. All work happens in
// run, whose goroutine is the only one that starts workers. A worker holds server.mu for reading
// while it looks at a page, so what it finds is of one version.
type checker struct {
	server *server
	kick   chan struct{} // holds a token if there may be work for run

	mu       sync.Mutex
	since    *since                   // how the course changed since run last compared it; guarded by mu, like all below
	reworded []string                 // texts that changed since then, by their names in messages and in includes
	pages    map[string]*looked       // what was found, by file
	dirty    map[string]bool          // files of the pages to look at
	indexes  map[string]*search.Index // by language; an Index has a lock of its own
	err      error                    // why looking at a page failed
}

// looked is what was found out about a page, and from what.
type looked struct {
	facts  *page.Facts
	place  int // in the plan, as the search index was told
	origin origin
	memo   *memo.Memo
}

func newChecker(s *server) *checker {
	c := &checker{
		server: s, kick: make(chan struct{}, 1),
		pages: map[string]*looked{}, dirty: map[string]bool{}, indexes: map[string]*search.Index{},
	}
	s.facts = c.known
	return c
}

// courseChanged notes that the course was replaced. old is the one before, nil if nothing that was
// found may still hold; names are the files that changed. The caller holds server.mu.
func (c *checker) courseChanged(old *builder, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil {
		c.since = &since{old: old}
	}
	c.since.names = append(c.since.names, names...)
	if old == nil {
		c.since.old = nil
	}
	c.wake()
}

// textsChanged notes that texts were changed in place. The caller holds server.mu.
func (c *checker) textsChanged(files []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reworded = append(c.reworded, files...)
	c.wake()
}

// wake makes run see whether there is work.
func (c *checker) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (c *checker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		}
		for ctx.Err() == nil && c.look(ctx) {
		}
	}
}

// look looks at the pages that need it. It returns false if there were none, and the state has the
// result.
func (c *checker) look(ctx context.Context) bool {
	files, opts := c.toLook()
	if len(files) == 0 {
		return c.publish()
	}
	var done atomic.Int64
	var g errgroup.Group
	g.SetLimit(opts.Workers)
	for _, file := range files {
		g.Go(func() error {
			if ctx.Err() == nil {
				c.lookOne(ctx, file)
			}
			opts.Progress("pages", int(done.Add(1)), len(files))
			return nil
		})
	}
	_ = g.Wait() // lookOne keeps its errors
	return true
}

// toLook returns the files of the pages to look at, in the order of the plan.
func (c *checker) toLook() ([]string, Options) {
	s := c.server
	s.mu.RLock()
	defer s.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.now == nil {
		return nil, s.blank.opts
	}
	c.compare(s.now)
	var files []string
	if len(c.dirty) > 0 {
		for _, j := range s.now.plan().jobs {
			if c.dirty[j.File] {
				files = append(files, j.File)
			}
		}
	}
	return files, s.blank.opts
}

// lookOne finds out about one page.
func (c *checker) lookOne(ctx context.Context, file string) {
	s := c.server
	s.mu.RLock() // until the page is done, so the result is of one version
	defer s.mu.RUnlock()
	plan := s.now.plan()
	i, ok := plan.byFile[file]
	old := c.take(file)
	if !ok || plan.jobs[i].Copy {
		return
	}
	b, job := s.now.b, plan.jobs[i]
	now := &looked{place: i, origin: b.origin(job)}
	var before *memo.Memo
	if old != nil && old.origin == now.origin {
		before = old.memo
	}
	now.memo = memo.After(before)
	p, err := b.pages.Look(ctx, job, now.memo)
	same := before != nil && now.memo.Same()
	if err == nil && !same && before != nil {
		// A memo lacks the words, which the search index needs. Render all texts of the page.
		now.memo = memo.After(nil)
		p, err = b.pages.Look(ctx, job, now.memo)
	}
	if err != nil {
		c.failed(err)
		return
	}
	now.facts = p.Facts
	if index := c.index(p.Facts.Lang); same {
		index.Move(file, i)
	} else {
		index.Set(file, i, p.Findable().Docs())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages[file] = now
}

// take returns what was known about a page that is looked at now.
func (c *checker) take(file string) *looked {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.dirty, file)
	return c.pages[file]
}

func (c *checker) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// index returns the search index of a language.
func (c *checker) index(lang string) *search.Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.indexOf(lang)
}

// indexOf is index for callers that hold mu.
func (c *checker) indexOf(lang string) *search.Index {
	if c.indexes[lang] == nil {
		c.indexes[lang] = search.New()
	}
	return c.indexes[lang]
}

// publish puts the mistakes into the state if all pages were looked at. It returns true if there is
// more to look at.
func (c *checker) publish() bool {
	version, mistakes, warnings, err, more := c.verdict()
	if more {
		return true
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(func(state *State) {
		state.Checked, state.Mistakes, state.Warnings = version, mistakes, warnings
		state.Err = errors.Join(s.fail, err)
	})
	return s.state.Version != version
}

// verdict returns what is wrong with the current version. more says that pages are left to look at.
func (c *checker) verdict() (version int, mistakes, warnings source.List, err error, more bool) {
	s := c.server
	s.mu.RLock()
	defer s.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.dirty) > 0 || c.since != nil || c.reworded != nil {
		return 0, nil, nil, nil, true
	}
	err, c.err = c.err, nil
	if s.now != nil && err == nil {
		mistakes, warnings = s.now.b.verdict(c.facts(s.now))
	}
	return s.state.Version, mistakes, warnings, err, false
}

// known returns the facts of all pages in the order of the plan, and the search indexes of all
// languages. The caller holds server.mu.
func (c *checker) known(e *edition) ([]*page.Facts, map[string]*search.Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	indexes := map[string]*search.Index{}
	for _, lang := range e.b.model.Langs {
		indexes[lang] = c.indexOf(lang)
	}
	return c.facts(e), indexes
}

// facts are those of all pages in the order of the plan. The caller holds mu and server.mu.
func (c *checker) facts(e *edition) []*page.Facts {
	jobs := e.plan().jobs
	out := make([]*page.Facts, 0, len(jobs))
	for _, j := range jobs {
		if p := c.pages[j.File]; p != nil {
			out = append(out, p.facts)
		}
	}
	return out
}
