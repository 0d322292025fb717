package web

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/fault"
)

const (
	ticketLife = 30 * time.Second
	maxTickets = 20_000 // not yet used or expired
)

var errTicket = fault.New(fault.Forbidden, "The ticket of this terminal was used, has expired or is wrong. Reload the page.", nil).Detailed("ticket")

// grant is what a ticket is good for.
type grant struct {
	learner  int64
	session  string
	terminal string
}

// tickets are for one WebSocket each: a WebSocket's URL may end up in logs, so it must be worth nothing afterwards. They are
// found by their hash, so the time that takes says nothing of the tickets there are.
type tickets struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]issued // guarded by mu
}

type issued struct {
	grant   grant
	expires time.Time
}

// issue returns a new ticket. Errors: TooMany.
func (t *tickets) issue(g grant, now time.Time) (string, error) {
	ticket := rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[[sha256.Size]byte]issued{}
	}
	for h, i := range t.open {
		if !now.Before(i.expires) {
			delete(t.open, h)
		}
	}
	if len(t.open) >= maxTickets {
		return "", errTooFast
	}
	t.open[sha256.Sum256([]byte(ticket))] = issued{grant: g, expires: now.Add(ticketLife)}
	return ticket, nil
}

// redeem uses a ticket up, whether or not it is good for g. Errors: Forbidden.
func (t *tickets) redeem(ticket string, g grant, now time.Time) error {
	h := sha256.Sum256([]byte(ticket))
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.open[h]
	delete(t.open, h)
	if !ok || i.grant != g || !now.Before(i.expires) {
		return errTicket
	}
	return nil
}
