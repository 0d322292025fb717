package page

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// labLang is the language of a lab's text on pages in lang: the nearest that the lab has, else its
// first.
func (m *Maker) labLang(l *lab.Lab, lang string) string {
	return cmp.Or(m.langs.Nearest(lang, l.Langs), lab.DefaultLang)
}

// textIn is a title or a summary of a lab for readers of lang.
func (m *Maker) textIn(lang string, t lab.Text) string {
	return t.For(cmp.Or(m.langs.Nearest(lang, slices.Sorted(maps.Keys(t))), lab.DefaultLang))
}

func (m *Maker) labCard(l *lab.Lab, lang string) labCard {
	w := m.words(lang)
	c := labCard{
		link: link{URL: m.URL(lang, labPath(l)), Title: m.textIn(lang, l.Title)},
		ID:   l.ID, Summary: m.textIn(lang, l.Summary), Level: w.LevelName(l.Level), StepCount: counted(len(l.Steps), w.OneStep, w.Steps),
	}
	if l.Minutes > 0 {
		c.Minutes = fmt.Sprintf(w.Minutes, l.Minutes)
	}
	return c
}

func (m *Maker) labStart(l *lab.Lab, lang string) *labStart {
	v := &labStart{labCard: m.labCard(l, lang)}
	for _, s := range l.Steps {
		v.Toc = append(v.Toc, link{URL: v.URL + "#" + s.Anchor, Title: m.textIn(lang, s.Title), Note: s.Anchor})
	}
	return v
}

// preview takes the first {run} lines and the step titles of the first lab.
func (m *Maker) preview(lang string) *preview {
	const maxLines, maxSteps = 4, 4
	if len(m.model.Labs) == 0 {
		return nil
	}
	l := m.model.Labs[0]
	v := &preview{Title: m.textIn(lang, l.Title)}
	for _, s := range l.Steps {
		if len(v.Steps) < maxSteps {
			v.Steps = append(v.Steps, link{URL: m.URL(lang, labPath(l)) + "#" + s.Anchor, Title: m.textIn(lang, s.Title)})
		}
		for _, line := range s.RunLines() {
			if len(v.Lines) < maxLines {
				v.Lines = append(v.Lines, line)
			}
		}
	}
	return v
}

func (m *Maker) labsPage(lang string) *draft {
	p := m.begin("labs", lang, "labs/")
	v := &labsView{frame: &p.frame, lead: &p.lead, navigation: &p.navigation}
	p.view = v
	p.Title, p.Summary = p.T.AllLabs, p.T.LabsIntro
	p.Crumbs = []link{p.home(), {Title: p.T.Labs}}
	m.setSidebar(p, "")
	for _, l := range m.model.Labs {
		v.Labs = append(v.Labs, m.labCard(l, lang))
	}
	return p
}

// labBundle is the script and style of the terminal. It is empty if the site offers no labs.
func (m *Maker) labBundle() bundle.Bundle {
	if !m.opts.Labs {
		return bundle.Bundle{}
	}
	return m.assets.Lab
}

// labPage is the page of the i-th lab.
func (m *Maker) labPage(lang string, l *lab.Lab, i int, errs *source.List) *draft {
	p := m.begin("lab", lang, labPath(l))
	card := m.labCard(l, lang)
	v := &labView{frame: &p.frame, lead: &p.lead, navigation: &p.navigation, ID: l.ID}
	p.view = v
	if p.LabBundle = m.labBundle(); len(p.LabBundle.JS) > 0 {
		p.Policy = static.LabPolicy
	}
	p.PageID = labPath(l)
	// The text's language as the lab names it; a page in zh-CN that shows a text in zh is no
	// fallback.
	own := m.labLang(l, lang)
	if m.langs.Nearest(lang, []string{own}) == "" {
		p.ContentLang = own
		v.Notice = fmt.Sprintf(p.T.FallbackLab, m.words(own).Name)
	}
	p.Title, p.Summary = card.Title, card.Summary
	p.Crumbs = []link{p.home(), {URL: p.LabsURL, Title: p.T.Labs}, {Title: p.Title}}
	p.learning = &learning{
		kind: "Hands-on lab", minutes: l.Minutes, level: m.words("en").LevelName(l.Level), partOf: []link{p.home()},
	}
	for _, fact := range []string{card.Level, card.Minutes, card.StepCount} {
		if fact != "" {
			v.Facts = append(v.Facts, fact)
		}
	}
	p.below = strings.Join(v.Facts, " · ")
	v.Intro = m.labText(p, l, l.Intro[own], "", errs)
	for n, s := range l.Steps {
		v.Steps = append(v.Steps, m.labStep(p, l, s, n+1, own, errs))
	}
	for _, id := range l.Prerequisites {
		if other := m.model.LabByID[id]; other != nil {
			v.Before = append(v.Before, m.labLink(other, lang))
		}
	}
	if i > 0 {
		prev := m.labLink(m.model.Labs[i-1], lang)
		v.Prev = &prev
	}
	if i+1 < len(m.model.Labs) {
		next := m.labLink(m.model.Labs[i+1], lang)
		v.Next = &next
	}
	return p
}

// labLink is a link to a lab with its title.
func (m *Maker) labLink(l *lab.Lab, lang string) link {
	return link{URL: m.URL(lang, labPath(l)), Title: m.textIn(lang, l.Title)}
}

// labStep renders the n-th step of a lab with its text in the language own.
func (m *Maker) labStep(p *draft, l *lab.Lab, s *lab.Step, n int, own string, errs *source.List) labStep {
	first := len(p.sections)
	v := labStep{Number: n, Label: fmt.Sprintf(p.T.Step, n), Anchor: s.Anchor, Title: s.Title.For(own)}
	if !p.addID(s.Anchor) || slices.Contains(templateIDs, s.Anchor) {
		md := s.Body[own]
		errs.Add(&source.Error{File: md.File, Line: max(1, md.Line-1), Msg: fmt.Sprintf("something else on this page has the id %q, which this step needs; give it another title", s.Anchor)})
	}
	v.Body = m.labText(p, l, s.Body[own], s.Anchor+"-", errs)
	if first < len(p.sections) {
		p.sections[first].ID, p.sections[first].Title = s.Anchor, course.Plain(v.Title)
	}
	hints := s.Hints[own]
	for i, hint := range hints {
		label := p.T.Hint
		if len(hints) > 1 {
			label = fmt.Sprintf(p.T.HintN, i+1)
		}
		v.Hints = append(v.Hints, labHint{Label: label, Body: m.labText(p, l, hint, fmt.Sprintf("%s-hint-%d-", s.Anchor, i+1), errs)})
	}
	return v
}

// labText renders one piece of a lab into its page.
func (m *Maker) labText(p *draft, l *lab.Lab, md lab.Markdown, prefix string, errs *source.List) template.HTML {
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
