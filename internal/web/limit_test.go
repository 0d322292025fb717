package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/fault"
)

func TestTicketExpiresAndIsUsedUp(t *testing.T) {
	var all tickets
	now := time.Unix(1000, 0)
	g := grant{learner: 1, session: "s", terminal: "t"}
	issue := func() string {
		t.Helper()
		ticket, err := all.issue(g, now)
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	if err := all.redeem(issue(), g, now.Add(ticketLife-time.Nanosecond)); err != nil {
		t.Errorf("in time: %v", err)
	}
	for name, tc := range map[string]struct {
		grant grant
		after time.Duration
	}{
		"expired":          {g, ticketLife},
		"another learner":  {grant{learner: 2, session: "s", terminal: "t"}, 0},
		"another session":  {grant{learner: 1, session: "x", terminal: "t"}, 0},
		"another terminal": {grant{learner: 1, session: "s", terminal: "x"}, 0},
	} {
		ticket := issue()
		if err := all.redeem(ticket, tc.grant, now.Add(tc.after)); fault.CodeOf(err) != fault.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
		if err := all.redeem(ticket, g, now); fault.CodeOf(err) != fault.Forbidden {
			t.Errorf("%s, tried once more as it should be: %v", name, err)
		}
	}
	if len(all.open) != 0 {
		t.Errorf("%d tickets are kept", len(all.open))
	}
}

func TestNumberOfTicketsIsBounded(t *testing.T) {
	var all tickets
	now := time.Unix(1000, 0)
	issue := func() error {
		_, err := all.issue(grant{}, now)
		return err
	}
	// Filled directly, because issue looks at all tickets each time.
	if err := issue(); err != nil {
		t.Fatal(err)
	}
	for i := range maxTickets {
		all.open[[32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}] = issued{expires: now.Add(ticketLife)}
	}
	if err := issue(); fault.CodeOf(err) != fault.TooMany {
		t.Errorf("when full: %v", err)
	}
	now = now.Add(ticketLife)
	if err := issue(); err != nil || len(all.open) != 1 {
		t.Errorf("after all expired: %v, %d kept", err, len(all.open))
	}
}

func TestLimiterRefillsWithTimeForEachKey(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newLimiter(Rate{Burst: 3, Every: 2 * time.Second})
	b.now = func() time.Time { return now }
	take := func(key string) (n int) {
		for b.allow(key) {
			n++
		}
		return n
	}
	if got := take("a"); got != 3 {
		t.Errorf("a full one gives %d", got)
	}
	if got := take("b"); got != 3 {
		t.Errorf("another key gives %d", got)
	}
	now = now.Add(4 * time.Second)
	if got := take("a"); got != 2 {
		t.Errorf("after 4 s it gives %d", got)
	}
	now = now.Add(time.Hour)
	if got := take("a"); got != 3 {
		t.Errorf("after an hour it gives %d", got)
	}
}

func TestLimiterIsBoundedHoweverManyKeysCome(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newLimiter(Rate{Burst: 2, Every: time.Second})
	b.now = func() time.Time { return now }
	for i := range 3 * maxKeys {
		b.allow(fmt.Sprint(i))
		if len(b.keys) > maxKeys {
			t.Fatalf("%d keys after %d", len(b.keys), i)
		}
		now = now.Add(time.Microsecond)
	}
}
