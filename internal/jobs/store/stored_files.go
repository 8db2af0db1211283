package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// fileBlock is what a stored file counts at least, in bytes: files without content would fill Redis with records.
const fileBlock = 16 << 10

// countFunctions is Lua that changes which stored files count. All scripts that use it have these keys:
//
//	KEYS[1]  cellblock:{files}:sizes
//	KEYS[2]  cellblock:{files}:bytes
//	KEYS[3]  cellblock:{files}:expiries
const countFunctions = `
local by_tenant, tenants = "` + tenantFilesKey + `", "` + fileTenantsKey + `"
local function uncount(id)
	local bytes, tenant = redis.call("HGET", KEYS[1], id) or "0", redis.call("HGET", tenants, id)
	redis.call("DECRBY", KEYS[2], bytes)
	if tenant and redis.call("HINCRBY", by_tenant, tenant, -bytes) <= 0 then
		redis.call("HDEL", by_tenant, tenant)
	end
	if tenant then
		redis.call("HDEL", tenants, id)
	end
	redis.call("HDEL", KEYS[1], id)
	redis.call("ZREM", KEYS[3], id)
end
local function count(id, bytes, expires, tenant)
	if tenant ~= "" then
		redis.call("HINCRBY", by_tenant, tenant, bytes)
		redis.call("HSET", tenants, id, tenant)
	end
	redis.call("HSET", KEYS[1], id, bytes)
	redis.call("INCRBY", KEYS[2], bytes)
	redis.call("ZADD", KEYS[3], expires, id)
end
local function now()
	local time = redis.call("TIME")
	return time[1] * 1000 + math.floor(time[2] / 1000)
end
`

// reserveFileScript counts a file that is about to be uploaded, unless too many bytes count then. The files of a tenant
// other than the operator may have as many bytes as are still free, so that none keeps the others out.
//
//	KEYS     those of countFunctions
//	ARGV[1]  id
//	ARGV[2]  bytes
//	ARGV[3]  the bound on all bytes
//	ARGV[4]  for how many milliseconds it counts
//	ARGV[5]  tenant, "" for the operator
//	returns  1, or 0 if there is no space for it; the bytes that count for the tenant, and those that are free
var reserveFileScript = redis.NewScript(countFunctions + `
local now = now()
local expired = redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", now, "LIMIT", 0, 1000)
for _, id in ipairs(expired) do
	uncount(id)
end
local free = ARGV[3] - (redis.call("GET", KEYS[2]) or 0)
local own = ARGV[5] ~= "" and redis.call("HGET", by_tenant, ARGV[5]) or 0
if own + ARGV[2] > free then
	return {0, tonumber(own), free}
end
count(ARGV[1], ARGV[2], string.format("%.0f", now + ARGV[4]), ARGV[5])
return {1, 0, 0}`)

// FileSpace is the answer to ReserveFile.
type FileSpace struct {
	// Reserved reports whether there is space for the file.
	Reserved bool
	// If there is none, Own is how many bytes count for the tenant, 0 for the operator, and Free how many are left.
	Own, Free int64
}

// ReserveFile counts the bytes of a file that is about to be uploaded, for at most hold, unless more than limit bytes
// would count then, of all files together, or more for its tenant than are left.
func (s *Store) ReserveFile(
	ctx context.Context, file jobs.StoredFile, bytes, limit int64, hold time.Duration,
) (FileSpace, error) {
	reply, err := reserveFileScript.Run(ctx, s.parts.Home(), []string{fileSizesKey, fileBytesKey, fileExpiriesKey},
		file.ID, max(bytes, fileBlock), limit, hold.Milliseconds(), encodeTenant(file.Tenant)).Int64Slice()
	if err != nil {
		return FileSpace{}, fmt.Errorf("reserve space for a file: %w", err)
	}
	return FileSpace{Reserved: reply[0] == 1, Own: reply[1], Free: max(0, reply[2])}, nil
}

// createFileScript stores the record of a file that was uploaded.
//
//	KEYS     those of countFunctions, then cellblock:{files}:file:id
//	ARGV[1]  id
//	ARGV[2]  bytes
//	ARGV[3]  for how many milliseconds it can be used
//	ARGV[4]  for how many milliseconds it counts
//	ARGV[5]  the record
//	ARGV[6]  tenant, "" for the operator
//	returns  when the record expires, in milliseconds since 1970
var createFileScript = redis.NewScript(countFunctions + `
local now = now()
redis.call("SET", KEYS[4], ARGV[5], "PX", ARGV[3])
uncount(ARGV[1])
count(ARGV[1], ARGV[2], string.format("%.0f", now + ARGV[4]), ARGV[6])
return string.format("%.0f", now + ARGV[3])`)

// CreateFile stores the record of an uploaded file, which can be used for ttl, and counts its bytes for hold, which is
// longer, instead of those reserved for it. It returns when the file expires.
func (s *Store) CreateFile(ctx context.Context, file jobs.StoredFile, ttl, hold time.Duration) (time.Time, error) {
	if file.Tenant == "" {
		return time.Time{}, fmt.Errorf("store a file's record: %w", errNoTenant)
	}
	stored := file
	stored.Tenant = jobs.Tenant(encodeTenant(file.Tenant))
	encoded, err := json.Marshal(stored)
	if err != nil {
		return time.Time{}, fmt.Errorf("encode a stored file: %w", err)
	}
	expires, err := createFileScript.Run(ctx, s.parts.Home(),
		[]string{fileSizesKey, fileBytesKey, fileExpiriesKey, storedFileKey(file.ID)},
		file.ID, max(file.Size, fileBlock), ttl.Milliseconds(), hold.Milliseconds(), encoded,
		string(stored.Tenant)).Int64()
	if err != nil {
		return time.Time{}, fmt.Errorf("store a file's record: %w", err)
	}
	return time.UnixMilli(expires), nil
}

// deleteFileScript deletes the record of a file, and counts its bytes no longer.
//
//	KEYS     those of countFunctions, then cellblock:{files}:file:id
//	ARGV[1]  id
//	returns  1 if there was a record, else 0
var deleteFileScript = redis.NewScript(countFunctions + `
uncount(ARGV[1])
return redis.call("DEL", KEYS[4])`)

// DeleteFile deletes the record of a stored file that was read, or the reservation for one that is being uploaded, and
// reports whether there was a record.
func (s *Store) DeleteFile(ctx context.Context, file jobs.StoredFile) (bool, error) {
	deleted, err := deleteFileScript.Run(ctx, s.parts.Home(),
		[]string{fileSizesKey, fileBytesKey, fileExpiriesKey, storedFileKey(file.ID)}, file.ID).Int()
	if err != nil {
		return false, fmt.Errorf("delete a file's record: %w", err)
	}
	return deleted == 1, nil
}

// storedFileScript reads the record of a file.
//
//	KEYS[1]  cellblock:{files}:file:id
//	ARGV[1]  viewer
//	returns  the record; nil if there is no such file, or the viewer does not see it
var storedFileScript = redis.NewScript(seesFunction + `
local file = redis.call("GET", KEYS[1])
return file and sees(ARGV[1], cjson.decode(file).tenant) and file or nil`)

// StoredFile returns the record of a stored file, or a *jobs.Error with CodeNotFound.
func (s *Store) StoredFile(ctx context.Context, caller jobs.Caller, id string) (jobs.StoredFile, error) {
	var file jobs.StoredFile
	encoded, err := storedFileScript.Run(ctx, s.parts.Home(), []string{storedFileKey(id)}, viewerOf(caller)).Text()
	switch {
	case errors.Is(err, redis.Nil):
		return file, jobs.NotFound("file")
	case err != nil:
		return file, fmt.Errorf("read a file's record: %w", err)
	}
	if err := json.Unmarshal([]byte(encoded), &file); err != nil {
		return file, fmt.Errorf("decode a file's record: %w", err)
	}
	file.Tenant = decodeTenant(string(file.Tenant))
	return file, nil
}
