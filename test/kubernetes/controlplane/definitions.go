package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Define applies the CustomResourceDefinitions of other projects, and waits until their objects can be listed.
func (c *ControlPlane) Define(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	paths, err := c.tools.Definitions()
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, manifest := range Manifests(string(content)) {
			object, err := c.Client.Apply(ctx, "", manifest)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			names[object.Name()] = true
		}
	}
	return c.awaitDefinitions(ctx, names)
}

func (c *ControlPlane) awaitDefinitions(ctx context.Context, names map[string]bool) error {
	path := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	all, err := c.Client.Await(ctx, path, func(all []Object) bool {
		established := 0
		for _, definition := range all {
			if names[definition.Name()] && definition.Condition("Established") == "True" {
				established++
			}
		}
		return established == len(names)
	})
	for _, definition := range all {
		for _, version := range definition.Objects("spec", "versions") {
			path := fmt.Sprintf("/apis/%s/%s/%s", definition.Text("spec", "group"), version.Text("name"),
				definition.Text("spec", "names", "plural"))
			err = errors.Join(err, c.awaitStorage(ctx, path))
		}
	}
	return err
}

// awaitStorage polls until the API server can list a new kind: it refuses that at first, and announces nothing.
func (c *ControlPlane) awaitStorage(ctx context.Context, path string) error {
	for {
		_, err := c.Client.List(ctx, path)
		var refused *StatusError
		if !errors.As(err, &refused) || refused.Code != http.StatusTooManyRequests {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
