// Package mcpapi is Cellblock's MCP server: tools with which agents run Python and read what it left. It serves POST
// /mcp of the API, and `cellblock mcp` over standard input and output.
//
// It knows jobs by Service only. Local implements it in the API's process, on what internal/httpapi uses too; the
// command line implements it with the Go client.
//
// What a script produced is data: it goes into the content of an answer, never into a description, a tool's name, a
// header or the protocol itself.
package mcpapi
