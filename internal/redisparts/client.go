package redisparts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// movingPatience is how long a command is sent again while its slot moves from one primary to another, unless its
	// context ends sooner.
	movingPatience = 15 * time.Second
	// firstPause and longestPause are between two attempts.
	firstPause, longestPause = 5 * time.Millisecond, 100 * time.Millisecond
)

// part is the client of one part. It has no connections: it sends what it has translated through the client of all.
type part struct {
	*redis.Client

	shared redis.UniversalClient
	prefix string
	// extra is how much longer than usual the client library waits for a command.
	extra time.Duration
	// route returns the part of an id; nil but for Parts.ByID.
	route func(id string) *part
}

func newPart(shared redis.UniversalClient, prefix string) *part {
	p := &part{shared: shared, prefix: prefix}
	p.connect()
	return p
}

// newRouter returns a client that sends each command to the part of the id in its key.
func newRouter(shared redis.UniversalClient, route func(id string) *part) *part {
	p := &part{shared: shared, route: route}
	p.connect()
	return p
}

// errNotConnected is never returned: no command of a part needs a connection of its own.
var errNotConnected = errors.New("redis: the client of a part has no connections")

func (p *part) connect() {
	p.Client = redis.NewClient(&redis.Options{
		Addr: "part", DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return nil, errNotConnected
		},
	})
	p.AddHook(hook{p})
}

// ForBytes returns a client for a command that transfers much: it waits longer by extra.
func (p *part) ForBytes(extra time.Duration) redis.UniversalClient {
	longer := &part{shared: p.shared, prefix: p.prefix, route: p.route, extra: extra}
	longer.connect()
	return longer
}

// Subscribe subscribes to channels in the slot of the part, or to Everywhere. See prelude.
func (p *part) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	if slices.Contains(channels, Everywhere) {
		return p.shared.Subscribe(ctx, channels...)
	}
	names := make([]string, len(channels))
	for i, channel := range channels {
		names[i] = p.prefix + channel
	}
	return p.shared.SSubscribe(ctx, names...)
}

// Close does nothing: the connections are those of the client of all parts.
func (p *part) Close() error { return nil }

// hook is the part where the client library would send commands.
type hook struct{ *part }

// DialHook changes nothing.
func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook sends a command.
func (h hook) ProcessHook(redis.ProcessHook) redis.ProcessHook { return h.process }

// ProcessPipelineHook sends several.
func (h hook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return h.processAll
}

// prefixOf returns the prefix of a key.
func (p *part) prefixOf(key string) (string, error) {
	if p.route == nil {
		return p.prefix, nil
	}
	id := idIn(key)
	if id == "" {
		return "", fmt.Errorf("redis: there is no id in the key %q", key)
	}
	return p.route(id).prefix, nil
}

// translate returns a command as it is sent. For a script that is another command than cmd.
func (p *part) translate(ctx context.Context, cmd redis.Cmder) (redis.Cmder, error) {
	switch {
	case isScript(cmd) && p.route == nil:
		args, err := translateScript(cmd, p.prefix)
		if err != nil {
			return nil, err
		}
		script := redis.NewCmd(ctx, args...)
		script.SetFirstKeyPos(3) //nolint:mnd // behind the name, the text and the number of keys
		return script, nil
	case cmd.Name() == "script" && len(cmd.Args()) == 3 && cmd.Args()[1] == "load":
		text, _ := cmd.Args()[2].(string)
		cmd.Args()[2] = withPrelude(text)
		return cmd, nil
	default:
		return cmd, rename(cmd, p.prefixOf)
	}
}

// adopt copies to cmd the reply to the command that was sent for it.
func (p *part) adopt(cmd, sent redis.Cmder) {
	if script, ok := sent.(*redis.Cmd); ok && sent != cmd {
		if own, ok := cmd.(*redis.Cmd); ok {
			own.SetVal(script.Val())
		}
	}
	cmd.SetErr(sent.Err())
	restore(cmd, p.prefix)
}

func (p *part) process(ctx context.Context, cmd redis.Cmder) error {
	sent, err := p.translate(ctx, cmd)
	if err != nil {
		cmd.SetErr(err)
		return err
	}
	err = p.whileMoving(ctx, func() error {
		if !p.needsNode(sent) {
			return p.shared.Process(ctx, sent)
		}
		node, err := p.node(ctx)
		if err != nil {
			sent.SetErr(err)
			return err
		}
		return node.Process(ctx, sent)
	})
	p.adopt(cmd, sent)
	return err
}

// needsNode reports whether the client of all parts does not know to which server to send a command, or does not wait
// long enough.
func (p *part) needsNode(cmd redis.Cmder) bool {
	return p.route == nil && (p.extra > 0 || cmd.Name() == "script" || keysOf[cmd.Name()] == none)
}

// node returns the client of the server that has the part now.
func (p *part) node(ctx context.Context) (*redis.Client, error) {
	var node *redis.Client
	switch shared := p.shared.(type) {
	case *redis.Client:
		node = shared
	case *redis.ClusterClient:
		var err error
		if node, err = shared.MasterForKey(ctx, p.prefix); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("redis: a %T has no servers", shared)
	}
	if p.extra > 0 {
		timeout := max(node.Options().ReadTimeout, node.Options().WriteTimeout)
		return node.WithTimeout(timeout + p.extra), nil
	}
	return node, nil
}

// whileMoving sends something again while its slot moves. It was not done then.
func (p *part) whileMoving(ctx context.Context, send func() error) error {
	started := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestPause) { //nolint:mnd // twice as long each time
		err := send()
		if !isMoving(err) || time.Since(started) > movingPatience {
			return err
		}
		if cluster, ok := p.shared.(*redis.ClusterClient); ok && redis.HasErrorPrefix(err, "MOVED") {
			cluster.ReloadState(ctx)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// isMoving reports whether a server has refused a command because the slot of its keys moves, or has moved.
func isMoving(err error) bool {
	if err == nil {
		return false
	}
	return slices.ContainsFunc([]string{"TRYAGAIN", "MOVED", "ASK "}, func(prefix string) bool {
		return redis.HasErrorPrefix(err, prefix)
	})
}

// processAll sends commands in one round trip.
func (p *part) processAll(ctx context.Context, cmds []redis.Cmder) error {
	send := p.sendMoving
	if cmds[0].Name() == "multi" { // the client of all puts these around the others again
		cmds, send = cmds[1:len(cmds)-1], p.sendTx
	}
	sent := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		var err error
		if sent[i], err = p.translate(ctx, cmd); err != nil {
			setErrors(cmds, err)
			return err
		}
	}
	if slices.ContainsFunc(sent, p.needsNode) {
		send = p.sendToNode
	}
	send(ctx, sent)
	for i, cmd := range cmds {
		p.adopt(cmd, sent[i])
	}
	return firstError(cmds)
}

// sendMoving sends commands, and those again whose slot moves.
func (p *part) sendMoving(ctx context.Context, cmds []redis.Cmder) {
	_ = p.whileMoving(ctx, func() error {
		exec(ctx, p.shared.Pipeline(), cmds)
		cmds = slices.DeleteFunc(slices.Clone(cmds), func(cmd redis.Cmder) bool { return !isMoving(cmd.Err()) })
		return firstError(cmds)
	})
}

// sendTx sends the commands of a transaction.
func (p *part) sendTx(ctx context.Context, cmds []redis.Cmder) {
	_ = p.whileMoving(ctx, func() error {
		exec(ctx, p.shared.TxPipeline(), cmds)
		return firstError(cmds)
	})
}

// sendToNode sends commands on one connection, and all of them again if the slot of one moves: WAIT is about the writes
// before it on its connection.
func (p *part) sendToNode(ctx context.Context, cmds []redis.Cmder) {
	_ = p.whileMoving(ctx, func() error {
		node, err := p.node(ctx)
		if err != nil {
			setErrors(cmds, err)
			return err
		}
		exec(ctx, node.Pipeline(), cmds)
		for _, cmd := range cmds {
			if isMoving(cmd.Err()) {
				return cmd.Err()
			}
		}
		return nil
	})
}

func exec(ctx context.Context, pipeline redis.Pipeliner, cmds []redis.Cmder) {
	for _, cmd := range cmds {
		_ = pipeline.Process(ctx, cmd) // it is queued
	}
	_, _ = pipeline.Exec(ctx) // each command has its error
}

func setErrors(cmds []redis.Cmder, err error) {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
}

// firstError returns the error of the first command that has one, as the client library does.
func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}
