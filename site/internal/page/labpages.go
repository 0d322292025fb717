package page

import (
	"fmt"
	"html/template"
	"slices"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
)

type labCard struct {
	link
	ID, Summary, Minutes, StepCount, Level string
}

// labView is a lab with its text in one language.
type labView struct {
	labCard
	Facts []string
	Intro template.HTML
	Steps []stepView
	Toc   []link
}

type stepView struct {
	Number int
	Label  string
	Anchor string
	Title  string
	Body   template.HTML
	Hints  []hintView
}

type hintView struct {
	Label string
	Body  template.HTML
}

// preview is the small terminal on the home page: the first commands of the first lab.
type preview struct {
	Title string
	Lines []string
	Steps []link
}

func (m *Maker) labCard(l *lab.Lab, lang string) labCard {
	w := m.words(lang)
	c := labCard{
		link: link{URL: m.URL(lang, "labs/"+l.ID+"/"), Title: l.Title.For(lang)},
		ID:   l.ID, Summary: l.Summary.For(lang), Level: w.level(l.Level), StepCount: counted(len(l.Steps), w.OneStep, w.Steps),
	}
	if l.Minutes > 0 {
		c.Minutes = fmt.Sprintf(w.Minutes, l.Minutes)
	}
	return c
}

// preview takes the first {run} lines and the step titles of the first lab.
func (m *Maker) preview(lang string) *preview {
	const maxLines, maxSteps = 4, 4
	if len(m.model.Labs) == 0 {
		return nil
	}
	l := m.model.Labs[0]
	v := &preview{Title: l.Title.For(lang)}
	for _, s := range l.Steps {
		if len(v.Steps) < maxSteps {
			v.Steps = append(v.Steps, link{URL: m.URL(lang, "labs/"+l.ID+"/") + "#" + s.Anchor, Title: s.Title.For(lang)})
		}
		for _, line := range fence.RunLines(s.Body[lab.DefaultLang].Source) {
			if len(v.Lines) < maxLines {
				v.Lines = append(v.Lines, line)
			}
		}
	}
	return v
}

func (m *Maker) labsPage(lang string) *view {
	p := m.view("labs", lang, "labs/")
	p.Title, p.Summary = p.T.AllLabs, p.T.LabsIntro
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.T.Labs, Current: true}}
	m.setSidebar(p, "")
	for _, l := range m.model.Labs {
		p.Labs = append(p.Labs, m.labCard(l, lang))
	}
	return p
}

// labBundle is what runs labs, where the site offers them: elsewhere there is nobody to ask.
func (m *Maker) labBundle() bundle.Bundle {
	if !m.opts.Labs {
		return bundle.Bundle{}
	}
	return m.assets.lab
}

func (m *Maker) labPage(lang string, l *lab.Lab, i int, errs *source.List) *view {
	p := m.view("lab", lang, "labs/"+l.ID+"/")
	p.LabBundle = m.labBundle()
	p.LabScripts = len(p.LabBundle.JS) > 0
	p.PageID = "labs/" + l.ID + "/"
	p.ContentLang = lang
	if !slices.Contains(l.Langs, lang) {
		p.ContentLang = lab.DefaultLang
		p.Notice = fmt.Sprintf(p.T.FallbackLab, m.words(p.ContentLang).Name)
	}
	p.Title, p.Summary = l.Title.For(lang), l.Summary.For(lang)
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {URL: p.LabsURL, Title: p.T.Labs}, {Title: p.Title, Current: true}}
	p.learning = &learning{
		kind: "Hands-on lab", minutes: l.Minutes, level: m.words("en").level(l.Level), partOf: []link{{URL: p.HomeURL, Title: p.SiteTitle}},
	}
	v := &labView{labCard: m.labCard(l, lang)}
	for _, fact := range []string{v.Level, v.Minutes, v.StepCount} {
		if fact != "" {
			v.Facts = append(v.Facts, fact)
		}
	}
	v.Intro = m.labText(p, l, l.Intro[p.ContentLang], "", errs)
	for n, s := range l.Steps {
		first := len(p.sections)
		sv := stepView{Number: n + 1, Label: fmt.Sprintf(p.T.Step, n+1), Anchor: s.Anchor, Title: s.Title.For(p.ContentLang)}
		if !p.addID(s.Anchor) || slices.Contains(templateIDs, s.Anchor) {
			md := s.Body[p.ContentLang]
			errs.Add(&source.Error{File: md.File, Line: max(1, md.Line-1), Msg: fmt.Sprintf("something else on this page has the id %q, which this step needs; give it another title", s.Anchor)})
		}
		p.TOC = append(p.TOC, markdown.Heading{Level: 2, ID: s.Anchor, Text: sv.Title})
		sv.Body = m.labText(p, l, s.Body[p.ContentLang], s.Anchor+"-", errs)
		if first < len(p.sections) {
			p.sections[first].ID, p.sections[first].Title = s.Anchor, course.Plain(sv.Title)
		}
		hints := s.Hints[p.ContentLang]
		for h, hint := range hints {
			label := p.T.Hint
			if len(hints) > 1 {
				label = fmt.Sprintf(p.T.HintN, h+1)
			}
			sv.Hints = append(sv.Hints, hintView{Label: label, Body: m.labText(p, l, hint, fmt.Sprintf("%s-hint-%d-", s.Anchor, h+1), errs)})
		}
		v.Steps = append(v.Steps, sv)
	}
	for _, id := range l.Prerequisites {
		if other := m.model.LabByID[id]; other != nil {
			p.Before = append(p.Before, link{URL: m.URL(lang, "labs/"+id+"/"), Title: other.Title.For(lang)})
		}
	}
	if i > 0 {
		prev := m.model.Labs[i-1]
		p.Prev = &link{URL: m.URL(lang, "labs/"+prev.ID+"/"), Title: prev.Title.For(lang)}
	}
	if i+1 < len(m.model.Labs) {
		next := m.model.Labs[i+1]
		p.Next = &link{URL: m.URL(lang, "labs/"+next.ID+"/"), Title: next.Title.For(lang)}
	}
	p.Lab = v
	return p
}

// labText renders one piece of a lab into its page.
func (m *Maker) labText(p *view, l *lab.Lab, md lab.Markdown, prefix string, errs *source.List) template.HTML {
	if len(md.Source) == 0 {
		return ""
	}
	req := markdown.Request{
		File: md.File, Line: md.Line, Text: md.Source, IDPrefix: prefix, Taken: templateIDs, Labels: p.T.Markdown, Nodes: l.Stack.Nodes,
		Resolve: m.resolver(p.Lang, ""), Include: m.labIncluder(p.Lang, l, "."),
	}
	if len(l.Stack.Nodes) > 0 {
		req.Node = l.Stack.Nodes[0]
	}
	for _, v := range l.Variables {
		req.Variables = append(req.Variables, v.Name)
	}
	return m.renderText(p, req, errs)
}
