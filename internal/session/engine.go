package session

import (
	"context"
	"errors"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/sandbox"
)

const (
	lookWhenReady = 10 * time.Second // between looks at an engine that works
	lookWhenOff   = 2 * time.Second  // at one that doesn't
	readyTimeout  = 10 * time.Second // one look at the engine
)

// monitor keeps the driver connected and knows whether the engine works.
func (m *Manager) monitor() {
	for {
		err := guard(m.examine)
		if err != nil && fault.CodeOf(err) == fault.Internal { // a defect
			err = labsOff(err)
		}
		m.mu.Lock()
		before := m.off
		m.off = err
		m.mu.Unlock()
		switch {
		case err == nil && before != nil:
			m.log.Info("labs are ready")
		case err != nil && (before == nil || before == error(errNotLooked) || before.Error() != err.Error()):
			if m.ctx.Err() == nil {
				m.log.Warn("labs are off", "err", errors.Unwrap(err))
			}
		}
		wait := lookWhenReady
		if err != nil {
			wait = lookWhenOff
		}
		select {
		case <-m.ctx.Done():
			return
		case <-m.look:
		case <-time.After(wait):
		}
	}
}

// examine returns nil when stacks can be made, else a fault that says why not.
func (m *Manager) examine() error {
	ctx, cancel := context.WithTimeout(m.ctx, readyTimeout)
	defer cancel()
	driver, err := m.connect(ctx)
	if err == nil {
		err = driver.Ready(ctx)
	}
	if err == nil {
		return nil
	}
	return labsOff(err)
}

// labsOff says to a visitor why labs are off. The cause is for the operator, and labd doctor explains it.
func labsOff(err error) error {
	message, detail := "Labs are off: this server can't run lab machines. Everything else works; the operator can run `labd doctor`.", "off_other"
	switch {
	case errors.Is(err, sandbox.ErrImageMissing):
		message, detail = "Labs are off: the images of the lab machines are not built yet. The operator can run `labd images build`.", "off_images"
	case errors.Is(err, sandbox.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		message, detail = "Labs are off: the container engine of this server does not answer. Everything else works; the operator can run `labd doctor`.", "off_engine"
	}
	return fault.New(fault.LabsOff, message, err).Detailed(detail)
}

func (m *Manager) connect(ctx context.Context) (sandbox.Driver, error) {
	m.mu.Lock()
	driver := m.driver
	m.mu.Unlock()
	if driver != nil {
		return driver, nil
	}
	driver, err := m.cfg.Connect(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.driver = driver
	m.mu.Unlock()
	close(m.connected) // only the monitor calls connect
	return driver, nil
}

// waitDriver returns the driver once there is one.
func (m *Manager) waitDriver(ctx context.Context) (sandbox.Driver, error) {
	select {
	case <-m.connected:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.driver, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// lookNow has the monitor look at the engine, after somebody saw it fail.
func (m *Manager) lookNow() {
	select {
	case m.look <- struct{}{}:
	default:
	}
}
