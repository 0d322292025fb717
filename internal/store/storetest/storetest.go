// Package storetest is the test suite that every store.Store passes. It holds implementations to the contract in the
// comment of package store.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/store"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// epoch has whole milliseconds, as stores keep them.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Run runs the suite. open returns a new empty store and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"LearnersHaveANameOrNone", learners},
		{"SessionComesBackAsItWasStored", sessionComesBack},
		{"StepDoneTwiceKeepsTheFirstTime", stepDoneTwice},
		{"ErrorsSayWhatIsMissingOrDouble", errorsSay},
		{"RestartForgetsStepsAndKeepsProgress", restart},
		{"ForgetKeepsWhatCounts", forget},
		{"WritersDoNotFailEachOther", writers},
		{"LeaseIsTakenOnlyAfterItExpired", leaseExpires},
		{"LeaseOfAStackThatCannotBeReachedIsLeft", leaseUnreachable},
		{"ReleasedLeaseCanBeTakenAtOnce", leaseReleased},
		{"OwnerThatLostItsLeaseChangesNothing", leaseLost},
		{"ExpiredLeaseIsTakenByOneOfMany", leaseRace},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

const owner = "here"

func leaseOf(id string) store.Lease { return store.Lease{Session: id, Owner: owner} }

func addLearner(t *testing.T, s store.Store, hash string) int64 {
	t.Helper()
	l, err := s.AddLearner(t.Context(), []byte(hash), epoch)
	if err != nil {
		t.Fatal(err)
	}
	return l.ID
}

// addSession stores a session of a new learner.
func addSession(t *testing.T, s store.Store, id string, ttl time.Duration) store.Session {
	t.Helper()
	row := store.Session{ID: id, Owner: owner, Learner: addLearner(t, s, "of "+id), Lab: "first", Lang: "zh", State: "creating",
		Stack: "stack-" + id, ReplayTo: "world", Variables: map[string]string{"code": "x7k2p9"}, Created: epoch, Expires: epoch.Add(time.Hour)}
	if err := s.AddSession(t.Context(), row, ttl); err != nil {
		t.Fatal(err)
	}
	return row
}

// must fails the test at the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func learners(t *testing.T, s store.Store) {
	ctx := t.Context()
	id := addLearner(t, s, "hash")
	if got, err := s.Learner(ctx, []byte("hash")); err != nil || got != (store.Learner{ID: id, Role: store.RoleLearner}) {
		t.Errorf("a new learner is %+v, %v", got, err)
	}
	want := store.Learner{ID: id, Name: "Ada 王", Role: store.RoleInstructor, Class: "autumn"}
	must(t, s.SetLearner(ctx, want))
	if got, err := s.Learner(ctx, []byte("hash")); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.SetLearner(ctx, store.Learner{ID: id, Role: "emperor"}); err == nil {
		t.Error("an unknown role was stored")
	}
}

func sessionComesBack(t *testing.T, s store.Store) {
	ctx := t.Context()
	want := addSession(t, s, "s1", time.Hour)
	facts := map[string]json.RawMessage{"cache": json.RawMessage(`{"id":"abc"}`)}
	must(t, s.OpenStep(ctx, leaseOf("s1"), "hello", epoch.Add(time.Second)),
		s.OpenStep(ctx, leaseOf("s1"), "hello", epoch.Add(time.Minute)),
		s.FinishStep(ctx, leaseOf("s1"), "hello", epoch.Add(2*time.Second), facts),
		s.SetState(ctx, leaseOf("s1"), "ready", "", "", time.Time{}),
		s.SetExpires(ctx, leaseOf("s1"), epoch.Add(2*time.Hour)),
		s.SetLang(ctx, leaseOf("s1"), "en"),
		s.SetReplayTo(ctx, leaseOf("s1"), ""))
	want.State, want.Expires, want.Lang, want.ReplayTo, want.Facts = "ready", epoch.Add(2*time.Hour), "en", "", facts
	want.Steps = []store.Step{{Anchor: "hello", Opened: epoch.Add(time.Second), Done: epoch.Add(2 * time.Second)}}
	if got, err := s.Session(ctx, "s1"); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if p, err := s.Progress(ctx, want.Learner); err != nil ||
		!reflect.DeepEqual(p, []store.Progress{{Lab: "first", Anchor: "hello", Done: epoch.Add(2 * time.Second)}}) {
		t.Fatalf("progress is %+v, %v", p, err)
	}
	if stacks, err := s.Stacks(ctx); err != nil || !slices.Equal(stacks, []string{"stack-s1"}) {
		t.Errorf("stacks are %v, %v", stacks, err)
	}
	must(t, s.SetState(ctx, leaseOf("s1"), "failed", "full", "no room", epoch.Add(3*time.Hour)))
	want.State, want.ErrorCode, want.ErrorMessage, want.Ended = "failed", "full", "no room", epoch.Add(3*time.Hour)
	if got, err := s.Session(ctx, "s1"); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if ids, err := s.Claim(ctx, owner, time.Hour, []string{"stack-s1"}); err != nil || len(ids) != 0 {
		t.Errorf("an ended session was claimed: %v, %v", ids, err)
	}
	if stacks, err := s.Stacks(ctx); err != nil || len(stacks) != 0 {
		t.Errorf("stacks of ended sessions: %v, %v", stacks, err)
	}
}

func stepDoneTwice(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := addSession(t, s, "s1", time.Hour)
	must(t, s.OpenStep(ctx, leaseOf("s1"), "a", epoch))
	for i := range 2 {
		must(t, s.FinishStep(ctx, leaseOf("s1"), "a", epoch.Add(time.Duration(i)*time.Hour), nil))
	}
	if got, err := s.Session(ctx, "s1"); err != nil || !got.Steps[0].Done.Equal(epoch) {
		t.Errorf("step is %+v, %v", got.Steps, err)
	}
	if p, err := s.Progress(ctx, row.Learner); err != nil || len(p) != 1 || !p[0].Done.Equal(epoch) {
		t.Errorf("progress is %+v, %v", p, err)
	}
}

func errorsSay(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := addSession(t, s, "s1", time.Hour)
	other := row
	other.ID, other.Learner = "s2", 999
	none := leaseOf("none")
	for what, tc := range map[string]struct{ err, want error }{
		"same session":         {s.AddSession(ctx, row, time.Hour), store.ErrExists},
		"session of nobody":    {s.AddSession(ctx, other, time.Hour), store.ErrNotFound},
		"state of no session":  {s.SetState(ctx, none, "x", "", "", time.Time{}), store.ErrNotFound},
		"expiry of no session": {s.SetExpires(ctx, none, epoch), store.ErrNotFound},
		"lease of no session":  {s.Renew(ctx, none, time.Hour), store.ErrNotFound},
		"no session restarted": {s.Restart(ctx, none, "x", ""), store.ErrNotFound},
		"step of no session":   {s.OpenStep(ctx, none, "a", epoch), store.ErrNotFound},
		"step never opened":    {s.FinishStep(ctx, leaseOf("s1"), "a", epoch, nil), store.ErrNotFound},
		"no session":           {second(s.Session(ctx, "none")), store.ErrNotFound},
		"no learner":           {second(s.Learner(ctx, []byte("x"))), store.ErrNotFound},
		"no learner to name":   {s.SetLearner(ctx, store.Learner{ID: 999, Role: store.RoleLearner}), store.ErrNotFound},
		"same learner":         {second(s.AddLearner(ctx, []byte("of s1"), epoch)), store.ErrExists},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: got %v, want %v", what, tc.err, tc.want)
		}
	}
	if p, err := s.Progress(ctx, row.Learner); err != nil || len(p) != 0 {
		t.Errorf("a step that failed to finish left progress %+v, %v", p, err)
	}
}

func restart(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := addSession(t, s, "s1", time.Hour)
	must(t, s.OpenStep(ctx, leaseOf("s1"), "a", epoch),
		s.FinishStep(ctx, leaseOf("s1"), "a", epoch, map[string]json.RawMessage{"f": json.RawMessage(`1`)}),
		s.Restart(ctx, leaseOf("s1"), "another", "a"))
	got, err := s.Session(ctx, "s1")
	if err != nil || got.Stack != "another" || got.ReplayTo != "a" || len(got.Steps) != 0 || len(got.Facts) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if p, err := s.Progress(ctx, row.Learner); err != nil || len(p) != 1 {
		t.Errorf("progress is %+v, %v", p, err)
	}
}

func forget(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := addSession(t, s, "s1", time.Hour)
	addSession(t, s, "abandoned", -1000*time.Hour)
	addLearner(t, s, "visitor")
	named := store.Learner{ID: addLearner(t, s, "named"), Name: "Ada", Role: store.RoleLearner}
	must(t, s.SetLearner(ctx, named),
		s.OpenStep(ctx, leaseOf("s1"), "a", epoch), s.FinishStep(ctx, leaseOf("s1"), "a", epoch, nil),
		s.Forget(ctx, epoch.Add(2*time.Hour)))
	if _, err := s.Session(ctx, "s1"); err != nil {
		t.Errorf("a session that lives was forgotten: %v", err)
	}
	if _, err := s.Learner(ctx, []byte("visitor")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a visitor who did nothing is kept: %v", err)
	}
	if _, err := s.Learner(ctx, []byte("named")); err != nil {
		t.Errorf("a learner with a name was forgotten: %v", err)
	}
	must(t, s.SetState(ctx, leaseOf("s1"), "ended", "", "", epoch), s.Forget(ctx, epoch.Add(time.Hour)))
	if _, err := s.Session(ctx, "s1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session that ended long ago is kept: %v", err)
	}
	if p, err := s.Progress(ctx, row.Learner); err != nil || len(p) != 1 {
		t.Errorf("progress went with the session: %+v, %v", p, err)
	}
	// The lease and the time of the other one passed: whoever owned it never came back.
	must(t, s.Forget(ctx, time.Now()))
	if _, err := s.Session(ctx, "abandoned"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an abandoned session is kept: %v", err)
	}
}

func writers(t *testing.T, s store.Store) {
	addSession(t, s, "s1", time.Hour)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			anchor := fmt.Sprintf("a%d", i)
			if err := s.OpenStep(t.Context(), leaseOf("s1"), anchor, epoch); err != nil {
				t.Error(err)
			}
			if err := s.FinishStep(t.Context(), leaseOf("s1"), anchor, epoch, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := s.Session(t.Context(), "s1"); err != nil || len(got.Steps) != 40 {
		t.Errorf("%d steps, %v", len(got.Steps), err)
	}
}

// claim returns what owner holds after a Claim, sorted.
func claim(t *testing.T, s store.Store, owner string, stacks ...string) []string {
	t.Helper()
	ids, err := s.Claim(t.Context(), owner, time.Hour, stacks)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func leaseExpires(t *testing.T, s store.Store) {
	addSession(t, s, "long", time.Hour)
	addSession(t, s, "short", 50*time.Millisecond)
	both := []string{"stack-long", "stack-short"}
	var got []string
	for deadline := time.Now().Add(patience); len(got) == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got = claim(t, s, "there", both...)
	}
	if !slices.Equal(got, []string{"short"}) {
		t.Fatalf("another owner got %v", got)
	}
	// It was claimed for an hour, so the first owner keeps only the other one.
	if got := claim(t, s, owner, both...); !slices.Equal(got, []string{"long"}) {
		t.Errorf("the first owner holds %v", got)
	}
	must(t, s.Renew(t.Context(), leaseOf("long"), time.Hour), s.Renew(t.Context(), store.Lease{Session: "short", Owner: "there"}, time.Hour))
	if row, err := s.Session(t.Context(), "short"); err != nil || row.Owner != "there" {
		t.Errorf("owned by %q, %v", row.Owner, err)
	}
}

func leaseUnreachable(t *testing.T, s store.Store) {
	addSession(t, s, "s1", -time.Second)
	if got := claim(t, s, "there", "stack-other"); len(got) != 0 {
		t.Errorf("a labd that can't reach the stack got %v", got)
	}
	must(t, s.Renew(t.Context(), leaseOf("s1"), time.Hour)) // late, but nobody else has taken it
	if got := claim(t, s, owner); !slices.Equal(got, []string{"s1"}) {
		t.Errorf("its owner holds %v", got)
	}
}

func leaseReleased(t *testing.T, s store.Store) {
	addSession(t, s, "s1", time.Hour)
	addSession(t, s, "s2", time.Hour)
	must(t, s.Release(t.Context(), owner))
	if got := claim(t, s, "there", "stack-s1"); !slices.Equal(got, []string{"s1"}) {
		t.Errorf("another owner got %v", got)
	}
	if got := claim(t, s, owner); !slices.Equal(got, []string{"s2"}) { // without a list of stacks: it is still its own
		t.Errorf("the first owner holds %v", got)
	}
}

func leaseLost(t *testing.T, s store.Store) {
	ctx := t.Context()
	addSession(t, s, "s1", time.Hour)
	must(t, s.OpenStep(ctx, leaseOf("s1"), "a", epoch), s.Release(ctx, owner))
	if got := claim(t, s, "there", "stack-s1"); len(got) != 1 {
		t.Fatalf("another owner got %v", got)
	}
	before, err := s.Session(ctx, "s1")
	must(t, err)
	l := leaseOf("s1")
	for what, err := range map[string]error{
		"Renew":       s.Renew(ctx, l, time.Hour),
		"SetState":    s.SetState(ctx, l, "ended", "", "", epoch),
		"SetExpires":  s.SetExpires(ctx, l, epoch),
		"SetLang":     s.SetLang(ctx, l, "xx"),
		"SetReplayTo": s.SetReplayTo(ctx, l, "xx"),
		"Restart":     s.Restart(ctx, l, "xx", "xx"),
		"OpenStep":    s.OpenStep(ctx, l, "b", epoch),
		"FinishStep":  s.FinishStep(ctx, l, "a", epoch, nil),
	} {
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after, err := s.Session(ctx, "s1"); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter  %+v, %v", before, after, err)
	}
	if p, err := s.Progress(ctx, before.Learner); err != nil || len(p) != 0 {
		t.Errorf("progress is %+v, %v", p, err)
	}
}

func leaseRace(t *testing.T, s store.Store) {
	const owners, sessions = 8, 20
	var stacks []string
	for i := range sessions {
		stacks = append(stacks, addSession(t, s, fmt.Sprintf("s%d", i), -time.Second).Stack)
	}
	var mu sync.Mutex
	holders := map[string][]string{}
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			me := fmt.Sprintf("owner%d", i)
			ids, err := s.Claim(context.WithoutCancel(t.Context()), me, time.Hour, stacks)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				holders[id] = append(holders[id], me)
			}
		})
	}
	wg.Wait()
	for id, list := range holders {
		if len(list) != 1 {
			t.Errorf("%s is held by %v", id, list)
		}
	}
	if len(holders) != sessions {
		t.Errorf("%d of %d sessions are held", len(holders), sessions)
	}
}
