package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"cellblock/internal/nsjail"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/redisconn"
)

// doctorCommand reports what this machine can enforce, and how.
type doctorCommand struct {
	Sandbox     nsjail.Settings `embed:"" group:"Sandbox"`
	RedisURL    string          `name:"redis-url" env:"REDIS_URL" default:"" help:"Redis to check; empty means none, since cellblock up starts its own."`
	RedisCAFile string          `name:"redis-ca-file" env:"REDIS_CA_FILE" help:"File (PEM) with the certificate authorities for a rediss:// URL, instead of the system's."`
}

// redisTimeout is the timeout for the check of Redis.
const redisTimeout = 3 * time.Second

// errCannotRun makes doctor exit with 1. The printed lines have the reason.
var errCannotRun = errors.New("the worker would refuse to start, or could not reach Redis")

// Run prints a line for each check.
func (c *doctorCommand) Run() error {
	ctx := context.Background()
	checks := append(nsjail.Doctor(ctx, c.Sandbox), c.checkRedis(ctx))
	color := isatty.IsTerminal(os.Stdout.Fd()) && os.Getenv("NO_COLOR") == ""
	failed := false
	for _, check := range checks {
		fmt.Printf("%s  %-15s %s\n", mark(check.Status, color), check.Name, check.Text)
		failed = failed || check.Status == host.CheckFail
	}
	if failed {
		return errCannotRun
	}
	return nil
}

func (c *doctorCommand) checkRedis(ctx context.Context) host.Check {
	if c.RedisURL == "" {
		return host.OK("redis", "not checked (no REDIS_URL); cellblock up starts its own")
	}
	settings := redisconn.Settings{URL: c.RedisURL, CAFile: c.RedisCAFile}
	client, err := settings.Open()
	if err != nil {
		return host.Fail("redis", err.Error())
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	version, err := redisconn.Check(ctx, client)
	if err != nil {
		return host.Fail("redis", fmt.Sprintf("%s: %v", settings.Redacted(), err))
	}
	return host.OK("redis", fmt.Sprintf("%s, version %s (6.2 or later is needed)", settings.Redacted(), version))
}

// mark returns the status in a fixed width, in green, yellow or red if color is set.
func mark(status string, color bool) string {
	padded := fmt.Sprintf("%-4s", status)
	if !color {
		return padded
	}
	code := map[string]int{host.CheckOK: 32, host.CheckWarn: 33, host.CheckFail: 31}[status]
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, padded)
}
