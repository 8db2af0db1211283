// Package api is the HTTP contract: openapi.yaml, which is written by hand, and the types and routes generated from it.
package api

import _ "embed"

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml

// Document is openapi.yaml, the contract.
//
//go:embed openapi.yaml
var Document []byte
