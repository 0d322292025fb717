// Command labnode is the first process of a node. Package sandbox/agent/boot documents it.
package main

import (
	"fmt"
	"os"

	"github.com/labd-dev/labd/sandbox/agent/boot"
)

func main() {
	if err := boot.Run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "labnode:", err)
		os.Exit(1)
	}
}
