// Command labd is the lab daemon and the tools around it. Package internal/cli documents it.
package main

import "github.com/labd-dev/labd/internal/cli"

func main() { cli.Program().Main() }
