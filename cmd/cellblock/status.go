package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"cellblock/client"
)

// The exit statuses; docs/cli.md has them for users.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusUnavailable = 3
	statusFault       = 4
	statusInterrupted = 130 // 128 + SIGINT, as shells have it
	statusTerminated  = 143 // 128 + SIGTERM
)

const exitHelp = `Exit status of what uses a service:

    0    done; the script succeeded
    1    the script failed: an exception, a limit, no main(), cancelled by somebody else
    2    wrong usage, a file that cannot be read or written, or a request that the service refused
    3    the service cannot be reached, is unavailable, or its queue is full
    4    the service's own fault
    130  ended by Ctrl-C, after cancelling what it ran; 143 by SIGTERM

CELLBLOCK_TOKEN, or API_TOKEN, is the token for a service that asks for one.`

// exit ends the program with a status, and with an error that is to be shown;
// none if all is shown already.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// leave shows an error and gives the exit status. A result that could not be
// printed is an error too.
func leave(err error) int {
	if err == nil && printed.err != nil {
		err = usage(printed.err)
	}
	var e *exit
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &e):
		e = &exit{status: statusFailed, err: err}
	}
	if e.err != nil {
		fmt.Fprintln(os.Stderr, paint(os.Stderr, red, "cellblock:"), e.err)
	}
	return e.status
}

// usage is for what the user has to put right.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exit{status: statusUsage, err: err}
}

func usagef(format string, values ...any) error { return usage(fmt.Errorf(format, values...)) }

// conclude gives an error of the service, or of the way to it, its exit status.
func conclude(err error) error {
	var known *exit
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &exit{status: statusOf(err), err: err}
}

// quietly is conclude for what is shown already.
func quietly(err error) error {
	if err == nil {
		return nil
	}
	return &exit{status: statusOf(err)}
}

func statusOf(err error) int {
	var told *client.Error
	if !errors.As(err, &told) {
		return statusUnavailable
	}
	switch told.Code {
	case client.CodeUnavailable, client.CodeQueueFull, client.CodeNotStarted:
		return statusUnavailable
	case client.CodeInternal, client.CodeWorkerLost:
		return statusFault
	case client.CodeInvalidRequest, client.CodeUnauthorized, client.CodeNotFound, client.CodeMethodNotAllowed,
		client.CodeAlreadyFinished, client.CodeScriptTooLarge, client.CodeInputTooLarge, client.CodeUnsupportedMediaType,
		client.CodeIdempotencyMismatch, client.CodePreconditionFailed, client.CodeRangeNotSatisfiable:
		return statusUsage
	case "":
		if told.Status >= http.StatusInternalServerError {
			return statusUnavailable // a proxy without a service behind it
		}
		return statusUsage
	default:
		return statusFailed
	}
}

// interruption tells which signal ended a context of untilInterrupted.
func interruption(ctx context.Context) int {
	if errors.Is(context.Cause(ctx), errTerminated) {
		return statusTerminated
	}
	return statusInterrupted
}
