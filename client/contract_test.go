package client_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"cellblock/api"
	"cellblock/client"
)

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.FileBodyDecoder)
	goleak.VerifyTestMain(m)
}

const anID = "01981f3e-7c1a-7000-8000-000000000001"

// operation is the client's method for one operation of the contract, and a call of it.
type operation struct {
	method string
	call   func(ctx context.Context, c *client.Client) error
}

// operations has every operation of the contract, by its operationId.
var operations = map[string]operation{
	"execute": {"Run", func(ctx context.Context, c *client.Client) error {
		_, err := c.Run(ctx, client.Request{
			Script: "def main():\n    return 1\n", Args: map[string]any{"x": 1}, Stdin: "in",
			Env:    map[string]string{"A": "b"},
			Files:  []client.File{{Path: "a.txt", Content: []byte("a")}, {Path: "b.bin", Content: []byte{0xff, 0}}},
			Limits: client.Limits{Wall: 1e9, CPU: 5e8, MemoryMB: 64, Processes: 4, OutputBytes: 100}, Priority: "low",
			CallbackURL: "https://example.org/hook", InlineFiles: true, IdempotencyKey: "a key", StartWithin: 1500e6,
			Environment: "data-science", Labels: map[string]string{"customer": "42", "example.com/run": ""},
		})
		return err
	}},
	"listEnvironments": {"Environments", func(ctx context.Context, c *client.Client) error {
		_, err := c.Environments(ctx)
		return err
	}},
	"getWebhookSecret": {"WebhookSecret", func(ctx context.Context, c *client.Client) error {
		_, err := c.WebhookSecret(ctx, "acme", 2)
		return err
	}},
	"getUsage": {"Usage", func(ctx context.Context, c *client.Client) error {
		day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
		_, err := c.Usage(ctx, client.UsageOptions{
			From: day, To: day.AddDate(0, 0, 1), Tenant: "acme", ByLabel: true,
		})
		return err
	}},
	"getActivity": {"Activity", func(ctx context.Context, c *client.Client) error {
		_, err := c.Activity(ctx, "acme")
		return err
	}},
	"listWorkers": {"Workers", func(ctx context.Context, c *client.Client) error {
		_, err := c.Workers(ctx)
		return err
	}},
	"listJobs": {"List", func(ctx context.Context, c *client.Client) error {
		for _, err := range c.List(ctx, client.ListOptions{
			Status: api.JobStatusFailed, PageSize: 20, Code: client.CodeTimeout, Environment: "data-science",
			Labels: map[string]string{"customer": "42", "example.com/run": ""},
			Since:  time.Now().Add(-time.Hour), Until: time.Now(),
		}) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	"getJob": {"Get", func(ctx context.Context, c *client.Client) error {
		_, err := c.Get(ctx, anID, client.Hold(1e9), client.InlineFiles())
		return err
	}},
	"cancelJob": {"Cancel", func(ctx context.Context, c *client.Client) error {
		_,
			err := c.Cancel(ctx, anID)
		return err
	}},
	"getJobFile": {"File", func(ctx context.Context, c *client.Client) error {
		return drain(c.File(ctx, anID, "a b.csv"))
	}},
	"uploadFile": {"UploadFile", func(ctx context.Context, c *client.Client) error {
		_, err := c.UploadFile(ctx, client.Upload{Name: "a b.csv", MediaType: "text/csv", Content: []byte("a,b")})
		return err
	}},
	"getFile": {"DownloadFile", func(ctx context.Context, c *client.Client) error {
		return drain(c.DownloadFile(ctx, aFile))
	}},
	"deleteFile": {"DeleteFile", func(ctx context.Context, c *client.Client) error {
		return c.DeleteFile(ctx, aFile)
	}},
	"watchJob": {"Watch", func(ctx context.Context, c *client.Client) error {
		for _, err := range c.Watch(ctx, anID, client.After("1-0-0")) {
			return err
		}
		return errors.New("there was no event")
	}},
	"createBatch": {"SubmitBatch", func(ctx context.Context, c *client.Client) error {
		_, err := c.SubmitBatch(ctx, []client.Request{{Script: "def main(): pass"}},
			client.BatchOptions{IdempotencyKey: "a key"})
		return err
	}},
	"getBatch": {"GetBatch", func(ctx context.Context, c *client.Client) error {
		_, err := c.GetBatch(ctx, anID, client.Hold(1e9))
		return err
	}},
	"cancelBatch": {"CancelBatch", func(ctx context.Context, c *client.Client) error {
		_, err := c.CancelBatch(ctx, anID)
		return err
	}},
	"getBatchResults": {"BatchResults", func(ctx context.Context, c *client.Client) error {
		for _, err := range c.BatchResults(ctx, anID, client.ResultsOptions{After: 1, NoFollow: true}) {
			return err
		}
		return errors.New("there was no result")
	}},
	"createKey": {"CreateKey", func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateKey(ctx, client.KeyRequest{
			Tenant: "acme", Scopes: []string{"run", "read"}, Name: "back end", ExpiresIn: time.Hour,
			Limits: client.TenantLimits{
				Weight: 2, RequestsPerSecond: 0.5, Burst: 3, OpenJobs: 4, RunningJobs: 5, CPUPerDay: time.Hour,
				Largest: client.Limits{Wall: 1e9, MemoryMB: 64}, Environments: []string{"default"},
			},
		})
		return err
	}},
	"listKeys": {"Keys", func(ctx context.Context, c *client.Client) error {
		_, err := c.Keys(ctx, "acme")
		return err
	}},
	"revokeKey": {"RevokeKey", func(ctx context.Context, c *client.Client) error {
		_, err := c.RevokeKey(ctx, aKey)
		return err
	}},
	"rotateKey": {"RotateKey", func(ctx context.Context, c *client.Client) error {
		_, err := c.RotateKey(ctx, aKey, time.Hour)
		return err
	}},
	"getHealth":  {"Health", func(ctx context.Context, c *client.Client) error { return c.Health(ctx) }},
	"getReady":   {"Ready", func(ctx context.Context, c *client.Client) error { _, err := c.Ready(ctx); return err }},
	"getMetrics": {"Metrics", func(ctx context.Context, c *client.Client) error { return drain(c.Metrics(ctx)) }},
}

const (
	aFile = "f_3ouqk6zvwnq7xgy2r5hfjd4mza"
	aKey  = "k_7mzq3xw2pa"
)

// further are methods that do not stand for one operation.
var further = []string{"Submit", "Wait", "WaitBatch", "SubmitLines", "Close"}

func drain(body io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return err
}

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil // accept every address
	return doc
}

func TestEveryOperationHasAMethod(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, path := range contract(t).Paths.Map() {
		for _, operation := range path.Operations() {
			ids = append(ids, operation.OperationID)
		}
	}
	slices.Sort(ids)
	if known := slices.Sorted(maps.Keys(operations)); !slices.Equal(ids, known) {
		t.Errorf("the contract has the operations\n%v\nand the client\n%v", ids, known)
	}
	methods := slices.Clone(further)
	for _, operation := range operations {
		methods = append(methods, operation.method)
	}
	slices.Sort(methods)
	var has []string
	for method := range reflect.TypeFor[*client.Client]().Methods() {
		has = append(has, method.Name)
	}
	slices.Sort(has)
	if !slices.Equal(methods, has) {
		t.Errorf("the client has the methods\n%v\nand this test knows\n%v", has, methods)
	}
}

// TestRequestsAreTheContracts sends each operation's request, validates it against the contract, and answers with the
// contract's own example, which the client must be able to read.
func TestRequestsAreTheContracts(t *testing.T) {
	t.Parallel()
	doc := contract(t)
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	for id, operation := range operations {
		t.Run(id, func(t *testing.T) {
			var met atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				route, params, err := router.FindRoute(r)
				if err != nil {
					t.Errorf("%s %s: %v", r.Method, r.URL, err)
					return
				}
				if route.Operation.OperationID != id {
					t.Errorf("%s %s is %s", r.Method, r.URL, route.Operation.OperationID)
				}
				met.Store(true)
				checkRequest(t, r, route, params)
				answerLikeExample(t, w, doc, route.Operation)
			}))
			defer server.Close()
			c, err := client.New(server.URL, client.WithToken("a token"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := operation.call(t.Context(), c); err != nil {
				t.Error(err)
			}
			if !met.Load() {
				t.Error("no request was sent")
			}
		})
	}
}

func checkRequest(t *testing.T, r *http.Request, route *routers.Route, params map[string]string) {
	t.Helper()
	err := openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			MultiError: true,
			AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
				if got := r.Header.Get("Authorization"); got != "Bearer a token" {
					t.Errorf("Authorization is %q", got)
				}
				return nil
			},
		},
	})
	if err != nil {
		t.Errorf("the request is not what the contract says: %v", err)
	}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil {
			t.Errorf("the contract has no parameter %q", name)
		}
	}
}

// answerLikeExample answers an operation with the contract's example.
func answerLikeExample(t *testing.T, w http.ResponseWriter, doc *openapi3.T, operation *openapi3.Operation) {
	t.Helper()
	if operation.OperationID == "cancelBatch" { // has no example, but the same response as getBatch
		operation = doc.Paths.Find("/batches/{id}").Get
	}
	status, response := 200, operation.Responses.Status(200)
	for _, other := range []int{201, 202, 204} {
		if response == nil {
			status, response = other, operation.Responses.Status(other)
		}
	}
	if len(response.Value.Content) == 0 {
		w.WriteHeader(status)
	}
	for media, content := range response.Value.Content {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		names := slices.Sorted(maps.Keys(content.Examples))
		if len(names) == 0 {
			_, _ = io.WriteString(w, "content")
			return
		}
		example := content.Examples[names[0]].Value.Value
		if text, ok := example.(string); ok {
			_, _ = io.WriteString(w, text+"\n")
		} else if err := json.MarshalWrite(w, example); err != nil {
			t.Error(err)
		}
	}
}

// TestEveryCodeHasAConstant reads the constants from the source, since Go has no list of them at run time.
func TestEveryCodeHasAConstant(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, code := range contract(t).Components.Schemas["ErrorCode"].Value.Enum {
		codes = append(codes, code.(string))
	}
	generated := map[string]string{}
	for name, value := range constants(t, "../api/api.gen.go") {
		if literal, ok := value.(*ast.BasicLit); ok {
			generated[name], _ = strconv.Unquote(literal.Value)
		}
	}
	var has []string
	for name, value := range constants(t, "errors.go") {
		selector, ok := value.(*ast.SelectorExpr)
		if !strings.HasPrefix(name, "Code") || !ok {
			t.Errorf("%s is no code of the contract", name)
			continue
		}
		if selector.Sel.Name != "ErrorCode"+strings.TrimPrefix(name, "Code") {
			t.Errorf("%s is %s", name, selector.Sel.Name)
		}
		has = append(has, generated[selector.Sel.Name])
	}
	slices.Sort(codes)
	slices.Sort(has)
	if !slices.Equal(codes, has) {
		t.Errorf("the contract has the codes\n%v\nand the client\n%v", codes, has)
	}
}

// constants returns the constants of a file, with the expression of each.
func constants(t *testing.T, path string) map[string]ast.Expr {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]ast.Expr{}
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, spec := range general.Specs {
			value := spec.(*ast.ValueSpec)
			found[value.Names[0].Name] = value.Values[0]
		}
	}
	return found
}
