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

// deadNode is a node that is down.
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

// Labs can use every kind of probe in lab.Looks. Without this test, a learner would be the first to
// find that one has no evaluator.
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
