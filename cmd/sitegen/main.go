// Command sitegen turns a course of Markdown lessons and labs into a static site. Package site/cli documents it.
package main

import "github.com/labd-dev/labd/site/cli"

func main() { cli.Program().Main() }
