package main

import (
	"fmt"
	"strconv"
	"time"

	"cellblock/client"
)

// limits parses the --limit flags.
func limits(given []string) (client.Limits, error) {
	var limits client.Limits
	named, err := pairs("--limit", given)
	if err != nil {
		return limits, err
	}
	for name, value := range named {
		var err error
		switch name {
		case "wall":
			limits.Wall, err = duration(value)
		case "cpu":
			limits.CPU, err = duration(value)
		case "memory":
			limits.MemoryMB, err = positive(value)
		case "processes":
			limits.Processes, err = whole(value)
		case "output":
			limits.OutputBytes, err = whole(value)
		default:
			err = fmt.Errorf("the limits are wall, cpu, memory, processes and output")
		}
		if err != nil {
			return limits, usagef("--limit %s=%s: %w", name, value, err)
		}
	}
	return limits, nil
}

// duration parses 5s, 500ms, or a number of seconds.
func duration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(seconds, 'f', -1, 64) + "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("it must be a time such as 5s or 500ms")
	}
	return d, nil
}

func positive(text string) (float64, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number > 0) {
		return 0, fmt.Errorf("it must be a number above 0")
	}
	return number, nil
}

func whole(text string) (int, error) {
	number, err := strconv.Atoi(text)
	if err != nil || number <= 0 {
		return 0, fmt.Errorf("it must be a whole number above 0")
	}
	return number, nil
}
