package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"cellblock/client"
)

const (
	// attempts is how often a call is sent: fewer than the client's default, since a user waits.
	attempts = 3
	// cancelTimeout is the timeout for the cancellation after Ctrl-C.
	cancelTimeout = 10 * time.Second
)

// serviceFlags select the service to use.
type serviceFlags struct {
	URL string `name:"url" env:"CELLBLOCK_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"URL of the service (http://127.0.0.1:8080)."`
}

func (f serviceFlags) open() (*client.Client, error) {
	// The API may accept a token and its successor; the first one is as good.
	tokens := append(strings.Fields(cmp.Or(os.Getenv("CELLBLOCK_TOKEN"), os.Getenv("API_TOKEN"))), "")
	c, err := client.New(f.URL, client.WithToken(tokens[0]), client.WithAttempts(attempts))
	return c, usage(err)
}

// use runs call with the service, and a context that ends at the first Ctrl-C.
func (f serviceFlags) use(call func(ctx context.Context, service *client.Client) error) error {
	service, err := f.open()
	if err != nil {
		return err
	}
	defer service.Close()
	ctx, stop := withSignals()
	defer stop()
	return call(ctx, service)
}

var errTerminated = errors.New("terminated by a signal")

// withSignals returns a context that is cancelled by the first SIGINT, SIGTERM or SIGHUP. After it, signals have
// their default effect: the next one ends the program at once. The returned function stops listening and waits for the
// goroutine.
func withSignals() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	var listener sync.WaitGroup
	listener.Go(func() {
		var cause error
		select {
		case got := <-signals:
			if got != syscall.SIGINT {
				cause = errTerminated
			}
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel(cause)
	})
	return ctx, func() {
		cancel(nil)
		listener.Wait()
	}
}

// cancelAfter cancels the job or batch named what after ctx was interrupted, and returns the program's exit.
func cancelAfter(ctx context.Context, what string, cancel func(context.Context) error) error {
	fmt.Fprintf(os.Stderr, "\ncellblock: cancelling %s (Ctrl-C again exits at once)\n", what)
	bounded, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer done()
	err := cancel(bounded)
	if client.CodeOf(err) == client.CodeAlreadyFinished {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s could not be cancelled: %w", what, err)
	}
	return &exit{status: interruptStatus(ctx), err: err}
}
