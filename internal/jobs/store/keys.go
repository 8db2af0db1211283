package store

import (
	"crypto/sha256"
	"encoding/hex"

	"cellblock/internal/jobs"
	"cellblock/internal/redisparts"
)

// The keys of Redis. The keys of one job have the same part in braces, and so do those of one batch, those of the index
// and those of the workers. Scripts use keys of several of these groups, so in a Redis Cluster package redisparts puts
// the name of a slot before all of them.

// jobKey returns the key of a job's hash; the package comment lists its fields.
func jobKey(id string) string { return "cellblock:{" + id + "}:job" }

// inputsKey returns the key of a job's inputs, a string that exists until the job's end.
func inputsKey(id string) string { return "cellblock:{" + id + "}:inputs" }

// EventsKey returns the key of the stream of a watched job's output; see Watch.
func EventsKey(id string) string { return "cellblock:{" + id + "}:events" }

// IdempotencyKey returns the key of the idempotency record for a key of a tenant's. It contains a hash of both, so that
// it has a fixed length and clients cannot reach other keys of Redis. Keys of clients contain no NUL.
func IdempotencyKey(tenant jobs.Tenant, key string) string {
	if tenant != jobs.Operator { // whose records an earlier version may have stored
		key = "tenant\x00" + string(tenant) + "\x00" + key
	}
	sum := sha256.Sum256([]byte(key))
	return "cellblock:{" + hex.EncodeToString(sum[:]) + "}:idempotency"
}

// batchKeys returns the keys of a batch:
//
//	cellblock:{batch}:batch    hash: created_at, finished_at, total, ttl, tenant (the owner; missing for the
//	                           operator), idempotency (the key of the idempotency record, "" for none), the number
//	                           of ended items by state, and watched (Pub/Sub channels of the replicas that wait for
//	                           items, each after a space)
//	cellblock:{batch}:items    list of the job ids, by index
//	cellblock:{batch}:refused  hash: why an item was refused, by index
//	cellblock:{batch}:ended    sorted set of the ended items, scored by the order in which they ended
func batchKeys(id string) []string {
	prefix := "cellblock:{" + id + "}:"
	return []string{prefix + "batch", prefix + "items", prefix + "refused", prefix + "ended"}
}

// BatchKey returns the key of the ended items of a batch; see WatchBatch.
func BatchKey(id string) string { return batchKeys(id)[3] }

// The index of jobs. A job's record is in another slot, so record and index cannot change in one script. The index may
// therefore contain jobs that do not exist, but it never lacks one that does.
const (
	// openKey is a sorted set of the jobs that are not finalized, as openMember names them, scored by the time of the
	// reaper's next check (microseconds since 1970).
	openKey = "cellblock:{index}:open"
	// labelsKey is a sorted set of the labels of these jobs; see labelHash.
	labelsKey = "cellblock:{index}:labels"
	// tenantsKey is a set of the tenants that have or had jobs, but for the operator.
	tenantsKey = "cellblock:{index}:tenants"
	// openByTenantKey is a hash of how many of these jobs each tenant has but the operator. A field stays at 0 until
	// RecountTenants.
	openByTenantKey = "cellblock:{index}:open_by_tenant"
	// endedKey counts the jobs that have ended, for the drain rate; CountUsage adds to it.
	endedKey = "cellblock:{index}:ended"
	// webhooksKey is a sorted set of the ended jobs whose webhook is not finished, scored by the time of the reaper's
	// next check (microseconds since 1970).
	webhooksKey = "cellblock:{index}:webhooks"
)

// allKey returns the key of the sorted set of all jobs of a tenant whose record may still exist. All have score 0, so
// that it is sorted by id, which is by age.
func allKey(tenant jobs.Tenant) string {
	if tenant == jobs.Operator {
		return "cellblock:{index}:jobs"
	}
	return "cellblock:{index}:jobs:" + string(tenant)
}

// The workers. Each is named by its owner, a name that is unique to the process.
const (
	// workersKey is a sorted set of the workers, scored by when the heartbeat of each expires (milliseconds since
	// 1970).
	workersKey = "cellblock:workers"
	// heldKey is a hash of the jobs that each worker holds: ids separated by spaces.
	heldKey = "{" + workersKey + "}:held"
	// offersKey is a hash of what each worker takes, as storedOffer: the limits above which it takes no job, and its
	// environments.
	offersKey = "{" + workersKey + "}:limits"
	// environmentsKey is a sorted set of the versions of environments, "name hash", scored by when each is forgotten
	// (milliseconds since 1970), and descriptionsKey a hash of their descriptions, jobs.Environment as JSON.
	environmentsKey = "{" + workersKey + "}:environments"
	descriptionsKey = "{" + workersKey + "}:descriptions"
	// drainingKey is a set of the live workers that take no more jobs.
	drainingKey = "{" + workersKey + "}:draining"
	// fleetVersionKey counts the changes of what the workers take: workers that come or are removed, begin to drain, or
	// change their offer.
	fleetVersionKey = "{" + workersKey + "}:version"
)

// The files that clients uploaded. All are in one slot, so that the bound on their bytes holds.
const (
	// fileSizesKey is a hash of the bytes that count for each file, by id: numbers alone, which earlier versions read
	// too. fileBytesKey is their sum, and tenantFilesKey a hash of the sums by tenant. fileTenantsKey is a hash of the
	// tenants by the files' ids, without the operator's.
	fileSizesKey   = "cellblock:{files}:sizes"
	fileBytesKey   = "cellblock:{files}:bytes"
	tenantFilesKey = "cellblock:{files}:bytes_by_tenant"
	fileTenantsKey = "cellblock:{files}:tenants"
	// fileExpiriesKey is a sorted set of the same ids, scored by until when each counts (milliseconds since 1970).
	fileExpiriesKey = "cellblock:{files}:expiries"
)

// storedFileKey returns the key of a stored file's record, jobs.StoredFile as JSON; it expires with the file.
func storedFileKey(id string) string { return "cellblock:{files}:file:" + id }

const (
	// reaperKey is a string: the token of the reaper that has the lease.
	reaperKey = "cellblock:reaper"
	// writableKey is a string that is written to check whether Redis accepts writes.
	writableKey = "cellblock:writable"
	// allCommands is the Pub/Sub channel on which workers of earlier versions listen for commands.
	allCommands = redisparts.Everywhere
)

// CommandChannel returns the Pub/Sub channel of commands to a worker, for the jobs that it runs; see ParseCommand. Each
// has its own: on one channel, a command would be sent to the whole fleet.
func CommandChannel(owner string) string { return allCommands + ":" + owner }
