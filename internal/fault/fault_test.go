package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/fault"
)

func TestCodeAndMessageSurviveWrapping(t *testing.T) {
	err := fmt.Errorf("start: %w", fault.New(fault.Full, "All places are taken.", io.EOF))
	if got := fault.CodeOf(err); got != fault.Full {
		t.Errorf("code %q", got)
	}
	if got := fault.MessageOf(err); got != "All places are taken." {
		t.Errorf("message %q", got)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the cause is lost")
	}
}

func TestUnknownErrorsAreInternalAndNeverShown(t *testing.T) {
	err := errors.New("open /secret/path: permission denied")
	if got := fault.CodeOf(err); got != fault.Internal {
		t.Errorf("code %q", got)
	}
	if got := fault.MessageOf(err); strings.Contains(got, "secret") {
		t.Errorf("message leaks: %q", got)
	}
	if got := fault.CodeOf(nil); got != "" {
		t.Errorf("nil has code %q", got)
	}
}
