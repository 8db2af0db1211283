package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"cellblock/client"
)

const (
	// attempts is how often a call is sent: fewer than the client's default, since a user waits.
	attempts = 3
	// cancelBound is the timeout for the cancellation after Ctrl-C.
	cancelBound = 10 * time.Second
)

// serviceFlags select the service to use.
type serviceFlags struct {
	URL string `name:"url" env:"CELLBLOCK_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the service is (http://127.0.0.1:8080)."`
}

func (f serviceFlags) open() (*client.Client, error) {
	token := cmp.Or(os.Getenv("CELLBLOCK_TOKEN"), os.Getenv("API_TOKEN"))
	c, err := client.New(f.URL, client.WithToken(token), client.WithAttempts(attempts))
	return c, usage(err)
}

// use runs call with the service, and a context that ends at the first Ctrl-C.
func (f serviceFlags) use(call func(ctx context.Context, service *client.Client) error) error {
	service, err := f.open()
	if err != nil {
		return err
	}
	defer service.Close()
	ctx, stop := untilInterrupted()
	defer stop()
	return call(ctx, service)
}

var errTerminated = errors.New("asked to end")

// untilInterrupted returns a context that is cancelled by the first SIGINT, SIGTERM or SIGHUP. After it, signals have
// their default effect: the next one ends the program at once. The returned function stops listening and waits for the
// goroutine.
func untilInterrupted() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	var listening sync.WaitGroup
	listening.Go(func() {
		var why error
		select {
		case got := <-heard:
			if got != syscall.SIGINT {
				why = errTerminated
			}
		case <-ctx.Done():
		}
		signal.Stop(heard)
		cancel(why)
	})
	return ctx, func() {
		cancel(nil)
		listening.Wait()
	}
}

// cancelAfter cancels the job or batch named what after ctx was interrupted, and returns the program's exit.
func cancelAfter(ctx context.Context, what string, cancel func(context.Context) error) error {
	fmt.Fprintf(os.Stderr, "\ncellblock: cancelling %s (Ctrl-C again leaves at once)\n", what)
	bounded, done := context.WithTimeout(context.WithoutCancel(ctx), cancelBound)
	defer done()
	err := cancel(bounded)
	if client.CodeOf(err) == client.CodeAlreadyFinished {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s could not be cancelled: %w", what, err)
	}
	return &exit{status: interruption(ctx), err: err}
}
