package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// peer is another service that runs Python behind HTTP, and is already running. Nothing here builds or fetches it.
type peer struct{ name, url, body string }

// placeholder stands for the script, as a JSON string, in a peer's body.
const placeholder = "SCRIPT"

// peers is the flag for them, which may be repeated.
type peers []peer

func (p *peers) String() string { return strconv.Itoa(len(*p)) }

func (p *peers) Set(text string) error {
	name, rest, _ := strings.Cut(text, " ")
	url, body, _ := strings.Cut(rest, " ")
	if !strings.HasPrefix(url, "http") || !strings.Contains(body, placeholder) {
		return errors.New(`it must be "NAME URL BODY", where BODY is JSON that contains ` + placeholder)
	}
	*p = append(*p, peer{name, url, body})
	return nil
}

// caller returns a function that sends the script once, whose answer must contain want.
func (p peer) caller(script, want string) caller {
	encoded, _ := json.Marshal(script) // a string always encodes
	body := strings.ReplaceAll(p.body, placeholder, string(encoded))
	client := &http.Client{Timeout: time.Minute}
	return func(ctx context.Context) (time.Duration, error) {
		took, status, answer, err := postJSON(ctx, client, p.url, []byte(body))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.name, err)
		}
		if status != http.StatusOK || !bytes.Contains(answer, []byte(want)) {
			err = fmt.Errorf("%s: %d, want %s: %.500s", p.name, status, want, answer)
		}
		return took, err
	}
}
