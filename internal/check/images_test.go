package check_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/check"
)

// After `docker system prune -a`, the author's hint ("run the command of this step") does not help.
func TestFindingNamesTheMissingImage(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t})
	for _, tt := range []struct{ lang, saw, hint string }{
		{"en", "no such container, the image `redis:9` is missing", "The image `redis:9` is no longer on your machine. `Restore images`"},
		{"zh", "没有这样的容器，缺少镜像 `redis:9`", "你的机器上已经没有镜像 `redis:9` 了"},
	} {
		s := step(t, "[[container]]\nname = \"new\"\nimage = \"redis:9\"\nrunning = true\nhint = \"H\"")
		f := run(t, check.Input{Step: s, Nodes: ns, Lang: tt.lang}).Findings[0]
		if f.Saw != tt.saw || !strings.HasPrefix(f.Hint, tt.hint) {
			t.Errorf("%s: saw %q, hint %q", tt.lang, f.Saw, f.Hint)
		}
	}
	s := step(t, "[[container]]\nname = \"new\"\nimage = \"redis:8\"\nhint = \"H\"")
	if f := run(t, check.Input{Step: s, Nodes: ns}).Findings[0]; f.Saw != "no such container" || f.Hint != "H" {
		t.Errorf("the image is there: saw %q, hint %q", f.Saw, f.Hint)
	}
}
