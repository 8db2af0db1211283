package jobs

import (
	"strings"
	"testing"
)

func TestParseTraceContext(t *testing.T) {
	t.Parallel()
	const ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
	long := strings.Repeat("a", MaxTraceState)
	for _, c := range []struct {
		parent, state string
		want          TraceContext
	}{
		{"00-" + ids + "-01", "", TraceContext{"00-" + ids + "-01", ""}},
		{"00-" + ids + "-00", "a=b,c=d", TraceContext{"00-" + ids + "-00", "a=b,c=d"}},
		{"00-" + ids + "-01", long, TraceContext{"00-" + ids + "-01", long}},
		{"00-" + ids + "-01", long + "a", TraceContext{"00-" + ids + "-01", ""}},
		{"00-" + ids + "-01", "a=é", TraceContext{"00-" + ids + "-01", ""}},
		{"00-" + ids + "-01", "a=b\r\n", TraceContext{"00-" + ids + "-01", ""}},
		// A later version may have more.
		{"cc-" + ids + "-01-what=ever", "", TraceContext{"cc-" + ids + "-01-what=ever", ""}},
		{"cc-" + ids + "-01-what ever", "", TraceContext{}},
		{"cc-" + ids + "-01-" + long, "", TraceContext{}},
		{"00-" + ids + "-01-more", "", TraceContext{}},
		{"ff-" + ids + "-01", "a=b", TraceContext{}},
		{"00-" + strings.ToUpper(ids) + "-01", "", TraceContext{}},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", TraceContext{}},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "", TraceContext{}},
		{"00-" + ids + "-01\n", "", TraceContext{}},
		{"", "a=b", TraceContext{}},
	} {
		if got := ParseTraceContext(c.parent, c.state); got != c.want {
			t.Errorf("%q, %.20q: %+v", c.parent, c.state, got)
		}
	}
}

func TestTraceOfAContext(t *testing.T) {
	t.Parallel()
	want := TraceContext{Parent: "a", State: "b"}
	if got := TraceOf(WithTrace(t.Context(), want)); got != want {
		t.Errorf("got %+v", got)
	}
	if got := TraceOf(t.Context()); got != (TraceContext{}) {
		t.Errorf("without one: %+v", got)
	}
}
