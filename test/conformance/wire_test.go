package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWire sends raw requests as old and odd clients write them.
func TestWire(t *testing.T) {
	t.Parallel()
	body := `{"script":"def main(): return 42"}`
	head := "Content-Type: application/json\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunks := fmt.Sprintf("%x;name=value\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n", len(body), body)
	for _, c := range []struct {
		id, request string
		proto       string
		// closes is whether the server closes the connection after the response.
		closes bool
	}{
		{"http10", "POST /execute HTTP/1.0\r\n" + head + length + "\r\n" + body, "HTTP/1.0", true},
		{
			"http10-keepalive", "POST /execute HTTP/1.0\r\nConnection: keep-alive\r\n" + head + length + "\r\n" + body,
			"HTTP/1.0", false,
		},
		{
			"chunked-ext-trailers",
			"POST /execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n" +
				head + "\r\n" +
				chunks, "HTTP/1.1", false,
		},
		// As in RFC 9112 (6.3), the chunks count and the length is ignored.
		{
			"cl-and-te",
			"POST /execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n" +
				head + "\r\n" +
				chunks, "HTTP/1.1", false,
		},
		{
			"bare-lf", strings.ReplaceAll("POST /execute HTTP/1.1\r\nHost: localhost\r\n"+head+length+"\r\n",
				"\r\n", "\n") + body,
			"HTTP/1.1", false,
		},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			connection, err := net.Dial("tcp", strings.TrimPrefix(defaultStack().URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			if err := connection.SetDeadline(time.Now().Add(clientBound)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(connection, c.request); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(connection)
			checkWire(t, reader, c.proto)
			if c.closes {
				if n, err := io.Copy(io.Discard, reader); n != 0 || err != nil {
					t.Errorf("%d bytes follow, %v", n, err)
				}
				return
			}
			// Send the same again, to check that nothing of the first is left over.
			if _, err := io.WriteString(connection, c.request); err != nil {
				t.Fatal(err)
			}
			checkWire(t, reader, c.proto)
		})
	}
}

func checkWire(t *testing.T, reader *bufio.Reader, proto string) {
	t.Helper()
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "status", response.StatusCode, http.StatusOK)
	checkEqual(t, "protocol", response.Proto, proto)
	if !strings.Contains(string(content), `"result":42,`) {
		t.Errorf("the answer is %.200s", content)
	}
}
