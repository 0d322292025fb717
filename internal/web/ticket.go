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
	maxTickets = 20_000 // bounds the tickets that are neither used nor expired
)

var errTicket = fault.New(fault.Forbidden, "The ticket for this terminal is invalid, used or expired. Reload the page.", nil).Detailed("ticket")

// grant is the terminal that a ticket opens.
type grant struct {
	learner  int64
	session  string
	terminal string
}

// tickets holds the tickets that are valid. A ticket opens one WebSocket. It is part of the WebSocket's URL, which may end
// up in the logs of a proxy, so it is worthless after its use. Tickets are looked up by their hash: the time of a lookup
// then reveals nothing about valid tickets.
type tickets struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]issued // guarded by mu
}

type issued struct {
	grant   grant
	expires time.Time
}

// issue returns a new ticket for g. Errors: TooMany.
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

// redeem checks that the ticket was issued for g. The ticket is invalid afterwards in any case. Errors: Forbidden.
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
