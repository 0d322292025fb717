package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/labd-dev/labd/sandbox"
)

// engineError wraps err in the sentinel of package sandbox that applies.
func engineError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case isUnreachable(err):
		return fmt.Errorf("%w: %w", sandbox.ErrUnavailable, err)
	}
	return err
}

// isUnreachable reports whether err means that the engine did not answer, as opposed to an error
// response.
func isUnreachable(err error) bool {
	var ne net.Error
	return client.IsErrConnectionFailed(err) || cerrdefs.IsUnavailable(err) || errors.As(err, &ne) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isGone reports whether err means that the container does not exist or is not running.
func isGone(err error) bool {
	var ee *execError
	if errors.As(err, &ee) {
		// If the container ends while an exec starts, engines answer with one of these, or the
		// runtime's message appears in the stream.
		return ee.Status == 0 || ee.Status == http.StatusNotFound || ee.Status == http.StatusConflict ||
			ee.Status == http.StatusInternalServerError || ee.Status == http.StatusBadRequest
	}
	return cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err)
}
