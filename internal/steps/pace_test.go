package steps

import (
	"testing"
	"time"
)

// simulate runs a step's pace for a time. Events come at the given moments; each look takes took and, after the moment
// changeAt, shows something new once. It returns when looks began.
func simulate(span, took time.Duration, events []time.Duration) []time.Duration {
	start := time.Unix(0, 0)
	now := start
	p := newPace(now)
	var looks []time.Duration
	for {
		wait := p.wait(now)
		var next time.Duration = -1
		if len(events) > 0 {
			next = events[0]
		}
		at := now.Sub(start) + wait
		if wait < 0 || next >= 0 && next <= at {
			if next < 0 || next > span {
				return looks
			}
			now = start.Add(max(next, now.Sub(start)))
			events = events[1:]
			p.eventAt(now)
			continue
		}
		if at > span {
			return looks
		}
		now = start.Add(at)
		looks = append(looks, at)
		end := now.Add(took)
		p.checked(now, end, false)
		now = end
	}
}

func TestPaceChecksSoonAfterAnEventAndThenSeldom(t *testing.T) {
	looks := simulate(24*time.Hour, 10*time.Millisecond, nil)
	if looks[0] != 0 || looks[1] > 200*time.Millisecond || looks[2] > 700*time.Millisecond {
		t.Errorf("the first looks are at %v", looks[:4])
	}
	inFirstMinute := 0
	for i, at := range looks {
		if at < time.Minute {
			inFirstMinute++
			if i > 0 && at-looks[i-1] > often+20*time.Millisecond {
				t.Errorf("nobody looked from %v to %v", looks[i-1], at)
			}
		}
	}
	if inFirstMinute < 30 || inFirstMinute > 40 {
		t.Errorf("%d looks in the first minute", inFirstMinute)
	}
	// 300 sessions that nobody touches must cost nothing.
	if last := looks[len(looks)-1]; last > seldomFor+seldom || len(looks) > 80 {
		t.Errorf("%d looks, the last after %v", len(looks), last)
	}
}

func TestPaceChecksAtOnceWhenSomethingHappensAfterQuiet(t *testing.T) {
	looks := simulate(time.Hour, 10*time.Millisecond, []time.Duration{30 * time.Minute})
	for _, at := range looks {
		if at == 30*time.Minute {
			return
		}
	}
	t.Errorf("looks are at %v", looks)
}

func TestPaceIsNotDrivenByAFloodOfEvents(t *testing.T) {
	var flood []time.Duration
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		flood = append(flood, at)
	}
	if looks := simulate(10*time.Second, time.Millisecond, flood); len(looks) > 35 {
		t.Errorf("%d looks in 10 s", len(looks))
	}
	// A look that takes long is followed by as long a rest.
	if looks := simulate(10*time.Second, time.Second, flood); len(looks) > 6 {
		t.Errorf("%d looks of 1 s in 10 s", len(looks))
	}
}

func TestPaceChecksAgainAtOnceAfterANewReport(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPace(now)
	for range 10 {
		p.eventAt(now)
		p.checked(now, now, false)
	}
	if p.gap != mostGap {
		t.Errorf("in a flood the gap is %v", p.gap)
	}
	p.checked(now, now, true)
	p.eventAt(now)
	if wait := p.wait(now); wait > leastGap {
		t.Errorf("after a change the next look waits %v", wait)
	}
}
