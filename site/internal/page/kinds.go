package page

import (
	"html/template"

	"github.com/labd-dev/labd/site/internal/bundle"
)

// views has an empty view of every kind of page, by the name of its template.
func views() map[string]any {
	return map[string]any{
		"home": homeView{}, "course": courseView{}, "module": moduleView{}, "lesson": lessonView{}, "labs": labsView{}, "lab": labView{},
		"notfound": notFoundView{}, "tags": tagsView{}, "text": textView{}, "search": searchView{}, "offline": offlineView{}, "print": printView{},
	}
}

// homeView is the page of the main course.
type homeView struct {
	*frame
	*lead
	*body
	Modules []moduleGroup
	Courses []courseCard // the further ones
	Labs    []labCard
	Preview *preview
	Save    string // address of the list of files to save for reading offline
}

// courseView is the page of a further course.
type courseView struct {
	*frame
	*lead
	*body
	*navigation
	*origin
	Meta    []string
	Modules []moduleGroup
	Save    string
}

// moduleView is the page of a module.
type moduleView struct {
	*frame
	*lead
	*body
	*navigation
	*origin
	Meta     []string
	Groups   []lessonGroup
	PrintURL string
}

// lessonView is the page of a lesson.
type lessonView struct {
	*frame
	*lead
	*body
	*navigation
	*origin
	Meta       []string
	Before     []link // prerequisites
	Draft      bool
	Tags       []link
	Lab        *labStart
	Terminal   bundle.Bundle // what the lab loads once the reader starts it
	Prev, Next *link
}

// labStart invites the reader of a lesson to its lab.
type labStart struct {
	labCard
	Toc []link
}

// labView is the page of a lab.
type labView struct {
	*frame
	*lead
	*navigation
	Notice     string
	ID         string
	Facts      []string
	Before     []link
	Intro      template.HTML
	Steps      []labStep
	Prev, Next *link
}

type labStep struct {
	Number int
	Label  string
	Anchor string
	Title  string
	Body   template.HTML
	Hints  []labHint
}

type labHint struct {
	Label string
	Body  template.HTML
}

// labsView lists all labs.
type labsView struct {
	*frame
	*lead
	*navigation
	Labs []labCard
}

// tagsView lists all tags, or the lessons with one tag.
type tagsView struct {
	*frame
	*navigation
	Meta   []string
	Tags   []link
	Groups []lessonGroup
}

// textView is a text without a module: the glossary.
type textView struct {
	*frame
	*lead
	*body
	*navigation
}

// searchView is the page with the search field.
type searchView struct {
	*frame
	*navigation
}

// notFoundView is the page that stands in for addresses that do not exist.
type notFoundView struct {
	*frame
	Nav []navModule
}

// offlineView is the page that stands in for pages that were not saved, while there is no network.
type offlineView struct {
	*frame
	*lead
}

// printView is a module with all its lessons on one page.
type printView struct {
	*frame
	*lead
	*body
	PrintURL string // of the module
	Parts    []printPart
}

// printPart is one lesson of a printView.
type printPart struct {
	ID, Title, Summary, Lang string
	Body                     template.HTML
}

// moduleGroup is the modules of one part of a course, or those in no part.
type moduleGroup struct {
	ID, Title string // of the heading
	Modules   []moduleCard
}

type moduleCard struct {
	link
	Summary string
	Number  int
	Lessons []lessonCard
}

type courseCard struct {
	link
	Summary string
	Lessons string // how many
}

// lessonGroup is the lessons of one part of a module, or those in no part.
type lessonGroup struct {
	Title   string // "" for no heading
	Lessons []lessonCard
}

type lessonCard struct {
	link
	Summary string
	Minutes string
	Lab     string
	Number  int
}

type labCard struct {
	link
	ID, Summary, Minutes, StepCount, Level string
}

// preview is the small terminal on the home page: the first commands of the first lab.
type preview struct {
	Title string
	Lines []string
	Steps []link
}
