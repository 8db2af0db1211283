package store

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// mergedIndex is the indexes of several tenants' jobs as one, the newest job first.
type mergedIndex struct {
	indexes []*tenantIndex
}

// tenantIndex is the part of one tenant's index that was read. The index is the members of a sorted set that begin with
// a prefix, without it: ids, of which those from low to below high have not been read.
type tenantIndex struct {
	client      redis.UniversalClient
	key, prefix string
	low, high   string
	// ids are those that next has not returned yet.
	ids []string
	// isOver reports that there are no more.
	isOver bool
}

// leastRead is the least number of ids to read from an index at once.
const leastRead = 4

// next returns the next n ids; fewer at the end.
func (m *mergedIndex) next(ctx context.Context, n int) ([]string, error) {
	if len(m.indexes) == 0 {
		return nil, nil
	}
	// At first a few of each of many indexes: the newest jobs of all may be those of one.
	if err := m.read(ctx, m.indexes, max(leastRead, n/len(m.indexes))); err != nil {
		return nil, err
	}
	var ids []string
	for len(ids) < n {
		newest := m.newest()
		if newest == nil {
			break
		}
		ids = append(ids, newest.ids[0])
		newest.ids = newest.ids[1:]
		if err := m.read(ctx, []*tenantIndex{newest}, n-len(ids)); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// newest returns the index with the newest id; nil at the end.
func (m *mergedIndex) newest() (newest *tenantIndex) {
	for _, index := range m.indexes {
		if len(index.ids) > 0 && (newest == nil || index.ids[0] > newest.ids[0]) {
			newest = index
		}
	}
	return newest
}

// read reads up to n ids of each index of which there are none left.
func (m *mergedIndex) read(ctx context.Context, indexes []*tenantIndex, n int) error {
	all := pipelines{}
	replies := map[*tenantIndex]*redis.StringSliceCmd{}
	for _, index := range indexes {
		if n <= 0 || len(index.ids) > 0 || index.isOver {
			continue
		}
		replies[index] = all.of(index.client).ZRevRangeByLex(ctx, index.key, &redis.ZRangeBy{
			Min: "[" + index.prefix + index.low, Max: "(" + index.prefix + index.high, Count: int64(n),
		})
	}
	if len(replies) == 0 {
		return nil
	}
	if err := all.exec(ctx); err != nil {
		return err
	}
	for index, reply := range replies {
		index.ids = reply.Val()
		for i, member := range index.ids {
			index.ids[i] = strings.TrimPrefix(member, index.prefix)
		}
		index.isOver = len(index.ids) < n
		if !index.isOver {
			index.high = index.ids[len(index.ids)-1]
		}
	}
	return nil
}
