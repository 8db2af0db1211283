package app

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanupsRunInReverseAndEachDespiteErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	cleanups := NewCleanups(slog.New(slog.DiscardHandler))
	var ran []string
	add := func(name string, err error) {
		cleanups.Add(name, time.Minute, func() error {
			ran = append(ran, name)
			return err
		})
	}
	add("first", nil)
	add("second", broken)
	add("third", nil)
	err := cleanups.Run()
	if want := []string{"third", "second", "first"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	if !errors.Is(err, broken) || err.Error() != "cleanup of the second: broken" {
		t.Errorf("got %v", err)
	}
}

func TestACleanupThatOverrunsIsNamedAndLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cleanups := NewCleanups(slog.New(slog.NewTextHandler(&log, nil)))
		release := make(chan struct{})
		next := false
		cleanups.Add("next", time.Second, func() error { next = true; return nil })
		cleanups.Add("hanging part", 3*time.Second, func() error { <-release; return nil })
		began := time.Now()
		err := cleanups.Run()
		close(release)
		if took := time.Since(began); took != 3*time.Second || !next {
			t.Errorf("took %s; the next step ran: %t", took, next)
		}
		if err == nil || err.Error() != "cleanup of the hanging part did not end within 3s" {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(log.String(), `msg="cleanup overran its bound" step="hanging part" bound=3s`) {
			t.Errorf("log: %s", log.String())
		}
	})
}
