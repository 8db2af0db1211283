package controlplane

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
)

// The kinds of bodies that the API server distinguishes.
const (
	JSON       = "application/json"
	YAML       = "application/yaml"
	MergePatch = "application/merge-patch+json"
	applyPatch = "application/apply-patch+yaml"
)

// StatusError is an answer of the API server other than success.
type StatusError struct {
	// Code is the HTTP status.
	Code    int
	Reason  string
	Message string
}

// Error returns the reason and the message.
func (e *StatusError) Error() string { return fmt.Sprintf("%d %s: %s", e.Code, e.Reason, e.Message) }

// Client sends requests to the API server.
type Client struct {
	url  string
	http *http.Client
}

func newClient(url string, files certificates) (*Client, error) {
	authority, err := os.ReadFile(files.authority)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(files.client, files.clientKey)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("the authority has no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		ForceAttemptHTTP2: true,
	}
	return &Client{url: url, http: &http.Client{Transport: transport}}, nil
}

// send returns the body of a successful answer, and a *StatusError for another.
func (c *Client) send(ctx context.Context, method, path, kind string, body []byte) ([]byte, error) {
	response, err := c.do(ctx, method, path, kind, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// do returns a successful answer, whose body the caller closes.
func (c *Client) do(ctx context.Context, method, path, kind string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", JSON)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := c.http.Do(request)
	if err != nil || response.StatusCode < 300 {
		return response, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	failure := &StatusError{Code: response.StatusCode, Message: string(content)}
	var status struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	if json.Unmarshal(content, &status) == nil && status.Message != "" {
		failure.Reason, failure.Message = status.Reason, status.Message
	}
	return nil, failure
}

// Send sends a request and returns the object in the answer. The error for an answer other than success is a
// *StatusError.
func (c *Client) Send(ctx context.Context, method, path, kind, body string) (Object, error) {
	content, err := c.send(ctx, method, path, kind, []byte(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	var object Object
	if err := json.Unmarshal(content, &object); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return object, nil
}

// Get returns an object, or the list at a path.
func (c *Client) Get(ctx context.Context, path string) (Object, error) {
	return c.Send(ctx, http.MethodGet, path, "", "")
}

// List returns the objects at a path.
func (c *Client) List(ctx context.Context, path string) ([]Object, error) {
	list, err := c.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	return list.Objects("items"), nil
}

// Apply creates or changes an object on the server's side. It is refused if it has a field that its kind has not. The
// options are parameters of the request, such as "dryRun=All".
func (c *Client) Apply(ctx context.Context, namespace, manifest string, options ...string) (Object, error) {
	object, err := ParseObject(manifest)
	if err != nil {
		return nil, err
	}
	path, err := c.path(ctx, object, namespace)
	if err != nil {
		return nil, err
	}
	options = append(options, "fieldManager=test", "fieldValidation=Strict", "force=true")
	path += "/" + url.PathEscape(object.Name()) + "?" + strings.Join(options, "&")
	return c.Send(ctx, http.MethodPatch, path, applyPatch, manifest)
}

// path returns where objects of this kind are: in the given namespace, unless the object names another.
func (c *Client) path(ctx context.Context, object Object, namespace string) (string, error) {
	version, kind := object.Text("apiVersion"), object.Text("kind")
	root := "/apis/" + version
	if !strings.Contains(version, "/") {
		root = "/api/" + version
	}
	found, err := c.Get(ctx, root)
	if err != nil {
		return "", err
	}
	for _, resource := range found.Objects("resources") {
		name := resource.Text("name")
		if resource.Text("kind") != kind || strings.Contains(name, "/") {
			continue
		}
		if resource["namespaced"] != true {
			return root + "/" + name, nil
		}
		if own := object.Text("metadata", "namespace"); own != "" {
			namespace = own
		}
		return root + "/namespaces/" + namespace + "/" + name, nil
	}
	return "", fmt.Errorf("%s has no kind %s", version, kind)
}
