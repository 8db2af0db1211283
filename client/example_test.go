package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"cellblock/client"
)

const hello = "def main(name):\n    print('hello', name)\n    return len(name)\n"

// ExampleClient_Run runs a script and handles its failure apart from other errors.
func ExampleClient_Run() {
	c, err := client.New("http://127.0.0.1:8080")
	if err != nil {
		slog.Error("no client", "error", err)
		return
	}
	defer c.Close()
	job, err := c.Run(context.Background(), client.Request{Script: hello, Args: map[string]any{"name": "world"}})
	var failed *client.Error
	switch {
	case err == nil:
		fmt.Printf("%s, and it printed %q\n", job.Result, *job.Stdout)
	case errors.As(err, &failed) && failed.Code == client.CodeException:
		fmt.Println(failed.Traceback)
	default:
		slog.Error("running the script failed", "error", err)
	}
}

// ExampleClient_Watch prints a script's output while it runs.
func ExampleClient_Watch() {
	c, err := client.New("http://127.0.0.1:8080")
	if err != nil {
		slog.Error("no client", "error", err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	job, err := c.Submit(ctx, client.Request{Script: hello, Args: map[string]any{"name": "world"}})
	if err != nil {
		slog.Error("submitting the script failed", "error", err)
		return
	}
	for event, err := range c.Watch(ctx, job.JobID) {
		switch {
		case err != nil:
			slog.Error("watching the job failed", "error", err)
		case event.Kind == client.EventStdout:
			fmt.Print(event.Text)
		case event.Kind == client.EventEnd:
			fmt.Println(event.Job.Status)
		}
	}
}
