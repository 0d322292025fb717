package session_test

import (
	"context"
	"time"

	"github.com/labd-dev/labd/internal/check"
)

// remembering is a Checker that passes step one, remembers a fact there, and shows the facts it is given.
type remembering struct {
	facts   chan<- check.Facts
	started time.Time
}

func (r remembering) Run(_ context.Context, in check.Input) (check.Report, error) {
	if in.Step.Anchor == "one" {
		return check.Report{At: time.Now(), Passed: true, Remembered: check.Facts{"cache": {ID: "abc", Started: r.started}}}, nil
	}
	select {
	case r.facts <- in.Facts:
	default:
	}
	return check.Report{At: time.Now()}, nil
}
