package main

import (
	"context"
	"fmt"
	"sync"

	"cellblock/client"
)

// watchers is how many watch a job at once; those of one API share one reader.
const watchers = 2

// watch follows the job's events to the end, and compares them with the record in the last event.
func (j *job) watch(ctx context.Context, service *client.Client) {
	wrong := make([]string, watchers)
	var all sync.WaitGroup
	for i := range wrong {
		all.Go(func() { wrong[i] = checkEvents(ctx, service, j.id) })
	}
	all.Wait()
	for _, w := range wrong {
		if w != "" {
			j.problem = w
		}
	}
}

// checkEvents returns what was wrong with the events; "" if nothing.
func checkEvents(ctx context.Context, service *client.Client, id string) string {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	var stdout, stderr string
	ended := false
	for event, err := range service.Watch(ctx, id) {
		if err != nil {
			return fmt.Sprintf("its events break off: %v", err)
		}
		switch event.Kind {
		case client.EventStdout:
			stdout += event.Text
		case client.EventStderr:
			stderr += event.Text
		case client.EventEnd:
			ended = true
			// A worker that dies loses output that is not yet in the record.
			if kept, keptErr := storedOutput(event.Job); event.Job.Code != client.CodeWorkerLost &&
				(kept != stdout || keptErr != stderr) {
				return fmt.Sprintf("its events have %q and %q, its record %q and %q", stdout, stderr, kept, keptErr)
			}
		case client.EventState:
		}
	}
	if !ended {
		return "its events have no end"
	}
	return ""
}

func storedOutput(j *client.Job) (stdout, stderr string) {
	if j.Stdout != nil {
		stdout = *j.Stdout
	}
	if j.Stderr != nil {
		stderr = *j.Stderr
	}
	return stdout, stderr
}
