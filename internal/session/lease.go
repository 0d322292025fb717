package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

const (
	defaultLeaseTTL = 30 * time.Second
	renewalsPerTTL  = 3                   // two failed renewals in a row don't lose a lease
	sweepEvery      = time.Minute         // interval of sweeps, at most
	forgetEvery     = time.Hour           // interval of deletions of old rows
	forgetAfter     = 30 * 24 * time.Hour // age at which rows are deleted
	listTimeout     = time.Minute         // to list all stacks
)

func (m *Manager) leaseTTL() time.Duration {
	if m.cfg.LeaseTTL > 0 {
		return m.cfg.LeaseTTL
	}
	return defaultLeaseTTL
}

// keepLeases renews the leases of all sessions at intervals. It has a goroutine of its own.
func (m *Manager) keepLeases() {
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-time.After(m.leaseTTL() / renewalsPerTTL):
		}
		err := guard(func() error { return m.claim(m.ctx, nil) })
		if err != nil && m.ctx.Err() == nil {
			m.log.Error("the leases of the sessions could not be renewed", "err", err)
		}
	}
}

// claim renews the leases of all sessions and claims expired ones of other labds. It abandons sessions that another labd owns
// now, and resumes those that are new to this Manager. stacks are the stacks that the driver has.
func (m *Manager) claim(ctx context.Context, stacks []string) error {
	m.mu.Lock()
	before := make([]*session, 0, len(m.sessions))
	for _, s := range m.sessions {
		if s.stored {
			before = append(before, s)
		}
	}
	m.mu.Unlock()
	ids, err := m.cfg.Store.Claim(ctx, m.cfg.Owner, m.leaseTTL(), stacks)
	if err != nil {
		return err
	}
	for _, s := range before {
		if !slices.Contains(ids, s.id) {
			m.checkLease(ctx, s)
		}
	}
	for _, id := range ids {
		if err := m.resume(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// checkLease abandons a session that Claim did not return, if another labd owns it. The other reason is that the session has
// just ended.
func (m *Manager) checkLease(ctx context.Context, s *session) {
	if err := m.cfg.Store.Renew(ctx, s.lease, m.leaseTTL()); errors.Is(err, store.ErrLeaseLost) {
		s.stop(store.ErrLeaseLost)
	}
}

// resume runs a claimed session that this Manager does not have yet.
func (m *Manager) resume(ctx context.Context, id string) error {
	m.mu.Lock()
	known := m.sessions[id] != nil
	m.mu.Unlock()
	if known {
		return nil
	}
	row, err := m.cfg.Store.Session(ctx, id)
	if err != nil {
		return err
	}
	if !row.Ended.IsZero() || row.Owner != m.cfg.Owner {
		return nil // it has ended or was taken over in the meantime
	}
	s := m.adopt(row)
	s.stored = true
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.sessions[id] != nil {
		s.stop(errStopping)
		return nil
	}
	m.log.Info("a session of an earlier run or of another labd is resumed", "session", id, "stack", row.Stack)
	m.sessions[id] = s
	m.wg.Go(s.run)
	return nil
}

// sweep destroys stacks that belong to no session, takes over sessions of labds that died, and deletes old rows, at
// intervals. It has a goroutine of its own.
func (m *Manager) sweep() {
	if _, err := m.waitDriver(m.ctx); err != nil {
		return
	}
	var forgotten time.Time
	for {
		err := guard(func() error { m.sweepOnce(); return nil })
		if err != nil {
			m.log.Error("the search for stacks without a session failed", "err", err)
		}
		if time.Since(forgotten) >= forgetEvery {
			forgotten = time.Now()
			if err := m.cfg.Store.Forget(m.ctx, forgotten.Add(-forgetAfter)); err != nil && m.ctx.Err() == nil {
				m.log.Error("old sessions could not be forgotten", "err", err)
			}
		}
		select {
		case <-m.ctx.Done():
			return
		case <-time.After(m.sweepPause()):
		}
	}
}

// sweepPause returns the interval of sweeps. With short leases it is shorter: a sweep takes over expired sessions.
func (m *Manager) sweepPause() time.Duration { return min(sweepEvery, 2*m.leaseTTL()) }

func (m *Manager) sweepOnce() {
	ctx, cancel := context.WithTimeout(m.ctx, listTimeout)
	defer cancel()
	m.mu.Lock()
	driver := m.driver
	m.mu.Unlock()
	stacks, err := driver.List(ctx)
	if err != nil {
		if m.ctx.Err() == nil && !errors.Is(err, sandbox.ErrUnavailable) {
			m.log.Error("stacks could not be listed", "err", err)
		}
		return
	}
	ids := make([]string, len(stacks))
	for i, info := range stacks {
		ids[i] = info.ID
	}
	err = m.claim(ctx, ids)
	if err == nil {
		err = m.destroyOrphans(ctx, driver, stacks)
	}
	if err != nil && m.ctx.Err() == nil {
		m.log.Error("the sessions of the stacks could not be found", "err", err)
	}
}

// destroyOrphans destroys those of the stacks that belong to no session of any labd. The ID of a stack is in the store before
// the stack is created and until it is destroyed. The caller has listed the stacks before, so a stack that the store does
// not know is an orphan.
func (m *Manager) destroyOrphans(ctx context.Context, driver sandbox.Driver, stacks []sandbox.Info) error {
	known, err := m.cfg.Store.Stacks(ctx)
	if err != nil {
		return err
	}
	for _, info := range stacks {
		if slices.Contains(known, info.ID) {
			continue
		}
		m.log.Warn("a stack without a session is destroyed", "stack", info.ID, "created", info.Created)
		if err := m.destroy(driver, info.ID); err != nil && m.ctx.Err() == nil {
			m.log.Error("a stack without a session could not be destroyed yet", "stack", info.ID, "err", err)
		}
	}
	return nil
}

func (m *Manager) destroy(driver sandbox.Driver, id string) error {
	ctx, cancel := context.WithTimeout(m.ctx, destroyTimeout)
	defer cancel()
	return driver.Destroy(ctx, id)
}
