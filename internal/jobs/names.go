package jobs

import (
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// shortestPrefix is the number of characters from which the beginning of a name counts as a misspelling of it.
const shortestPrefix = 3

// Unknown returns the error for a name that is not among the known ones, with the nearest of them. kind is what the
// name stands for, in the singular ("field"); where is the object that contains it, "" for the request itself.
func Unknown(where, kind, name string, known []string) error {
	if where != "" {
		where = quoteName(where) + " has the "
	}
	quoted := make([]string, len(known))
	for i, each := range known {
		quoted[i] = strconv.Quote(each)
	}
	list := strings.Join(quoted, ", ")
	if last := len(quoted) - 1; last > 0 {
		list = strings.Join(quoted[:last], ", ") + " and " + quoted[last]
	}
	if near := nearest(name, known); near != "" {
		return Errorf(CodeInvalidRequest, "%sunknown %s %s; did you mean %q? The %ss are %s", where, kind,
			quoteName(name), near, kind, list)
	}
	return Errorf(CodeInvalidRequest, "%sunknown %s %s; the %ss are %s", where, kind, quoteName(name), kind, list)
}

// nearest returns the known name that was probably meant: one of the two is a prefix of the other, or they differ in
// at most a third of the characters. It returns "" if there is none.
func nearest(name string, known []string) string {
	name = strings.ToLower(name)
	if len(name) > maxQuoted {
		return ""
	}
	best, least := "", (len(name)+1)/3
	for _, each := range known {
		if len(name) >= shortestPrefix && (strings.HasPrefix(each, name) || strings.HasPrefix(name, each)) {
			return each
		}
		if distance := levenshtein.ComputeDistance(name, each); distance < least || distance == least && best == "" {
			best, least = each, distance
		}
	}
	return best
}

// maxQuoted is the maximum length of a name in a message, in bytes.
const maxQuoted = 64

// quoteName quotes a field's name for a message, cut to a readable length.
func quoteName(name string) string {
	if len(name) > maxQuoted {
		name = strings.ToValidUTF8(name[:maxQuoted], "") + "…"
	}
	return strconv.Quote(name)
}
