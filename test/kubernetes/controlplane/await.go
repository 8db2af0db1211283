package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Await lists the objects at a path, and watches them until they fit or ctx is done.
func (c *Client) Await(ctx context.Context, path string, fits func([]Object) bool) ([]Object, error) {
	for {
		objects, err := c.watch(ctx, path, fits)
		if err == nil {
			return objects, nil
		}
		// A watch ends when the API server closes it, or forgot the version that it began with.
		if ctx.Err() != nil || !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("await %s: %w, with %s", path, err, summary(objects))
		}
	}
}

// watch returns the objects and nil once they fit, and the last ones with the reason why the watch ended.
func (c *Client) watch(ctx context.Context, path string, fits func([]Object) bool) ([]Object, error) {
	list, err := c.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	known := map[string]Object{}
	for _, object := range list.Objects("items") {
		known[object.Text("metadata", "uid")] = object
	}
	since := list.Text("metadata", "resourceVersion")
	response, err := c.do(ctx, http.MethodGet, join(path, "watch=1&resourceVersion="+since), "", nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	events := jsontext.NewDecoder(response.Body)
	for {
		if objects := slices.Collect(maps.Values(known)); fits(objects) {
			return objects, nil
		}
		var event struct {
			Type   string `json:"type"`
			Object Object `json:"object"`
		}
		if err := json.UnmarshalDecode(events, &event); err != nil {
			return slices.Collect(maps.Values(known)), err
		}
		switch uid := event.Object.Text("metadata", "uid"); event.Type {
		case "ERROR":
			return nil, io.EOF
		case "DELETED":
			delete(known, uid)
		default:
			known[uid] = event.Object
		}
	}
}

func join(path, parameters string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameters
	}
	return path + "?" + parameters
}

// summary returns names and states.
func summary(objects []Object) string {
	var all strings.Builder
	for _, object := range objects {
		status, _ := json.Marshal(object.At("status"))
		fmt.Fprintf(&all, "\n%s %s", object.Name(), status)
	}
	return all.String()
}
