package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"cellblock/client"
)

// Exit statuses; docs/cli.md documents them for users.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusUnavailable = 3
	statusFault       = 4
	statusInterrupted = 130 // 128 + SIGINT, as in shells
	statusTerminated  = 143 // 128 + SIGTERM
)

const exitHelp = `Exit status of the commands that use a service:

    0    success
    1    the script failed: an exception, a limit, no main(), or cancelled by another client
    2    wrong usage, a file that cannot be read or written, or a request that the service refused
    3    the service cannot be reached, is unavailable, its queue or its store of files is full, or a limit of your
         tenant is reached
    4    internal error of the service
    130  stopped by Ctrl-C, after the running job was cancelled; 143 by SIGTERM

CELLBLOCK_TOKEN, or API_TOKEN, is the token for a service that requires one.`

// exit is an error with the program's exit status. err is shown to the user; nil if everything is shown already.
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

// exitStatus prints an error and returns the exit status. A failure to print a result is an error too.
func exitStatus(err error) int {
	if err == nil && standardOutput.err != nil {
		err = usage(standardOutput.err)
	}
	var e *exit
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &e):
		e = &exit{status: statusFailed, err: err}
	}
	if e.err != nil {
		fmt.Fprintln(os.Stderr, colorize(os.Stderr, red, "cellblock:"), e.err)
	}
	return e.status
}

// usage wraps an error that the user has to correct.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exit{status: statusUsage, err: err}
}

func usagef(format string, values ...any) error { return usage(fmt.Errorf(format, values...)) }

// withStatus adds the exit status to an error of the service or of the connection.
func withStatus(err error) error {
	var known *exit
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &exit{status: statusOf(err), err: err}
}

// statusOnly is withStatus for an error that is shown already.
func statusOnly(err error) error {
	if err == nil {
		return nil
	}
	return &exit{status: statusOf(err)}
}

func statusOf(err error) int {
	var response *client.Error
	if !errors.As(err, &response) {
		return statusUnavailable
	}
	switch response.Code {
	case client.CodeUnavailable, client.CodeQueueFull, client.CodeRateLimited, client.CodeQuotaExceeded,
		client.CodeNotStarted, client.CodeStorageFull:
		return statusUnavailable
	case client.CodeInternal, client.CodeWorkerLost:
		return statusFault
	case client.CodeUnknownEnvironment, client.CodeMissingPackages,
		client.CodeInvalidRequest, client.CodeUnauthorized, client.CodeForbidden, client.CodeCrossOrigin,
		client.CodeHostNotAllowed, client.CodeNotFound, client.CodeMethodNotAllowed, client.CodeAlreadyFinished,
		client.CodeScriptTooLarge,
		client.CodeInputTooLarge, client.CodeUnsupportedMediaType,
		client.CodeIdempotencyMismatch, client.CodePreconditionFailed, client.CodeRangeNotSatisfiable,
		client.CodeFileNotFound:
		return statusUsage
	case "":
		if response.Status >= http.StatusInternalServerError {
			return statusUnavailable // a proxy without a service behind it
		}
		return statusUsage
	default:
		return statusFailed
	}
}

// interruptStatus returns the exit status for the signal that cancelled a context of withSignals.
func interruptStatus(ctx context.Context) int {
	if errors.Is(context.Cause(ctx), errTerminated) {
		return statusTerminated
	}
	return statusInterrupted
}
