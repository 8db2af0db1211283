package tenants

import (
	"slices"
	"strings"
	"testing"
)

// attempt is one attack. Its name is that of a group and what it tries.
type attempt struct {
	name string
	// try returns what the actor got, "" for nothing.
	try func(t *testing.T, as *actor) string
	// control returns what the same call gets where it may. nil is try by acme.
	control func(t *testing.T) string
}

// attempts returns all attempts that may run beside others.
func attempts() []attempt {
	return slices.Concat(idAttempts(), fileAttempts(), batchAttempts(), referenceAttempts(), idempotencyAttempts(),
		listAttempts(), adminAttempts(), webhookAttempts(), mcpAttempts(), doorAttempts(), scopeAttempts(),
		tokenAttempts(), lifetimeAttempts(), smugglingAttempts(), guessAttempts(), sandboxAttempts(), commandAttempts(),
		quotaAttempts())
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, a := range attempts() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.run(t)
		})
	}
}

// run makes the attempt as mallory, and then the control.
func (a attempt) run(t *testing.T) {
	t.Helper()
	mallory := world.mallory.like()
	got := a.try(t, mallory)
	if leaks := mallory.leaks(); leaks != "" {
		got = strings.TrimPrefix(got+"\n"+leaks, "\n")
	}
	if got != "" {
		t.Errorf("THE ATTACK SUCCEEDED and got: %s", got)
		return
	}
	control := a.control
	if control == nil {
		control = func(t *testing.T) string { t.Helper(); return a.try(t, world.acme) }
	}
	if control(t) == "" {
		t.Error("the control got nothing, so the attempt tests nothing")
	}
}

// first returns the first text that is not "".
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// unlike returns an id of the same form and time that nothing has.
func unlike(id string) string {
	change := func(c rune) rune {
		switch c {
		case '2':
			return '3'
		case 'a':
			return 'b'
		}
		if c >= 'a' {
			return 'a'
		}
		return '2'
	}
	return id[:len(id)-6] + strings.Map(change, id[len(id)-6:])
}

// compareAll returns the first difference between foreign and unknown ids, for several of them.
func (a *actor) compareAll(r request, foreign ...string) string {
	for _, id := range foreign {
		if got := a.compare(r, id, unlike(id)); got != "" {
			return got
		}
	}
	return ""
}
