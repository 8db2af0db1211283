package redisparts

import (
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// keyArgs is which arguments of a command are keys.
type keyArgs int

const (
	first keyArgs = iota + 1
	firstTwo
	all
	allButLast
	none
)

// keysOf is which arguments of the commands that a part knows are keys. A command that is missing here is refused: its
// keys would be those of another part, or of none.
var keysOf = map[string]keyArgs{
	"blpop": allButLast,
	"del":   all, "exists": all, "unlink": all,
	"rpoplpush": firstTwo,
	"info":      none, "ping": none, "time": none, "wait": none,
	"expire": first, "pexpire": first, "persist": first, "pttl": first, "ttl": first, "type": first,
	"get": first, "set": first, "strlen": first, "incr": first, "incrby": first,
	"hdel": first, "hexists": first, "hget": first, "hgetall": first, "hlen": first, "hmget": first, "hset": first,
	"hincrby": first,
	"lindex":  first, "llen": first, "lpop": first, "lpush": first, "lrange": first, "lrem": first, "rpush": first,
	"sadd": first, "scard": first, "sismember": first, "smembers": first, "srem": first,
	"xadd": first, "xlen": first, "xrange": first,
	"zadd": first, "zcard": first, "zlexcount": first, "zrange": first, "zrangebylex": first, "zrangebyscore": first,
	"zrem": first, "zrevrangebylex": first, "zscore": first,
}

// rename puts a prefix before each key of a command, once.
func rename(cmd redis.Cmder, prefixOf func(key string) (string, error)) error {
	args := cmd.Args()
	which, known := keysOf[cmd.Name()]
	from, to := 1, len(args)
	switch {
	case !known:
		return fmt.Errorf("redis: the keys of %q are not known, so it cannot be sent to one part", cmd.Name())
	case which == none:
		return nil
	case which == first:
		to = min(to, 2) //nolint:mnd // behind the command and its key
	case which == firstTwo:
		to = min(to, 3) //nolint:mnd // and its second key
	case which == allButLast:
		to--
	}
	for i := from; i < to; i++ {
		key, ok := args[i].(string)
		if !ok {
			return fmt.Errorf("redis: a key of %q is a %T", cmd.Name(), args[i])
		}
		prefix, err := prefixOf(key)
		if err != nil {
			return err
		}
		args[i] = prefix + key
	}
	return nil
}

// restore takes the prefix off the keys in a reply.
func restore(cmd redis.Cmder, prefix string) {
	if popped, ok := cmd.(*redis.StringSliceCmd); ok && cmd.Name() == "blpop" && len(popped.Val()) > 0 {
		values := popped.Val()
		values[0] = strings.TrimPrefix(values[0], prefix)
	}
}
