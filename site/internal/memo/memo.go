// Package memo caches the results of rendering texts, and finds out whether they are still valid.
//
// A text's HTML depends on more than the text: on where links lead, how large images are, what
// included files contain. While a text is rendered, the memo records each such question with its
// answer. A cached result is valid as long as the request is the same and all its questions have
// the same answers. So nobody has to maintain a graph of dependencies.
//
// To save memory, results are cached without HTML and without words for the search index, which are
// most of their size. That is enough to check a whole course for mistakes.
package memo

import (
	"crypto/sha256"
	"reflect"
	"slices"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// Memo caches the results of the texts of one page. A nil Memo caches nothing.
type Memo struct {
	before, now []*remembered // results of the last and of this rendering, in the order in which the page renders its texts
}

// After returns a Memo for rendering a page again. old is the Memo of the last time, nil if there
// was none.
func After(old *Memo) *Memo {
	if old == nil {
		return &Memo{}
	}
	return &Memo{before: old.now}
}

// remembered is the cached result of one text.
type remembered struct {
	req        markdown.Request // without functions
	asked      []question
	unanswered bool // one of the questions had an error for an answer
	page       markdown.Page
	mistakes   source.List
}

// question is what rendering asked about the rest of the site.
type question struct {
	include []string // path of includes from the text to the one that asked
	about   subject
	target  string
	answer  answer
}

func (q question) equal(other question) bool {
	return q.about == other.about && q.target == other.target && q.answer == other.answer && slices.Equal(q.include, other.include)
}

// repeats is how many of the last questions are compared with a new one, to record each only once.
// Texts often link to one place several times.
const repeats = 32

type subject byte

const (
	aboutLink subject = iota
	aboutImage
	aboutShown
	aboutInclude
)

// answer is the result of one of a Request's functions.
type answer struct {
	text, err string
	image     markdown.Image
	sum       [sha256.Size]byte
}

// Render renders req, or returns the cached result if it is still valid. A cached result has no
// HTML, Text and Sections.
func (m *Memo) Render(md *markdown.Renderer, req markdown.Request, errs *source.List) *markdown.Page {
	if m == nil {
		return md.Render(req, errs)
	}
	if n := len(m.now); n < len(m.before) && m.before[n].valid(req) {
		r := m.before[n]
		m.now = append(m.now, r)
		*errs = append(*errs, r.mistakes...)
		return &r.page
	}
	r, page := remember(md, req)
	m.now = append(m.now, r)
	*errs = append(*errs, r.mistakes...)
	return page
}

// asking has the functions of a Request through which rendering asks.
type asking struct {
	resolve func(target string, image bool) (string, error)
	image   func(url string) (markdown.Image, error)
	include func(name string) (markdown.Included, error)
}

func (a asking) ask(about subject, target string) (answer, asking) {
	switch about {
	case aboutShown:
		image, err := a.image(target)
		return answer{image: image, err: message(err)}, asking{}
	case aboutInclude:
		inc, err := a.include(target)
		return includeAnswer(inc, err), asking{resolve: inc.Resolve, image: a.image, include: inc.Include}
	default:
		url, err := a.resolve(target, about == aboutImage)
		return answer{text: url, err: message(err)}, asking{}
	}
}

func includeAnswer(inc markdown.Included, err error) answer {
	return answer{text: inc.File, err: message(err), sum: sha256.Sum256(inc.Data)}
}

// remember renders req and records its questions.
func remember(md *markdown.Renderer, req markdown.Request) (*remembered, *markdown.Page) {
	r := &remembered{req: plain(req)}
	a := r.record(nil, asking{req.Resolve, req.Image, req.Include})
	req.Resolve, req.Image, req.Include = a.resolve, a.image, a.include
	page := md.Render(req, &r.mistakes)
	r.page = *page
	r.page.HTML, r.page.Text, r.page.Sections = nil, "", nil
	r.asked = slices.Clip(r.asked)
	return r, page
}

// record wraps the functions of a so that questions and answers are recorded.
func (r *remembered) record(include []string, a asking) asking {
	note := func(about subject, target string, answer answer) {
		q := question{include, about, target, answer}
		if !slices.ContainsFunc(r.asked[max(0, len(r.asked)-repeats):], q.equal) {
			r.asked = append(r.asked, q)
		}
		r.unanswered = r.unanswered || answer.err != ""
	}
	var out asking
	if a.resolve != nil {
		out.resolve = func(target string, image bool) (string, error) {
			url, err := a.resolve(target, image)
			about := aboutLink
			if image {
				about = aboutImage
			}
			note(about, target, answer{text: url, err: message(err)})
			return url, err
		}
	}
	if a.image != nil {
		out.image = func(url string) (markdown.Image, error) {
			image, err := a.image(url)
			note(aboutShown, url, answer{image: image, err: message(err)})
			return image, err
		}
	}
	if a.include != nil {
		out.include = func(name string) (markdown.Included, error) {
			inc, err := a.include(name)
			note(aboutInclude, name, includeAnswer(inc, err))
			in := r.record(append(slices.Clone(include), name), asking{inc.Resolve, a.image, inc.Include})
			inc.Resolve, inc.Include = in.resolve, in.include
			return inc, err
		}
	}
	return out
}

// valid reports whether rendering req would give the same result.
func (r *remembered) valid(req markdown.Request) bool {
	if !reflect.DeepEqual(plain(req), r.req) {
		return false
	}
	for _, q := range r.asked {
		a := asking{req.Resolve, req.Image, req.Include}
		for _, name := range q.include {
			if _, a = a.ask(aboutInclude, name); a.resolve == nil {
				return false
			}
		}
		if now, _ := a.ask(q.about, q.target); now != q.answer {
			return false
		}
	}
	return true
}

// Same reports whether all results came from the cache.
func (m *Memo) Same() bool { return slices.Equal(m.now, m.before) }

// Doubtful reports whether a result may have become invalid because of changes. files are the files
// that changed, and changed reports whether an address may lead to something else now; nil means
// that no address does. This is a quick test: it may be true for a result that Render then finds
// valid. After any change it is true for results with an unanswered question.
func (m *Memo) Doubtful(files []string, changed func(url string) bool) bool {
	return slices.ContainsFunc(m.now, func(r *remembered) bool { return r.doubtful(files, changed) })
}

func (r *remembered) doubtful(files []string, changed func(url string) bool) bool {
	if r.unanswered {
		return true
	}
	if changed != nil {
		for _, q := range r.asked {
			url := q.answer.text
			if q.about == aboutShown {
				url = q.target
			}
			if q.about != aboutInclude && changed(url) {
				return true
			}
		}
	}
	return r.madeOf(files)
}

// MadeOf reports whether one of the files was rendered. Texts are named as in messages, included
// files by their name in the content tree.
func (m *Memo) MadeOf(files []string) bool {
	return slices.ContainsFunc(m.now, func(r *remembered) bool { return r.madeOf(files) })
}

// madeOf searches slices, which is faster than a map for the few files of a change.
func (r *remembered) madeOf(files []string) bool {
	return slices.Contains(files, r.req.File) || slices.ContainsFunc(r.page.Includes, func(name string) bool { return slices.Contains(files, name) })
}

// plain returns req without its functions, because functions can't be compared. If a function is
// missing here, no cached result is ever valid.
func plain(req markdown.Request) markdown.Request {
	req.Resolve, req.Image, req.Include = nil, nil, nil
	return req
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
