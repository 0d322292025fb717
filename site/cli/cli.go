// Package cli is the command sitegen, which turns a course of Markdown lessons and labs into a static site.
//
//	sitegen build   build the site
//	sitegen check   find mistakes without building
//	sitegen new     start a course or a lesson
//	sitegen serve   build it, serve it, and build again when a file changes
//	sitegen import  make a course of Obsidian notes, Docusaurus pages or an mdBook
//
// Without -content and -labs, the folders content and labs of the working directory are used if there are such, else the
// course that the program carries.
//
// # The preview of sitegen serve
//
// Beside the site, serve answers three addresses. Every page loads the script /-/live.js, which keeps it up to date.
// /-/state tells how things are, and /-/events is a stream of server-sent events with the same object, one at once and one
// whenever it changes:
//
//	{
//	  "version": 12,     counts changes that pages may show; a page's own is in its header Server-Timing: build;desc="12"
//	  "checked": 11,     the version whose mistakes are listed in full; less than version while the course is being checked
//	  "styles": ["/assets/site-4F6Q2J7A.css"],   all style sheets; a change of these alone leaves version as it is
//	  "mistakes": [{"file": "content/en/m/l.md", "line": 2, "col": 1, "text": "titel = 1", "msg": "unknown key …"}],
//	  "warnings": []     as mistakes
//	}
//
// The name of a style sheet is that of its predecessor but for the eight letters before the extension. Line and col are 0 if
// they don't apply. A course that has mistakes is shown all the same, as far as it goes.
//
// Exit codes: 0 success, 1 failure (mistakes in the content among them), 2 wrong usage.
package cli

import "github.com/labd-dev/labd/internal/command"

// Program returns sitegen's commands.
func Program() command.Set {
	return command.Set{Name: "sitegen", Commands: []command.Command{
		{Name: "build", Summary: "build the site", Run: runBuild},
		{Name: "check", Summary: "find mistakes without building", Run: runCheck},
		{Name: "new", Summary: "start a course or a lesson", Run: command.Set{Name: "sitegen new", Commands: []command.Command{
			{Name: "course", Summary: "start a course", Run: runNewCourse},
			{Name: "lesson", Summary: "add a lesson to a course", Run: runNewLesson},
		}}.Call},
		{Name: "serve", Summary: "build it, serve it, and build again when a file changes", Run: runServe},
		{Name: "import", Summary: "make a course of Obsidian notes, Docusaurus pages or an mdBook", Run: runImport},
	}}
}
