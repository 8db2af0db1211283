package redisparts

import (
	"strconv"
	"strings"
)

const (
	// slots is the number of slots of a cluster.
	slots = 16384
	// homeTag is the tag of what concerns no job. It is longer than those of parts.
	homeTag = "home"
)

// prefix returns what precedes a key in the part with a tag. Only the first braces of a key decide its slot.
func prefix(tag string) string { return "{" + tag + "}" }

// tags returns n tags whose slots lie evenly: a cluster's primaries have ranges of slots of about the same size. The
// result depends on n only.
func tags(n int) []string {
	wanted, names := map[int]int{}, make([]string, n)
	for i := range n {
		wanted[(2*i+1)*slots/(2*n)] = i
	}
	for i := 0; len(wanted) > 0; i++ {
		// The number is in the tag, so programs with another number of parts cannot meet there.
		tag := strconv.Itoa(n) + "p" + strconv.FormatInt(int64(i), 36)
		if at, is := wanted[slotOf(tag)]; is {
			names[at] = tag
			delete(wanted, slotOf(tag))
		}
	}
	return names
}

// slotOf returns the slot of a hash tag: its CRC16 (XMODEM), as the specification of clusters has it.
func slotOf(tag string) int {
	crc := uint16(0)
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

// idIn returns the id in the braces of a key, "" if there is none.
func idIn(key string) string {
	_, after, _ := strings.Cut(key, "{")
	id, _, found := strings.Cut(after, "}")
	if !found {
		return ""
	}
	return id
}
