package steps

import "time"

// Times between checks of a step that is not done. What a learner starts may need a moment until it answers, so checks
// follow soon after an event, then less often, and then not at all: an idle session costs nothing.
var soon = [...]time.Duration{150 * time.Millisecond, 400 * time.Millisecond, time.Second}

const (
	often      = 2 * time.Second
	oftenFor   = time.Minute
	seldom     = 15 * time.Second
	seldomFor  = 10 * time.Minute
	leastGap   = 30 * time.Millisecond  // minimum between the end of a check and the next one
	mostGap    = 500 * time.Millisecond // minimum during a stream of events that change nothing
	longestGap = 2 * time.Second        // minimum after a check that took long itself
)

// pace decides when a step is checked next. A check may itself cause events, and a learner can cause any number of them.
// Therefore each check with an unchanged report doubles the minimum time until an event may trigger the next one.
type pace struct {
	active time.Time // time of the last event
	looks  int       // checks since then
	ended  time.Time // end of the last check
	gap    time.Duration
	due    bool // there was an event since the last check
}

func newPace(now time.Time) *pace {
	return &pace{active: now, gap: leastGap, due: true}
}

// eventAt notes an event.
func (p *pace) eventAt(now time.Time) {
	if now.Sub(p.active) > mostGap && now.Sub(p.ended) > mostGap { // no stream of events
		p.gap = leastGap
	}
	p.active, p.looks, p.due = now, 0, true
}

// checked notes a check, and whether its report has changed.
func (p *pace) checked(began, ended time.Time, changed bool) {
	p.due = false
	p.looks++
	p.ended = ended
	if p.gap = min(2*p.gap, mostGap); changed {
		p.gap = leastGap
	}
	p.gap = max(p.gap, min(ended.Sub(began), longestGap))
}

// wait returns how long to wait until the next check, or -1 if none is due before the next event.
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
