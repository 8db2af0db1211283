// Package redisparts spreads keys over the slots of a Redis Cluster, and owns their names there.
//
// A part is a set of keys that scripts may use together: all of them begin with one hash tag, so they lie in one slot.
// The client of a part translates the names of keys, so everything above it uses the names of a single Redis.
// docs/adr/0014-redis-cluster.md has the reasons.
//
//	Redis             cellblock:{index}:open
//	part with tag a7  {a7}cellblock:{index}:open
//
// What belongs to a job or a batch is in the part of its id. What concerns no job is in a part of its own, home.
package redisparts

import (
	"hash/fnv"

	"github.com/redis/go-redis/v9"
)

// Parts are the parts of the keys in one Redis or cluster. They share the connections of its client. It is safe for
// concurrent use.
type Parts struct {
	clients   []redis.UniversalClient
	home, any redis.UniversalClient
}

// Single returns the one part of a client whose keys have their own names: of a single Redis.
func Single(client redis.UniversalClient) Parts {
	return Parts{clients: []redis.UniversalClient{client}, home: client, any: client}
}

// New returns n parts of the keys that client reaches. Home is no part of them.
func New(client redis.UniversalClient, n int) Parts {
	p := Parts{clients: make([]redis.UniversalClient, n), home: newPart(client, prefix(homeTag))}
	byTag := make([]*part, n)
	for i, tag := range tags(n) {
		byTag[i] = newPart(client, prefix(tag))
		p.clients[i] = byTag[i]
	}
	p.any = newRouter(client, func(id string) *part { return byTag[indexOf(id, n)] })
	return p
}

// Len returns the number of parts.
func (p Parts) Len() int { return len(p.clients) }

// All returns the client of each part.
func (p Parts) All() []redis.UniversalClient { return p.clients }

// Of returns the client of the part of a job's or a batch's id, or another name that decides a part.
func (p Parts) Of(id string) redis.UniversalClient { return p.clients[p.Index(id)] }

// Index returns the number of the part of an id.
func (p Parts) Index(id string) int { return indexOf(id, len(p.clients)) }

// Servers returns the clients of all parts and of home, each once: together they are on all servers.
func (p Parts) Servers() []redis.UniversalClient {
	if p.home == p.clients[0] {
		return p.clients
	}
	return append([]redis.UniversalClient{p.home}, p.clients...)
}

// Home returns the client for what concerns no job.
func (p Parts) Home() redis.UniversalClient { return p.home }

// ByID returns a client for commands, and for pipelines of them, whose keys have an id in braces. Each goes to the part
// of that id. It runs no scripts.
func (p Parts) ByID() redis.UniversalClient { return p.any }

// Only returns one of the parts, as if there were no other. It has the same home.
func (p Parts) Only(i int) Parts {
	return Parts{clients: p.clients[i : i+1], home: p.home, any: p.clients[i]}
}

func indexOf(id string, n int) int {
	if n == 1 {
		return 0
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // it never fails
	return int(hash.Sum32() % uint32(n))
}
