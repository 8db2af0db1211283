package tenants

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// randomBits is how many bits of a job's id an attacker must guess who knows the time of the job to a quarter of a
// microsecond: a UUID of version 7 has 48 bits of milliseconds and here 12 bits of their fraction, the version and the
// variant, and 62 random bits. The ids of stored files have 130 random bits.
const randomBits = 62

func guessAttempts() []attempt {
	return []attempt{
		{name: "guess/neighbours_of_a_job", try: func(_ *testing.T, as *actor) string {
			return tryGuesses(as, "/jobs/", neighbours(world.owned.ended))
		}, control: func(*testing.T) string { return tryGuesses(world.acme, "/jobs/", []string{world.owned.ended}) }},
		{name: "guess/neighbours_of_a_batch", try: func(_ *testing.T, as *actor) string {
			return tryGuesses(as, "/batches/", neighbours(world.owned.batch))
		}, control: func(*testing.T) string {
			return tryGuesses(world.acme, "/batches/", []string{world.owned.batch})
		}},
		{name: "guess/bits_that_stay_the_same", try: func(t *testing.T, as *actor) string {
			return constantBits(idsOfBatch(t, as), 128-randomBits, 128)
		}, control: func(t *testing.T) string {
			return constantBits(idsOfBatch(t, world.operator), 0, 128-randomBits) // the time, version and variant
		}},
	}
}

// neighbours returns ids near one: before, after, and with single bits changed.
func neighbours(id string) (all []string) {
	number, _ := new(big.Int).SetString(strings.ReplaceAll(id, "-", ""), 16)
	add := func(to *big.Int) {
		text := fmt.Sprintf("%032x", to)
		all = append(all, text[:8]+"-"+text[8:12]+"-"+text[12:16]+"-"+text[16:20]+"-"+text[20:])
	}
	for bit := range uint(128) {
		add(new(big.Int).Xor(number, new(big.Int).Lsh(big.NewInt(1), bit)))
	}
	for step := int64(1); step <= 50; step++ {
		add(new(big.Int).Add(number, big.NewInt(step)))
		add(new(big.Int).Sub(number, big.NewInt(step)))
	}
	return all
}

// tryGuesses reads what has one of the ids.
func tryGuesses(as *actor, path string, ids []string) string {
	for _, id := range ids {
		if got := as.send(request{method: "GET", path: path + id}); got.status != 404 {
			return id + ": " + got.String()
		}
	}
	return ""
}

// idsOfBatch returns the ids of a hundred jobs that were made at once.
func idsOfBatch(t *testing.T, as *actor) (ids []string) {
	const n = 100
	got := as.send(request{
		method: "POST", path: "/batches", headers: ndjson, body: strings.Repeat(waitingBody+"\n", n),
	})
	members, _ := got.object()["members"].([]any)
	for _, member := range members {
		fields, _ := member.(map[string]any)
		id, _ := fields["job_id"].(string)
		ids = append(ids, id)
	}
	as.send(request{method: "DELETE", path: "/batches/" + got.text("batch_id")})
	if len(ids) != n {
		t.Fatal(got)
	}
	return ids
}

// constantBits returns which of the bits from low to below high, counted from the left, are the same in all ids, or
// nearly so: each is expected in half of them, and outside of 20 to 80 of a hundred once in a billion.
func constantBits(ids []string, low, high int) string {
	counts := make([]int, 128)
	for _, id := range ids {
		bytes, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil || len(bytes) != 16 {
			return "no UUID: " + id
		}
		for bit := range counts {
			counts[bit] += int(bytes[bit/8] >> (7 - bit%8) & 1)
		}
	}
	for bit := low; bit < high; bit++ {
		if counts[bit] < 20 || counts[bit] > 80 {
			return fmt.Sprintf("bit %d is 1 in %d of %d ids", bit, counts[bit], len(ids))
		}
	}
	return ""
}
