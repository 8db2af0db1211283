package redisconn

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// timePerByte assumes half a megabyte per second: a slow network, or a busy machine.
const timePerByte = 2 * time.Microsecond

// TransferTime returns how much longer a command may take that transfers so many bytes.
func TransferTime(bytes int) time.Duration { return time.Duration(bytes) * timePerByte }

// ForBytes returns a client for a command that transfers so many bytes. It has longer timeouts,
// because the client library obeys the earlier of the context's deadline and its own timeouts. It
// shares client's connections; do not close it.
func ForBytes(client redis.UniversalClient, bytes int) redis.UniversalClient {
	if part, ok := client.(interface {
		ForBytes(extra time.Duration) redis.UniversalClient
	}); ok { // of a cluster
		return part.ForBytes(TransferTime(bytes))
	}
	single, ok := client.(interface {
		Options() *redis.Options
		WithTimeout(timeout time.Duration) *redis.Client
	})
	if !ok {
		return client
	}
	base := max(single.Options().ReadTimeout, single.Options().WriteTimeout)
	if base <= 0 {
		return client // it has no bound
	}
	return single.WithTimeout(base + TransferTime(bytes))
}
