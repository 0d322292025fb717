package session

import (
	"context"
	"errors"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/sandbox"
)

const (
	examineWhenReady = 10 * time.Second // interval while the engine works
	examineWhenOff   = 2 * time.Second  // interval while it doesn't
	examineTimeout   = 10 * time.Second
)

// monitor connects the driver and examines the engine at intervals. It has a goroutine of its own.
func (m *Manager) monitor() {
	for {
		err := guard(m.examine)
		if err != nil && fault.CodeOf(err) == fault.Internal { // a panic
			err = labsOff(err)
		}
		m.mu.Lock()
		before := m.offReason
		m.offReason = err
		m.mu.Unlock()
		switch {
		case err == nil && before != nil:
			m.log.Info("labs are ready")
		case err != nil && (before == nil || before == error(errNotExamined) || before.Error() != err.Error()):
			if m.ctx.Err() == nil {
				m.log.Warn("labs are off", "err", errors.Unwrap(err))
			}
		}
		wait := examineWhenReady
		if err != nil {
			wait = examineWhenOff
		}
		select {
		case <-m.ctx.Done():
			return
		case <-m.examineRequests:
		case <-time.After(wait):
		}
	}
}

// examine returns nil if stacks can be created, otherwise a fault with the reason.
func (m *Manager) examine() error {
	ctx, cancel := context.WithTimeout(m.ctx, examineTimeout)
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

// labsOff returns the fault that tells visitors why labs are off. Its cause is for the operator; `labd doctor` explains it.
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

// waitDriver waits until the driver is connected.
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

// examineNow lets the monitor examine the engine at once, because a call to it has failed.
func (m *Manager) examineNow() {
	select {
	case m.examineRequests <- struct{}{}:
	default:
	}
}
