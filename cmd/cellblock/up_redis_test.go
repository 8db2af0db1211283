package main

import (
	"os"
	"strings"
	"testing"
)

// A data folder in the system's temporary folder that another user created is refused: that user could read every job,
// and replace the Redis.
func TestDataOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs root")
	}
	data := t.TempDir()
	if err := os.Chown(data, 54321, 54321); err != nil {
		t.Fatal(err)
	}
	own, err := newOwnRedis(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.prepare(); err == nil || !strings.Contains(err.Error(), "belongs to user 54321") {
		t.Errorf("got %v", err)
	}
}
