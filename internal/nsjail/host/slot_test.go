package host

import "testing"

// With every user id in use, acquire returns an error; later it returns the id that was released.
func TestSlotUIDsAreBounded(t *testing.T) {
	t.Parallel()
	s := &Slot{UIDBase: 1000, inUse: map[int]bool{}}
	for range JobUIDs {
		if _, err := s.Acquire(); err != nil {
			t.Fatal(err)
		}
	}
	if id, err := s.Acquire(); err == nil {
		t.Fatalf("id %d was acquired twice", id)
	}
	s.Release(1007)
	if id, err := s.Acquire(); err != nil || id != 1007 {
		t.Errorf("%d, %v", id, err)
	}
}
