package redisconn

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// timePerByte is a link of half a megabyte a second: a slow network, or a machine
// with much else to do.
const timePerByte = 2 * time.Microsecond

// TransferTime is how much longer than others a command may take that moves so many
// bytes.
func TransferTime(bytes int) time.Duration { return time.Duration(bytes) * timePerByte }

// ForBytes returns the client for a command that moves so many bytes: of a command's
// context and its own timeouts, the client library obeys whichever ends first. It
// shares the connections of the one that it was made of, and is not closed.
func ForBytes(client redis.UniversalClient, bytes int) redis.UniversalClient {
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
