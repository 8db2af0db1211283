package wire

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxControlBytes is the most bytes of a message on the control socket.
const maxControlBytes = 4096

// ControlMessage is a message of a zygote or supervisor: a word, the number of a fork, and further numbers, up to the
// first other word.
type ControlMessage struct {
	Word string
	// Fork is the number of the fork that the message is about; 0 for the zygote itself.
	Fork    int
	Numbers []int64
	// Text is the whole message.
	Text string
	// Files are the descriptors that came with it; its receiver owns them.
	Files []int
	// Sender is the process id of the writer, from the kernel (SCM_CREDENTIALS).
	Sender int
}

// CloseFiles closes the descriptors that came with the message.
func (m ControlMessage) CloseFiles() {
	for _, fd := range m.Files {
		_ = unix.Close(fd)
	}
}

// ReadControl reads one message from a control or status socket, with its descriptors, which the caller must close. It
// returns io.EOF if the other end is closed.
func ReadControl(conn *net.UnixConn) (ControlMessage, error) {
	text := make([]byte, maxControlBytes)
	control := make([]byte, unix.CmsgSpace(4*4)+unix.CmsgSpace(unix.SizeofUcred))
	n, controlled, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		return ControlMessage{}, err
	}
	if n == 0 {
		return ControlMessage{}, io.EOF
	}
	m := ControlMessage{Text: string(text[:n])}
	if messages, err := unix.ParseSocketControlMessage(control[:controlled]); err == nil {
		for _, part := range messages {
			if fds, err := unix.ParseUnixRights(&part); err == nil {
				m.Files = append(m.Files, fds...)
			}
			if credentials, err := unix.ParseUnixCredentials(&part); err == nil {
				m.Sender = int(credentials.Pid)
			}
		}
	}
	fields := strings.Fields(m.Text)
	if len(fields) == 0 {
		return m, nil
	}
	m.Word = fields[0]
	m.Fork, m.Numbers = numbersOf(fields[1:])
	return m, nil
}

// numbersOf returns the number of the fork and the numbers after it, up to the first other word.
func numbersOf(fields []string) (fork int, rest []int64) {
	for i, field := range fields {
		number, err := strconv.ParseInt(field, 10, 64)
		switch {
		case err != nil:
			return fork, rest
		case i == 0:
			fork = int(number)
		default:
			rest = append(rest, number)
		}
	}
	return fork, rest
}

// Socketpair returns a connected pair of unix sockets of the given kind (unix.SOCK_STREAM or unix.SOCK_SEQPACKET),
// which the caller must close. With credentials, messages read from the outer end carry the sender's process id.
func Socketpair(kind int, credentials bool) (outer *net.UnixConn, inner *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	own := os.NewFile(uintptr(fds[0]), "outer")
	defer own.Close() // net.FileConn duplicates it
	inner = os.NewFile(uintptr(fds[1]), "inner")
	if credentials {
		if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			_ = inner.Close()
			return nil, nil, err
		}
	}
	conn, err := net.FileConn(own)
	if err != nil {
		_ = inner.Close()
		return nil, nil, err
	}
	outer, ok := conn.(*net.UnixConn)
	if !ok {
		_ = inner.Close()
		return nil, nil, fmt.Errorf("a unix socket became a %T", conn)
	}
	return outer, inner, nil
}
