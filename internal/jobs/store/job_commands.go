package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Command is a request to the worker of a job. Its text is the name of its field in the record.
type Command string

// The commands; the record holds a command as well, since messages may be lost.
const (
	// CommandCancel asks to end the job.
	CommandCancel Command = "cancel"
	// CommandWatch asks to publish the job's output.
	CommandWatch Command = "watched"
)

// ParseCommand parses a message of CommandChannel: the command, a space and the id.
func ParseCommand(message string) (command Command, id string) {
	text, id, _ := strings.Cut(message, " ")
	return Command(text), id
}

// commandScript stores a command in the record of a job that has not ended, and publishes it if the job is running.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  id
//	ARGV[2]  command
//	ARGV[3]  cellblock:commands, the start of the channel's name
//	ARGV[4]  channel of the replica that watches the job, queued or running; "" for another command
//	ARGV[5]  viewer
//	returns  the state; nil if there is no such job, or the viewer does not see it
var commandScript = redis.NewScript(seesFunction + channelsFunctions + `
local job = redis.call("HMGET", KEYS[1], "state", "tenant", "owner")
local state = job[1]
if not state or not sees(ARGV[5], job[2]) then
	return nil
end
if ARGV[4] ~= "" and (state == "running" or state == "queued") then
	add_channel(KEYS[1], ARGV[4])
elseif state == "running" then
	redis.call("HSET", KEYS[1], ARGV[2], "1")
end
if state == "running" then
	local message = ARGV[2] .. " " .. ARGV[1]
	if redis.call("PUBLISH", ARGV[3] .. ":" .. (job[3] or ""), message) == 0 then
		redis.call("PUBLISH", ARGV[3], message) -- to a worker of an earlier version
	end
end
return state`)

func (s *Store) sendCommand(
	ctx context.Context, caller jobs.Caller, id string, command Command, channel string,
) (jobs.State, error) {
	state, err := commandScript.Run(ctx, s.of(id), []string{jobKey(id)},
		id, string(command), allCommands, channel, viewerOf(caller)).Text()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("job")
	}
	return jobs.State(state), err
}

// Cancel ends a queued job as cancelled, requests the end of a running one, and returns the resulting state. It
// returns a *jobs.Error with CodeNotFound if there is no such job.
func (s *Store) Cancel(ctx context.Context, caller jobs.Caller, id string) (jobs.State, error) {
	if state, err := s.State(ctx, caller, id); err != nil || state.Ended() {
		return state, err
	}
	failure := &jobs.Failure{Code: jobs.CodeCancelled, Message: "the job was cancelled before it started"}
	if cancelled, err := s.Withdraw(ctx, id, jobs.Outcome{Failure: failure}); err != nil {
		return "", err
	} else if cancelled {
		return jobs.StateCancelled, nil
	}
	state, err := s.sendCommand(ctx, caller, id, CommandCancel, "")
	if err != nil {
		return "", fmt.Errorf("cancel job %s: %w", id, err)
	}
	return state, nil
}

// Watch requests a job's output, from its start or from when its worker reads the request, and returns the job's
// state. From then on EventsKey is published on channel whenever there is more output or the state has changed. Watch
// returns a *jobs.Error with CodeNotFound if there is no such job.
func (s *Store) Watch(ctx context.Context, caller jobs.Caller, id, channel string) (jobs.State, error) {
	state, err := s.sendCommand(ctx, caller, id, CommandWatch, channel)
	if err != nil {
		return "", fmt.Errorf("watch job %s: %w", id, err)
	}
	return state, nil
}

// PendingCommands returns the stored commands for the jobs of a worker, in the format of CommandChannel's messages.
func (s *Store) PendingCommands(ctx context.Context, ids []string) ([]string, error) {
	pipeline := s.parts.ByID().Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	all := []Command{CommandCancel, CommandWatch}
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), string(CommandCancel), string(CommandWatch))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read the commands of %d jobs: %w", len(ids), err)
	}
	var commands []string
	for i, reply := range replies {
		for j, asked := range reply.Val() {
			if asked != nil {
				commands = append(commands, string(all[j])+" "+ids[i])
			}
		}
	}
	return commands, nil
}
