package site

import (
	"crypto/sha256"
	"reflect"
	"slices"

	"labd/internal/markdown"
	"labd/internal/source"
)

// memo knows what came of the texts of a page when it was last looked at. What is remembered lacks
// the HTML and the words, which are most of it.
type memo struct {
	before, now []*remembered // in the order in which the page asks for them
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

// render renders req, or remembers what came of it.
func (m *memo) render(md *markdown.Renderer, req markdown.Request, errs *source.List) *markdown.Page {
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
		r.asked = append(r.asked, question{include, about, target, answer})
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

// madeOf says whether one of files, by name, is part of what was rendered. They are few: comparing is faster than hashing.
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
