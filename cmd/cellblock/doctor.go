package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cellblock/internal/environment/build"
	"cellblock/internal/nsjail"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/redisconn"
	"cellblock/internal/worker"
)

// doctorCommand reports what this machine can enforce, and how.
type doctorCommand struct {
	Sandbox       nsjail.Settings `embed:"" group:"Sandbox"`
	Concurrency   int             `name:"worker-concurrency" env:"WORKER_CONCURRENCY" default:"0" help:"Number of jobs that run at once, for which the machine must have processes and open files; 0 is the number of CPUs."`
	RedisURL      string          `name:"redis-url" env:"REDIS_URL" default:"" help:"Redis to check; empty means none, since cellblock up starts its own."`
	RedisCAFile   string          `name:"redis-ca-file" env:"REDIS_CA_FILE" help:"File (PEM) with the certificate authorities for a rediss:// URL, instead of the system's."`
	RedisPassword string          `name:"redis-password" env:"REDIS_PASSWORD" help:"Password for the Redis of REDIS_URL, in place of that in the URL. Set it by the variable: a flag is visible in the process list."`
}

// redisTimeout is the timeout for the check of Redis.
const redisTimeout = 3 * time.Second

// errCannotRun makes doctor exit with 1. The printed lines have the reason.
var errCannotRun = errors.New("the worker would refuse to start, or could not reach Redis")

// Run prints a line for each check.
func (c *doctorCommand) Run() error {
	ctx := context.Background()
	slots := worker.Settings{Concurrency: c.Concurrency}.Slots()
	checks := append(nsjail.Doctor(ctx, c.Sandbox, slots), c.checkRedis(ctx))
	checks = append(checks, checkEnvironments(ctx)...)
	failed := false
	for _, check := range checks {
		fmt.Printf("%s  %-16s %s\n", mark(check.Status), check.Name, check.Text)
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
	settings := redisconn.Settings{URL: c.RedisURL, CAFile: c.RedisCAFile, Password: c.RedisPassword}
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

// checkEnvironments returns a check for each environment. A worker also starts without those that are not built.
func checkEnvironments(ctx context.Context) []host.Check {
	settings, err := fromEnvironment[build.Settings]()
	if err != nil {
		return []host.Check{host.Warn("environments", err.Error())}
	}
	all, err := build.List(ctx, settings)
	if err != nil {
		return []host.Check{host.Warn("environments", err.Error())}
	}
	var checks []host.Check
	for _, env := range all {
		text := fmt.Sprintf("%s: %s", env.Name, env.State)
		if env.Hash != "" {
			text += fmt.Sprintf(", Python %s, %d packages, in %s", env.Python, len(env.Packages), env.Dir)
		}
		check := host.OK("environment", text)
		if env.Problem != nil {
			check = host.Warn("environment", fmt.Sprintf("%s: %v", text, env.Problem))
		}
		checks = append(checks, check)
	}
	return checks
}

// mark returns the status in a fixed width, in green, yellow or red on a terminal.
func mark(status string) string {
	color := map[string]int{host.CheckOK: green, host.CheckWarn: yellow, host.CheckFail: red}[status]
	return colorize(os.Stdout, color, fmt.Sprintf("%-4s", status))
}
