package tenants

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// sendRaw sends a request whose header (lines that end with CRLF) no client would send, with the actor's key and a
// body.
func sendRaw(as *actor, header, body string) answer {
	if as.key != "" {
		header += "Authorization: Bearer " + as.key + "\r\n"
	}
	return exchangeRaw(as.url, header, body)
}

// exchangeRaw sends a header and a body as they are, with a length and the end of the header.
func exchangeRaw(url, header, body string) answer {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return answer{err: err}
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(sendTimeout))
	if !strings.Contains(header, "Host:") {
		header += "Host: localhost\r\n"
	}
	_, err = fmt.Fprintf(conn, "%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", header, len(body), body)
	if err != nil {
		return answer{err: err}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: string(content), err: err}
}
