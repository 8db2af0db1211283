// Package web uses the pages of the API in a real Chromium, with a real service behind them. Each test has a tab with
// storage of its own. A page that writes an error to the console, throws, or breaks its Content-Security-Policy fails
// its test.
package web

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"cellblock/test/chromium"
	"cellblock/test/stack"
)

// bound is longer than any step of a test takes, even on a busy machine.
const bound = time.Minute

// operatorsToken is API_TOKEN of the service closed.
const operatorsToken = "the-operators-token-47110"

var (
	// open needs no token; closed needs one.
	open, closed *stack.Stack
	// programs are the programs under test, for tests that start a service of their own.
	programs stack.Programs
	// browser is the context of Chromium.
	browser context.Context
)

func TestMain(m *testing.M) {
	stack.RunAtOnce(4)
	stack.Main(m, "web", run)
}

// run returns the tests' exit code, and an error for a failure around them.
func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-web-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	programs, err = stack.FindOrBuild(context.Background(), os.Getenv("WEB_PROGRAMS"), dir)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stack.StopAll(open, closed)) }()
	if open, err = start(programs, stack.Env{}, 4); err != nil {
		return 1, err
	}
	if closed, err = start(programs, stack.Env{"API_TOKEN": operatorsToken}, 1); err != nil {
		return 1, err
	}
	var stop func() error
	if browser, stop, err = chromium.Start(dir); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return m.Run(), nil
}

// start starts a service with one worker.
func start(programs stack.Programs, settings stack.Env, places int) (*stack.Stack, error) {
	settings["CALLBACK_SECRET"] = "whsec_c2VjcmV0LW9mLXRoZS1zZXJ2aWNlLTEyMzQ1Njc4OTA="
	settings["CALLBACK_ALLOW"] = "127.0.0.0/8"
	return stack.Start(context.Background(), stack.Config{
		Programs: programs,
		API:      settings,
		Workers: []stack.Env{{
			"WORKER_CONCURRENCY": strconv.Itoa(places), "METRICS_ADDR": "127.0.0.1:0",
		}},
	})
}
