// Package cli is the command sitegen, which builds static sites from courses of Markdown lessons
// and labs.
//
//	sitegen build   build the site
//	sitegen check   find mistakes without building
//	sitegen new     create a course or a lesson
//	sitegen serve   preview the site while you write; nothing is built
//	sitegen import  make a course of Obsidian notes, Docusaurus pages or an mdBook
//
// Without -content and -labs, sitegen uses the folders content and labs of the working directory.
// If they do not exist, it uses the built-in course.
//
// # The preview of sitegen serve
//
// serve keeps the course in memory and makes each page on request (see site.Live). It also serves
// three URLs of its own. Every page loads the script /-/live.js, which reloads the page after a
// change. /-/state is the state as a JSON object, and /-/events is a stream of server-sent events
// with that object: one event immediately, and one after every change.
//
//	{
//	  "version": 12,     counts changes that pages may show; a page has its own in the header Server-Timing: build;desc="12"
//	  "checked": 11,     the version whose mistakes are listed; less than version while the course is being checked
//	  "styles": ["/assets/site-4F6Q2J7A.css"],   all style sheets; if only these change, version stays the same
//	  "mistakes": [{"file": "content/en/m/l.md", "line": 2, "col": 1, "text": "titel = 1", "msg": "unknown key …"}],
//	  "warnings": []     as mistakes
//	}
//
// The name of a changed style sheet differs only in the eight characters before the extension. line
// and col are 0 if they don't apply. Pages are served even if the course has mistakes.
//
// Exit codes: 0 success, 1 failure (mistakes in the content among them), 2 wrong usage.
package cli

import "github.com/labd-dev/labd/internal/command"

// Program returns sitegen's commands.
func Program() command.Set {
	return command.Set{Name: "sitegen", Commands: []command.Command{
		{Name: "build", Summary: "build the site", Run: runBuild},
		{Name: "check", Summary: "find mistakes without building", Run: runCheck},
		{Name: "new", Summary: "create a course or a lesson", Run: command.Set{Name: "sitegen new", Commands: []command.Command{
			{Name: "course", Summary: "create a course", Run: runNewCourse},
			{Name: "lesson", Summary: "add a lesson to a course", Run: runNewLesson},
		}}.Call},
		{Name: "serve", Summary: "preview the site while you write", Run: runServe},
		{Name: "import", Summary: "make a course of Obsidian notes, Docusaurus pages or an mdBook", Run: runImport},
	}}
}
