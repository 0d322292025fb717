// Package memo renders texts again only if something else would come of it.
//
// Rendering asks about the rest of the site: where does this link lead, how large is this image, what is in that file. What came of a text
// holds as long as the same is asked for and all questions have the same answers, so nobody has to say what depends on what. What is
// remembered lacks the HTML and the words, which are most of it: it is for who looks at a whole course and shows little of it.
package memo

import (
	"crypto/sha256"
	"reflect"
	"slices"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// Memo knows what came of the texts of one page. A nil Memo remembers nothing.
type Memo struct {
	before, now []*remembered // in the order in which the page asks for them
}

// After returns a Memo for looking again at the page that old was for; nil if it is looked at for the first time.
func After(old *Memo) *Memo {
	if old == nil {
		return &Memo{}
	}
	return &Memo{before: old.now}
}

// remembered is what came of rendering a text. It holds as long as the same is asked for, and all questions that rendering
// asked have the same answers.
type remembered struct {
	req      markdown.Request // without functions
	asked    []question
	vain     bool // one of them had no answer
	page     markdown.Page
	mistakes source.List
}

// question is what rendering wanted to know of the rest of the site.
type question struct {
	include []string // the includes that lead to the text that asks
	about   subject
	target  string
	answer  answer
}

func (q question) equal(other question) bool {
	return q.about == other.about && q.target == other.target && q.answer == other.answer && slices.Equal(q.include, other.include)
}

// repeats is among how many questions before it one is looked for, so as not to be kept again: texts often lead to one place.
const repeats = 32

type subject byte

const (
	aboutLink subject = iota
	aboutImage
	aboutShown
	aboutInclude
)

// answer is one of the things that functions of a Request return.
type answer struct {
	text, err string
	image     markdown.Image
	sum       [sha256.Size]byte
}

// Render renders req, or remembers what came of it.
func (m *Memo) Render(md *markdown.Renderer, req markdown.Request, errs *source.List) *markdown.Page {
	if m == nil {
		return md.Render(req, errs)
	}
	if n := len(m.now); n < len(m.before) && m.before[n].holds(req) {
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

// asking are the functions of a text through which it asks.
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

// remember renders req and notes all that it asks.
func remember(md *markdown.Renderer, req markdown.Request) (*remembered, *markdown.Page) {
	r := &remembered{req: plain(req)}
	a := r.listen(nil, asking{req.Resolve, req.Image, req.Include})
	req.Resolve, req.Image, req.Include = a.resolve, a.image, a.include
	page := md.Render(req, &r.mistakes)
	r.page = *page
	r.page.HTML, r.page.Text, r.page.Sections = nil, "", nil
	r.asked = slices.Clip(r.asked)
	return r, page
}

// listen returns functions that answer as a, and note it.
func (r *remembered) listen(include []string, a asking) asking {
	note := func(about subject, target string, answer answer) {
		q := question{include, about, target, answer}
		if !slices.ContainsFunc(r.asked[max(0, len(r.asked)-repeats):], q.equal) {
			r.asked = append(r.asked, q)
		}
		r.vain = r.vain || answer.err != ""
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
			in := r.listen(append(slices.Clone(include), name), asking{inc.Resolve, a.image, inc.Include})
			inc.Resolve, inc.Include = in.resolve, in.include
			return inc, err
		}
	}
	return out
}

// holds says whether rendering req would give the same again.
func (r *remembered) holds(req markdown.Request) bool {
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

// Same says whether all that came of the texts was known before.
func (m *Memo) Same() bool { return slices.Equal(m.now, m.before) }

// Doubted says whether one of the answers may be another since files have changed, and addresses of which changed says so lead to
// something else; nil if none does. A question that had no answer may have one after every change.
func (m *Memo) Doubted(files []string, changed func(url string) bool) bool {
	return slices.ContainsFunc(m.now, func(r *remembered) bool { return r.doubted(files, changed) })
}

func (r *remembered) doubted(files []string, changed func(url string) bool) bool {
	if r.vain {
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

// MadeOf says whether one of files is part of what was rendered: texts as messages call them, what they include by its name in the
// content tree.
func (m *Memo) MadeOf(files []string) bool {
	return slices.ContainsFunc(m.now, func(r *remembered) bool { return r.madeOf(files) })
}

// madeOf compares: files are few, and that is faster than hashing.
func (r *remembered) madeOf(files []string) bool {
	return slices.Contains(files, r.req.File) || slices.ContainsFunc(r.page.Includes, func(name string) bool { return slices.Contains(files, name) })
}

// plain is req without its functions, which can't be compared. One that is missing here makes nothing hold.
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
