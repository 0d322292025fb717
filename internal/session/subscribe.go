package session

import (
	"context"

	"github.com/labd-dev/labd/internal/fault"
)

// Subscription follows a session. A reader that is slow misses views between, never the newest one, and holds up nobody.
type Subscription struct {
	s       *session
	changed chan struct{}
}

// Subscribe follows the learner's session until Close. Errors: NotFound, Gone, TooMany.
func (m *Manager) Subscribe(ctx context.Context, learner int64, id string) (*Subscription, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{s: s, changed: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subs) >= maxSubscribers {
		return nil, fault.New(fault.TooMany, "This session is open in too many pages. Close some of them.", nil)
	}
	s.subs[sub] = struct{}{}
	return sub, nil
}

// Changed has a token when the view is another than the one returned last.
func (sub *Subscription) Changed() <-chan struct{} { return sub.changed }

// Gone is closed when nothing is left of the session: its view won't change again.
func (sub *Subscription) Gone() <-chan struct{} { return sub.s.gone }

// View returns the session as it is now.
func (sub *Subscription) View() View { return sub.s.view() }

// Close ends the subscription.
func (sub *Subscription) Close() {
	sub.s.mu.Lock()
	defer sub.s.mu.Unlock()
	delete(sub.s.subs, sub)
}

// publish tells subscribers that the view changed. s.mu is held.
func (s *session) publish() {
	for sub := range s.subs {
		signal(sub.changed)
	}
}
