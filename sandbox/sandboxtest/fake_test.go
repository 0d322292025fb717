package sandboxtest_test

import (
	"testing"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

func TestFakeKeepsTheContract(t *testing.T) {
	sandboxtest.Run(t, func(t *testing.T) sandbox.Driver {
		return sandboxtest.NewFake(t, sandboxtest.FakeOptions{})
	}, sandboxtest.Options{
		Image: "redis:7",
		Reopen: func(t testing.TB, d sandbox.Driver) sandbox.Driver {
			return d.(*sandboxtest.Fake).Reopen(t)
		},
		RemoveImages: func(t testing.TB, d sandbox.Driver, st sandbox.Stack, node sandbox.Node) {
			d.(*sandboxtest.Fake).RemoveImages(t, st.ID(), node.Name())
		},
		HasImage: func(t testing.TB, d sandbox.Driver, st sandbox.Stack, node sandbox.Node) bool {
			return !d.(*sandboxtest.Fake).ImagesRemoved(t, st.ID(), node.Name())
		},
		Kill: func(t testing.TB, d sandbox.Driver, stack, node string) {
			d.(*sandboxtest.Fake).Kill(t, stack, node, sandbox.DownEnded)
		},
	})
}
