package lab_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
)

func TestREADMEsExampleIsAValidLab(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "````markdown\n")
	example, _, found := strings.Cut(after, "````\n")
	if !found {
		t.Fatal("README.md shows no lab")
	}
	labs, err := lab.Load(fstest.MapFS{"my-lab/lab.md": {Data: []byte(example)}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(labs) != 1 || len(labs[0].Steps) != 1 || len(labs[0].Steps[0].Check.Probes) != 1 || len(labs[0].Steps[0].Solution) != 1 {
		t.Errorf("the example reads as %+v", labs)
	}
	if lines := strings.Count(example, "\n"); lines > 24 {
		t.Errorf("the example has %d lines; it promises to be short", lines)
	}
}
