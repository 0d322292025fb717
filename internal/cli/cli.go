// Package cli implements the command labd: the lab server and its tools.
//
//	labd serve          serve the site and the labs
//	labd setup          install what labs need on this machine
//	labd doctor         report what is missing on this machine and how to fix it
//	labd images build   build the images of nodes
//	labd images list    list the images that every node has
//	labd images prune   remove images of earlier builds
//	labd lab validate   check labs for mistakes
//	labd lab test       test labs on real nodes
//	labd lab new        create a lab from a template
//
// Exit codes: 0 success, 1 failure, 2 usage error.
package cli

import "github.com/labd-dev/labd/internal/command"

// Program returns the commands of labd.
func Program() command.Set {
	return command.Set{Name: "labd", Commands: []command.Command{
		{Name: "serve", Summary: "serve the site and the labs", Run: runServe},
		{Name: "setup", Summary: "install what labs need on this machine", Run: runSetup},
		{Name: "doctor", Summary: "report what is missing on this machine and how to fix it", Run: runDoctor},
		{Name: "images", Summary: "build, list and prune the images of nodes", Run: command.Set{Name: "labd images", Commands: []command.Command{
			{Name: "build", Summary: "build the images of nodes; skips images that have not changed", Run: runImagesBuild},
			{Name: "list", Summary: "list the images that every node has", Run: runImagesList},
			{Name: "prune", Summary: "remove images of earlier builds that no node uses", Run: runImagesPrune},
		}}.Call},
		{Name: "lab", Summary: "validate, test and create labs", Run: command.Set{Name: "labd lab", Commands: []command.Command{
			{Name: "validate", Summary: "check labs and print every mistake with its file and line", Run: runLabValidate},
			{Name: "test", Summary: "test on real nodes that each check fails before its solution and passes after it", Run: runLabTest},
			{Name: "new", Summary: "create a lab from a template, in English and Chinese", Run: runLabNew},
		}}.Call},
	}}
}
