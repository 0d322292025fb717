package session

import "time"

// When a step that is not done is checked again. What a learner starts may need a moment until it answers, so
// looks follow soon after something happened, then seldom, and then not at all: a session in which nothing happens costs
// nothing.
var soon = [...]time.Duration{150 * time.Millisecond, 400 * time.Millisecond, time.Second}

const (
	often      = 2 * time.Second
	oftenFor   = time.Minute
	seldom     = 15 * time.Second
	seldomFor  = 10 * time.Minute
	leastGap   = 30 * time.Millisecond  // between the end of a look and the next one
	mostGap    = 500 * time.Millisecond // in a stream of events that change nothing
	longestGap = 2 * time.Second        // after looks that take long themselves
)

// pace decides when a step is checked next. A check may itself cause events, and a learner can cause any number: each look
// that shows nothing new doubles the gap before an event may cause another.
type pace struct {
	active time.Time // when something last happened
	looks  int       // since then
	ended  time.Time // the last look
	gap    time.Duration
	due    bool // something happened since the last look
}

func newPace(now time.Time) *pace {
	return &pace{active: now, gap: leastGap, due: true}
}

// happened notes that something happened.
func (p *pace) happened(now time.Time) {
	if now.Sub(p.active) > mostGap && now.Sub(p.ended) > mostGap { // no stream of events
		p.gap = leastGap
	}
	p.active, p.looks, p.due = now, 0, true
}

// looked notes a look and whether it showed something new.
func (p *pace) looked(began, ended time.Time, changed bool) {
	p.due = false
	p.looks++
	p.ended = ended
	if p.gap = min(2*p.gap, mostGap); changed {
		p.gap = leastGap
	}
	p.gap = max(p.gap, min(ended.Sub(began), longestGap))
}

// wait returns how long until the next look, or -1 if none is due before something happens.
func (p *pace) wait(now time.Time) time.Duration {
	if p.due {
		return max(0, p.gap-now.Sub(p.ended))
	}
	quiet := now.Sub(p.active)
	var d time.Duration
	switch {
	case p.looks <= len(soon):
		d = soon[max(p.looks, 1)-1]
	case quiet < oftenFor:
		d = often
	case quiet < seldomFor:
		d = seldom
	default:
		return -1
	}
	return max(0, max(d, p.gap)-now.Sub(p.ended))
}
