package jobs

import (
	"context"
	"regexp"
	"strings"
)

// MaxTraceState bounds the bytes of TraceContext.State: what every party must pass on at least (W3C Trace Context,
// 3.3.1.5).
const MaxTraceState = 512

// TraceContext is the place in a trace to which a job belongs, in the form of W3C Trace Context. It is no part of what
// a request asks for: repeated requests may have different ones, and a job keeps that of the request which created it.
type TraceContext struct {
	// Parent is a header traceparent, "" for none, and State the header tracestate that belongs to it, "" for none.
	Parent, State string
}

// traceParent matches the version of traceparent that is known, and later ones, which may have more at their end.
var traceParent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[[:graph:]]*)?$`)

// maxTraceParent bounds a traceparent of a later version.
const maxTraceParent = 128

// ParseTraceContext returns the trace context of the headers traceparent and tracestate; an empty one if the first is
// not valid. A tracestate that is too long, or not plain ASCII, is left out.
func ParseTraceContext(parent, state string) TraceContext {
	parts := traceParent.FindStringSubmatch(parent)
	switch {
	case parts == nil, len(parent) > maxTraceParent, parts[1] == "ff", parts[1] == "00" && parts[4] != "",
		strings.Trim(parts[2], "0") == "", strings.Trim(parts[3], "0") == "":
		return TraceContext{}
	}
	isPlain := !strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' })
	if len(state) > MaxTraceState || !isPlain {
		state = ""
	}
	return TraceContext{Parent: parent, State: state}
}

type traceKey struct{}

// WithTrace returns a context with the trace context of the request.
func WithTrace(ctx context.Context, trace TraceContext) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// TraceOf returns the trace context of the request; the zero value if ctx has none.
func TraceOf(ctx context.Context) TraceContext {
	trace, _ := ctx.Value(traceKey{}).(TraceContext)
	return trace
}
