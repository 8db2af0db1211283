// Package redisconn connects to Redis: the settings of the connection, the client made from them,
// and the check of the server's version.
package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Settings is the address of Redis and the credentials for it.
type Settings struct {
	URL    string `name:"redis-url" env:"REDIS_URL" default:"redis://127.0.0.1:6379/0" help:"Redis (6.2 or newer) as redis://[user:password@]host:port/db, rediss:// (TLS) or unix://[user:password@]/path/to.sock?db=N."`
	CAFile string `name:"redis-ca-file" env:"REDIS_CA_FILE" help:"File (PEM) with the certificate authorities that a rediss:// server's certificate is checked against, instead of the system's."`

	// Password is apart from the URL, so that a Secret can hold it as it is, without the URL's escapes.
	Password string `name:"redis-password" env:"REDIS_PASSWORD" help:"Password for Redis, in place of that in REDIS_URL, where special characters need escapes. Set it by the variable: a flag is visible in the process list."`

	// With sentinels, the URL describes how to talk to the primary, and Sentinel where it is.
	Sentinels        []string `name:"redis-sentinels" env:"REDIS_SENTINELS" help:"Sentinels (host:port, by comma). With them the host and port of REDIS_URL are not used (but the host is still the name in a rediss:// certificate): they name the primary."`
	SentinelMaster   string   `name:"redis-sentinel-master" env:"REDIS_SENTINEL_MASTER" default:"mymaster" help:"Name of the primary at the Sentinels."`
	SentinelUser     string   `name:"redis-sentinel-user" env:"REDIS_SENTINEL_USER" help:"User name for the Sentinels, if they require one."`
	SentinelPassword string   `name:"redis-sentinel-password" env:"REDIS_SENTINEL_PASSWORD" help:"Password for the Sentinels. Set it by the variable: a flag is visible in the process list."`
}

const (
	// dialTimeout limits one attempt to connect, TLS included: two round trips of a slow link. A
	// command whose context ends sooner does not wait for it.
	dialTimeout = 3 * time.Second
	// ioTimeout limits one command. It is long on purpose: a worker that gives up on a reply it was
	// about to get loses the job in it for a minute or two. A caller that needs an answer sooner
	// passes a context with a deadline, which the client obeys. For commands that block, their
	// block time is added.
	ioTimeout = 5 * time.Second
)

// Open returns a client; it does not connect yet. The caller closes it. Options in the URL's query
// (such as read_timeout or pool_size) take precedence.
func (s Settings) Open() (redis.UniversalClient, error) {
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	return s.open(options), nil
}

// options parses the URL and sets defaults.
func (s Settings) options() (*redis.Options, error) {
	options, err := redis.ParseURL(s.URL)
	if err != nil {
		// A parser's error quotes the URL, password included.
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("not a Redis URL: %w", err)
	}
	if s.Password != "" {
		options.Password = s.Password
	}
	if err := s.trust(options.TLSConfig); err != nil {
		return nil, err
	}
	quietLogger()
	setDefault(&options.DialTimeout, dialTimeout)
	setDefault(&options.ReadTimeout, ioTimeout)
	setDefault(&options.WriteTimeout, ioTimeout)
	// One attempt each time: commands are retried anyway, and retries inside an attempt hide the
	// cause behind the deadline that it then misses.
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	// Neither is useful here, and both cost commands on every new connection.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// open returns a client, which asks the sentinels for the primary if there are any.
func (s Settings) open(options *redis.Options) redis.UniversalClient {
	if len(s.Sentinels) > 0 {
		return redis.NewFailoverClient(s.failover(options))
	}
	return redis.NewClient(options)
}

// trust makes CAFile, if set, the authority that the server's certificate is checked against.
func (s Settings) trust(config *tls.Config) error {
	if s.CAFile == "" {
		return nil
	}
	if config == nil {
		return errors.New("REDIS_CA_FILE is of no use without a rediss:// URL")
	}
	content, err := os.ReadFile(s.CAFile)
	if err != nil {
		return fmt.Errorf("REDIS_CA_FILE: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(content) {
		return fmt.Errorf("REDIS_CA_FILE: %s has no certificate in PEM", s.CAFile)
	}
	return nil
}

// failover converts the options to those of a client that finds the primary through Sentinel.
func (s Settings) failover(o *redis.Options) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: s.SentinelMaster, SentinelAddrs: s.Sentinels,
		SentinelUsername: s.SentinelUser, SentinelPassword: s.SentinelPassword,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig, Protocol: o.Protocol,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns,
		MaxActiveConns: o.MaxActiveConns, ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		DialerRetries: o.DialerRetries, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		DisableIdentity: o.DisableIdentity,
	}
}

// Redacted returns the URL without its password, for logs and messages; with sentinels, their
// addresses.
func (s Settings) Redacted() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "(a URL that cannot be parsed)"
	}
	if len(s.Sentinels) > 0 {
		return fmt.Sprintf("%s by the sentinels %s", s.SentinelMaster, strings.Join(s.Sentinels, ", "))
	}
	return u.Redacted()
}

func setDefault(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

// Check returns the server's version, and an error if the server cannot be reached or is older than
// 6.2.
func Check(ctx context.Context, client redis.UniversalClient) (string, error) {
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return "", fmt.Errorf("redis cannot be reached: %w", err)
	}
	version := infoField(info, "redis_version")
	if !atLeast(version, 6, 2) {
		return version, fmt.Errorf("redis %s is too old, 6.2 or newer is needed", version)
	}
	return version, nil
}

// infoField returns one field of INFO's reply, or "".
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), ":"); found && key == name {
			return value
		}
	}
	return ""
}

// atLeast compares a version such as 7.0.15; one that cannot be parsed is too old.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	gotMajor, err := strconv.Atoi(parts[0])
	if err != nil {
		return false
	}
	gotMinor, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	return gotMajor > major || gotMajor == major && gotMinor >= minor
}

// quietLogger sends the client library's log to slog at debug level. The library has one logger per
// process, and also returns as errors everything that it logs.
var quietLogger = sync.OnceFunc(func() { redis.SetLogger(libraryLogger{}) })

type libraryLogger struct{}

// Printf implements the library's logger.
func (libraryLogger) Printf(ctx context.Context, format string, args ...any) {
	if slog.Default().Enabled(ctx, slog.LevelDebug) {
		slog.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, args...))
	}
}
