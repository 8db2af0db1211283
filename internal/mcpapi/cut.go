package mcpapi

import (
	"fmt"
	"unicode/utf8"
)

// cutMiddle returns text with its middle replaced by a note if it has more than limit bytes; rest is the path for
// read_file that has all of it, "" for none. The parts that stay are whole characters.
func cutMiddle(text string, limit int, jobID, rest string) (cut string, isCut bool) {
	if len(text) <= limit {
		return text, false
	}
	head, tail := limit*2/3, limit/3
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	from := len(text) - tail
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	note := fmt.Sprintf("\n[... %d of %d bytes left out here", from-head, len(text))
	if rest != "" {
		note += fmt.Sprintf(`; read them with read_file {"job_id": %q, "path": %q, "offset": %d}`, jobID, rest, head)
	}
	return text[:head] + note + " ...]\n" + text[from:], true
}

// cutEnd returns text with a note instead of its end if it has more than limit bytes. how is how to read the rest.
func cutEnd(text string, limit int, how string) string {
	if len(text) <= limit {
		return text
	}
	whole, _ := wholeRunes([]byte(text[:limit]))
	return fmt.Sprintf("%s\n[... %d bytes left out here%s ...]", whole, len(text)-len(whole), how)
}

// wholeRunes returns the part of data that has only whole characters, if data is a piece of UTF-8: it drops the rest of
// a character at the beginning, and the first part of one at the end. skipped is the number of bytes dropped at the
// beginning.
func wholeRunes(data []byte) (whole []byte, skipped int) {
	for skipped < len(data) && skipped < utf8.UTFMax-1 && !utf8.RuneStart(data[skipped]) {
		skipped++
	}
	data = data[skipped:]
	for back := 1; back < utf8.UTFMax && back <= len(data); back++ {
		if last := data[len(data)-back:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				data = data[:len(data)-back]
			}
			break
		}
	}
	return data, skipped
}
