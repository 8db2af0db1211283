package redisparts

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// prelude is Lua before each script. Behind it, KEYS and the keys of redis.call have the names of a single Redis.
//
// The last of the declared keys is the part's prefix itself. It never exists, and it is never the only key: so Redis
// answers TRYAGAIN, instead of running the script, while the slot moves, on either side (getNodeByQuery in its
// cluster.c). A script that has begun would end half way at the first key that is not there: Redis checks the keys that
// it computes one by one.
//
// Messages to one replica of the API are published in the slot: Redis sends others to each server of the cluster.
const prelude = `local KEYS, redis = (function(given, engine)
	local tag, keys = given[#given], {}
	for i = 1, #given - 1 do
		keys[i] = string.sub(given[i], #tag + 1)
	end
	if keys[1] == ":" then
		keys = {}
	end
	local others = {
		TIME = function(run) return run("TIME") end,
		PUBLISH = function(run, channel, message)
			if channel == "` + Everywhere + `" then
				return run("PUBLISH", channel, message)
			end
			return run("SPUBLISH", tag .. channel, message)
		end,
		RPOPLPUSH = function(run, from, to) return run("RPOPLPUSH", tag .. from, tag .. to) end,
	}
	for _, command in ipairs({"DEL", "EXISTS"}) do
		others[command] = function(run, ...)
			local names = {...}
			for i = 1, #names do
				names[i] = tag .. names[i]
			end
			return run(command, unpack(names))
		end
	end
	local function translated(run)
		return function(command, key, ...)
			local other = others[command]
			if other then
				return other(run, key, ...)
			end
			return run(command, tag .. key, ...)
		end
	end
	return keys, setmetatable({call = translated(engine.call), pcall = translated(engine.pcall)}, {__index = engine})
end)(KEYS, redis)
`

// Everywhere is the channel whose messages all servers of a cluster get. Few are sent.
const Everywhere = "cellblock:commands"

// shas are the SHA-1 of scripts with the prelude, by those without it, and by themselves: the client library uses the
// one that SCRIPT LOAD returned. They are the same in all parts.
var shas sync.Map

func shaOf(script string) string {
	sum := sha1.Sum([]byte(script)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// withPrelude returns a script with the prelude, and remembers its SHA-1.
func withPrelude(script string) string {
	text := prelude + script
	if _, known := shas.Load(shaOf(script)); !known {
		sha := shaOf(text)
		shas.Store(shaOf(script), sha)
		shas.Store(sha, sha)
	}
	return text
}

// noScriptError is Redis's answer for a script that it does not have: the caller sends the text then.
type noScriptError struct{}

func (noScriptError) Error() string { return "NOSCRIPT No matching script. Please use EVAL." }

// RedisError makes it an error of Redis to the client library.
func (noScriptError) RedisError() {}

// isScript reports whether a command runs a script.
func isScript(cmd redis.Cmder) bool { return cmd.Name() == "eval" || cmd.Name() == "evalsha" }

// translateScript returns the command that runs a script in a part: with the prelude, and with the prefix as its last
// key.
func translateScript(cmd redis.Cmder, prefix string) ([]any, error) {
	args := cmd.Args()
	text, ok := args[1].(string)
	n, isInt := args[2].(int)
	if !ok || !isInt {
		return nil, fmt.Errorf("redis: %q with a %T and a %T", cmd.Name(), args[1], args[2])
	}
	if cmd.Name() == "eval" {
		text = withPrelude(text)
	} else {
		sha, known := shas.Load(text)
		if !known {
			return nil, noScriptError{}
		}
		text, _ = sha.(string)
	}
	keys := args[3 : 3+n]
	sent := make([]any, 0, len(args)+2) //nolint:mnd // up to two keys more
	sent = append(sent, args[0], text, n+1)
	if n == 0 { // several keys, or a server to which the slot moves would run it
		sent[2] = 2
		sent = append(sent, prefix+":")
	}
	for _, key := range keys {
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("redis: a key of a script is a %T", key)
		}
		sent = append(sent, prefix+name)
	}
	sent = append(sent, prefix)
	return append(sent, args[3+n:]...), nil
}
