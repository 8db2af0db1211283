package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// row is one line of the table: a figure before and after.
type row struct {
	What  string  `json:"what"`
	Begin float64 `json:"begin"`
	End   float64 `json:"end"`
	// Bound is the highest permitted End.
	Bound float64 `json:"bound"`
	Grew  bool    `json:"grew"`
	unit  string
}

// compare returns the table for two samples; nil if begin is nil.
func compare(begin, end sample) []row {
	if begin == nil {
		return nil
	}
	var rows []row
	for _, f := range figures {
		bound := begin[f.name]*(1+f.share) + f.slack
		rows = append(rows, row{
			What: f.name, Begin: begin[f.name], End: end[f.name], Bound: bound, Grew: end[f.name] > bound, unit: f.unit,
		})
	}
	return rows
}

// summary counts the outcomes of the jobs.
type summary struct {
	Accepted int `json:"accepted"`
	Ran      int `json:"ran"`
	// Each of these breaks a promise.
	Twice    int `json:"ran_twice"`
	Endless  int `json:"without_end"`
	Swapped  int `json:"swapped"`
	Wrong    int `json:"wrong_end"`
	Answers  int `json:"wrong_answers"`
	Unproved int `json:"kinds_without_their_end"`
	// WorkerLost counts jobs whose worker was killed, Late those of other kinds that the short wall
	// limit ended on a busy machine.
	WorkerLost int            `json:"worker_lost"`
	Late       int            `json:"late"`
	ByKind     map[string]int `json:"by_kind"`
}

// maxLateShare is the largest share of jobs that may exceed the wall limit unintentionally: above it
// the others prove little.
const maxLateShare = 0.2

// verify compares every job with the expectations of its kind. ran is how often each wrote its line.
func (l *load) verify(ran map[int]int) summary {
	t := summary{ByKind: map[string]int{}, Ran: len(ran)}
	proved := map[*kind]bool{}
	for _, j := range l.jobs {
		t.ByKind[j.kind.name]++
		if ran[j.number] > 1 {
			t.Twice++
			fmt.Printf("job %d (%s, %s) ran %d times, ended as %q\n", j.number, j.id, j.kind.name,
				ran[j.number], j.code)
		}
		if j.problem != "" {
			t.Answers++
			fmt.Printf("job %d (%s, %s): %s\n", j.number, j.id, j.kind.name, j.problem)
		}
		if j.id != "" {
			t.Accepted++
			t.addEnd(j, ran[j.number], proved)
		}
	}
	for _, k := range kinds {
		if !proved[k] && t.ByKind[k.name] >= 20 {
			t.Unproved++
			fmt.Printf("no job of the kind %q ended as it should\n", k.name)
		}
	}
	t.Answers += l.webhooks.invalidMessages()
	return t
}

// addEnd adds an accepted job's end to the tally.
func (t *summary) addEnd(j *job, ran int, proved map[*kind]bool) {
	fits := slices.Contains(j.kind.codes, j.code) || j.cancelled && j.code == "cancelled"
	switch {
	case !j.ended:
		t.Endless++
		fmt.Printf("job %d (%s, %s) has no end\n", j.number, j.id, j.kind.name)
	case j.code == "worker_lost":
		t.WorkerLost++
	case j.kind.act == actAbandon && (j.code == "cancelled" || j.code == "unavailable") && ran > 0:
		t.Wrong++
		fmt.Printf("job %d (%s, %s) was withdrawn and ran all the same\n", j.number, j.id, j.kind.name)
	case !fits && j.code == "timeout":
		t.Late++
	case !fits:
		t.Wrong++
		fmt.Printf("job %d (%s, %s) ended as %q\n", j.number, j.id, j.kind.name, j.code)
	case j.code == "" && (ran == 0 || strings.TrimRight(unquoted(j.result), " ") != "job "+strconv.Itoa(j.number)):
		t.Swapped++
		fmt.Printf("job %d (%s, %s) ran %d times and has the result %.100s\n", j.number, j.id,
			j.kind.name, ran, j.result)
	case j.code == j.kind.codes[0]:
		proved[j.kind] = true
	}
}

func unquoted(text string) string {
	if plain, err := strconv.Unquote(text); err == nil {
		return plain
	}
	return text
}

// brokenPromises returns the number of broken promises.
func (t *summary) brokenPromises() int {
	n := t.Twice + t.Endless + t.Swapped + t.Wrong + t.Answers + t.Unproved
	if float64(t.Late) > maxLateShare*float64(t.Accepted) {
		n += t.Late
	}
	return n
}
