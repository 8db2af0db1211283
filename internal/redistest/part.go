package redistest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisparts"
)

// inPart is the variable with which tests of a single Redis run in a part of the keys: see the target test-cluster.
const inPart = "REDISTEST_PART"

// isInPart reports whether clients are those of a part.
func isInPart() bool { return os.Getenv(inPart) != "" }

// partClient is the client of a part. What tests ask of the server, and not of its keys, reaches the server.
type partClient struct {
	redis.UniversalClient

	server redis.UniversalClient
}

func newPartClient(server redis.UniversalClient) redis.UniversalClient {
	return &partClient{UniversalClient: redisparts.New(server, 1).Of(""), server: server}
}

// ForBytes is for redisconn.ForBytes.
func (c *partClient) ForBytes(extra time.Duration) redis.UniversalClient {
	part, ok := c.UniversalClient.(interface {
		ForBytes(extra time.Duration) redis.UniversalClient
	})
	if !ok {
		panic("the client of a part has no ForBytes")
	}
	return part.ForBytes(extra)
}

// Keys lists the keys of the part, by their names there.
func (c *partClient) Keys(ctx context.Context, pattern string) *redis.StringSliceCmd {
	reply := c.server.Keys(ctx, "{1p*}"+pattern)
	names := reply.Val()
	for i, name := range names {
		_, names[i], _ = strings.Cut(name, "}")
	}
	return reply
}

// FlushAll implements redis.Cmdable.
func (c *partClient) FlushAll(ctx context.Context) *redis.StatusCmd { return c.server.FlushAll(ctx) }

// ScriptFlush implements redis.Cmdable.
func (c *partClient) ScriptFlush(ctx context.Context) *redis.StatusCmd {
	return c.server.ScriptFlush(ctx)
}

// Info implements redis.Cmdable.
func (c *partClient) Info(ctx context.Context, section ...string) *redis.StringCmd {
	return c.server.Info(ctx, section...)
}

// ClientList implements redis.Cmdable.
func (c *partClient) ClientList(ctx context.Context) *redis.StringCmd {
	return c.server.ClientList(ctx)
}

// ClientKillByFilter implements redis.Cmdable.
func (c *partClient) ClientKillByFilter(ctx context.Context, keys ...string) *redis.IntCmd {
	return c.server.ClientKillByFilter(ctx, keys...)
}

// ConfigSet implements redis.Cmdable.
func (c *partClient) ConfigSet(ctx context.Context, name, value string) *redis.StatusCmd {
	return c.server.ConfigSet(ctx, name, value)
}

// ConfigGet implements redis.Cmdable.
func (c *partClient) ConfigGet(ctx context.Context, name string) *redis.MapStringStringCmd {
	return c.server.ConfigGet(ctx, name)
}

// ConfigResetStat implements redis.Cmdable.
func (c *partClient) ConfigResetStat(ctx context.Context) *redis.StatusCmd {
	return c.server.ConfigResetStat(ctx)
}

// URLOf returns the URL of the server that one of this package's clients uses.
func URLOf(t testing.TB, client redis.UniversalClient) string {
	t.Helper()
	if part, ok := client.(*partClient); ok {
		client = part.server
	}
	single, ok := client.(*redis.Client)
	if !ok {
		t.Fatalf("a %T is none of this package's clients", client)
	}
	return "unix://" + single.Options().Addr
}
