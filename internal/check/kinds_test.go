package check

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

// deadNode answers nothing.
type deadNode struct{ sandbox.Node }

func (deadNode) Name() string { return "node1" }
func (deadNode) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, sandbox.ErrNodeDown
}
func (deadNode) Exec(context.Context, sandbox.Command) (sandbox.Result, error) {
	return sandbox.Result{}, sandbox.ErrNodeDown
}
func (deadNode) ReadFile(context.Context, string, int64) ([]byte, error) {
	return nil, sandbox.ErrNodeDown
}

// A kind of probe that labs can use and nothing evaluates, or that the format's description leaves out, is found here and
// not by a learner.
func TestEveryKindOfProbeIsEvaluatedAndDescribed(t *testing.T) {
	format, err := os.ReadFile("../lab/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range lab.Looks() {
		l := &look{text: messagesFor("en"), engines: map[string]*engine{}}
		if _, err := l.evaluate(t.Context(), deadNode{}, p); errors.Is(err, errNoEvaluator) {
			t.Error(err)
		}
		l.close()
		if !strings.Contains(string(format), "\n//	[["+p.Kind()+"]]") {
			t.Errorf("the package comment of lab has no [[%s]]", p.Kind())
		}
	}
}
