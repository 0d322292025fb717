// Package cli is the command labd: the lab daemon and the tools around it.
//
//	labd serve          serve the site and the labs
//	labd setup          install and build what this machine lacks
//	labd doctor         tell what is there, what is missing and how to fix it
//	labd images build   build the node image, the course images and the seed
//	labd images list    show the images that every node has
//	labd images prune   remove what earlier builds left
//	labd lab validate   check labs for mistakes
//	labd lab test       prove labs on real nodes: each check fails before and passes after its solution
//	labd lab new        start a new lab from a template
//
// Exit codes: 0 success, 1 failure, 2 wrong usage.
package cli

import "github.com/labd-dev/labd/internal/command"

// Program returns labd's commands.
func Program() command.Set {
	return command.Set{Name: "labd", Commands: []command.Command{
		{Name: "serve", Summary: "serve the site and the labs", Run: runServe},
		{Name: "setup", Summary: "install and build what this machine lacks", Run: runSetup},
		{Name: "doctor", Summary: "tell what is there, what is missing and how to fix it", Run: runDoctor},
		{Name: "images", Summary: "build, list and prune the images of nodes", Run: command.Set{Name: "labd images", Commands: []command.Command{
			{Name: "build", Summary: "make the node image, the course images and the seed, as far as something changed", Run: runImagesBuild},
			{Name: "list", Summary: "show the images that every node has", Run: runImagesList},
			{Name: "prune", Summary: "remove images and seeds of earlier builds that no node uses", Run: runImagesPrune},
		}}.Call},
		{Name: "lab", Summary: "validate, test and create labs", Run: command.Set{Name: "labd lab", Commands: []command.Command{
			{Name: "validate", Summary: "read labs and name every mistake with its file and line", Run: runLabValidate},
			{Name: "test", Summary: "prove labs on real nodes: each check fails before its solution and passes after it", Run: runLabTest},
			{Name: "new", Summary: "write a lab to start from, in English and Chinese", Run: runLabNew},
		}}.Call},
	}}
}
