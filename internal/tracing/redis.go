package tracing

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// redisKey marks contexts whose commands to Redis become spans: those of the spans of jobs. Requests that wait and
// workers that look for jobs send commands all the time, which would be a span every second.
type redisKey struct{}

// withRedis marks a context.
func withRedis(ctx context.Context) context.Context { return context.WithValue(ctx, redisKey{}, true) }

// WatchRedis makes the commands that belong to a job, as their context has it, children of its spans. The client must
// not be in use yet. It does nothing for a nil Tracer.
//
// This is not redisotel: that makes spans of all commands, formats the arguments of pipelines (scripts and their
// inputs, megabytes) even if it does not record them, and reports a script that Redis has not cached as an error.
func (t *Tracer) WatchRedis(client redis.UniversalClient) {
	if t != nil {
		client.AddHook(redisHook{t})
	}
}

type redisHook struct{ tracer *Tracer }

// DialHook records nothing: the time of a connection is in the span of the command that needs it.
func (h redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook records a command, without its arguments.
func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !isWatched(ctx) || isHandshake(cmd) {
			return next(ctx, cmd)
		}
		ctx, end := h.start(ctx, strings.ToUpper(cmd.Name()))
		err := next(ctx, cmd)
		end(err)
		return err
	}
}

// ProcessPipelineHook records several commands as one.
func (h redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !isWatched(ctx) || isHandshake(cmds[0]) {
			return next(ctx, cmds)
		}
		ctx, end := h.start(ctx, "PIPELINE")
		err := next(ctx, cmds)
		end(err)
		return err
	}
}

func isWatched(ctx context.Context) bool {
	return ctx.Value(redisKey{}) != nil && trace.SpanFromContext(ctx).IsRecording()
}

// isHandshake reports whether the client sends a command to open a connection. Some fail where Redis does not know
// them, and the time is in the span of the command that needs the connection.
func isHandshake(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "client", "select", "readonly":
		return true
	default:
		return false
	}
}

func (h redisHook) start(ctx context.Context, operation string) (_ context.Context, end func(error)) {
	ctx, span := h.tracer.newSpan(ctx, operation, trace.SpanKindClient,
		trace.WithAttributes(semconv.DBSystemNameRedis, semconv.DBOperationName(operation)))
	return ctx, func(err error) {
		// The client sends a script's text after NOSCRIPT.
		if err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			fail(span, "redis")
		}
		span.End()
	}
}
