// Package tinyinit assembles the program that runs as pid 1 of a warm sandbox.
//
// Signals work differently for the first process of a pid namespace: it ignores SIGKILL, SIGTERM
// and SIGALRM that it sends itself, and its abort shows as a segfault (pid_namespaces(7)). So user
// code must not run in it. A second fork of the loaded interpreter would cost 7 ms of CPU time;
// this program starts in less than 1 ms. It drops all capabilities, lets the kernel reap orphans,
// and waits to be killed:
//
//	capset(nothing); prctl(PR_SET_NO_NEW_PRIVS); sigaction(SIGCHLD, SIG_IGN);
//	for (;;) pause();
//
// It keeps the user id of the zygote, which no job has: the zygote can kill it, and a job can
// neither trace nor read it.
//
// It is a few dozen instructions without a libc, assembled here: neither Go nor Python can produce a program that
// small, and Cellblock builds without a C compiler. amd64.lst and arm64.lst list them, each with its bytes and its
// meaning. If a call fails, the program exits with its position (1, 2 or 3) as the status, and the sandbox ends with
// it.
package tinyinit

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Layout of the image: the ELF header, one program header, the data for two of the calls, then the
// code. Everything is mapped read-only and executable.
const (
	baseAddress = 0x400000
	headerSize  = 64
	programSize = 56
	dataOffset  = headerSize + programSize
	codeOffset  = dataOffset + 64
)

// Addresses of the data: struct __user_cap_header_struct and two empty struct
// __user_cap_data_struct (capset(2)), and a struct sigaction that ignores the signal.
const (
	capHeaderAddress = baseAddress + dataOffset
	capDataAddress   = capHeaderAddress + 8
	sigactionAddress = capDataAddress + 24
	capVersion3      = 0x20080522
	sigIgn           = 1
	sigsetSize       = 8
)

// Image returns the program as an ELF executable for arch ("amd64" or "arm64").
func Image(arch string) ([]byte, error) {
	var code []byte
	var machine uint16
	switch arch {
	case "amd64":
		code, machine = assembleAMD64(), 62 // EM_X86_64
	case "arm64":
		code, machine = assembleARM64(), 183 // EM_AARCH64
	default:
		return nil, fmt.Errorf("no init program for %q", arch)
	}
	image := make([]byte, codeOffset, codeOffset+len(code))
	putHeaders(image, machine, codeOffset+len(code))
	binary.LittleEndian.PutUint32(image[dataOffset:], capVersion3)
	binary.LittleEndian.PutUint64(image[sigactionAddress-baseAddress:], sigIgn)
	return append(image, code...), nil
}

// putHeaders writes Elf64_Ehdr and Elf64_Phdr (elf(5)).
func putHeaders(image []byte, machine uint16, size int) {
	le := binary.LittleEndian
	copy(image, "\x7fELF\x02\x01\x01") // 64 bits, little-endian, version 1
	le.PutUint16(image[16:], 2)        // ET_EXEC
	le.PutUint16(image[18:], machine)
	le.PutUint32(image[20:], 1)
	le.PutUint64(image[24:], baseAddress+codeOffset) // entry
	le.PutUint64(image[32:], headerSize)             // program headers
	le.PutUint16(image[52:], headerSize)
	le.PutUint16(image[54:], programSize)
	le.PutUint16(image[56:], 1)
	program := image[headerSize:]
	le.PutUint32(program, 1)     // PT_LOAD
	le.PutUint32(program[4:], 5) // read, execute
	le.PutUint64(program[16:], baseAddress)
	le.PutUint64(program[24:], baseAddress)
	le.PutUint64(program[32:], uint64(size))
	le.PutUint64(program[40:], uint64(size))
	le.PutUint64(program[48:], 0x1000)
}

// setupCall is one system call.
type setupCall struct {
	number uint32
	args   [5]uint32
}

// numbers are the call numbers of one architecture.
type numbers struct{ capset, prctl, sigaction uint32 }

// setupCalls returns the calls before the wait.
func setupCalls(n numbers) []setupCall {
	return []setupCall{
		{n.capset, [5]uint32{capHeaderAddress, capDataAddress}},
		{n.prctl, [5]uint32{unix.PR_SET_NO_NEW_PRIVS, 1}},
		{n.sigaction, [5]uint32{uint32(unix.SIGCHLD), sigactionAddress, 0, sigsetSize}},
	}
}

// assembleAMD64 uses the kernel's calling convention: number in eax, arguments in edi, esi, edx,
// r10d, r8d (syscall(2)).
func assembleAMD64() []byte {
	le := binary.LittleEndian
	var code []byte
	load := func(opcode []byte, value uint32) { code = le.AppendUint32(append(code, opcode...), value) }
	call := func(s setupCall) {
		load([]byte{0xb8}, s.number)        // mov eax, imm32
		load([]byte{0xbf}, s.args[0])       // mov edi, imm32
		load([]byte{0xbe}, s.args[1])       // mov esi, imm32
		load([]byte{0xba}, s.args[2])       // mov edx, imm32
		load([]byte{0x41, 0xba}, s.args[3]) // mov r10d, imm32
		load([]byte{0x41, 0xb8}, s.args[4]) // mov r8d, imm32
		code = append(code, 0x0f, 0x05)     // syscall
	}
	for i, s := range setupCalls(numbers{126, 157, 13}) {
		call(s)
		code = append(code, 0x85, 0xc0) // test eax, eax
		exit := exitAMD64(byte(i + 1))
		code = append(code, 0x74, byte(len(exit))) // je over the exit
		code = append(code, exit...)
	}
	// pause, for ever
	loop := len(code)
	load([]byte{0xb8}, 34)          // mov eax, pause
	code = append(code, 0x0f, 0x05) // syscall
	back := loop - (len(code) + 2)
	return append(code, 0xeb, byte(int8(back)))
}

func exitAMD64(status byte) []byte {
	code := []byte{0xbf, status, 0, 0, 0}   // mov edi, status
	code = append(code, 0xb8, 231, 0, 0, 0) // mov eax, exit_group
	return append(code, 0x0f, 0x05)         // syscall
}

// assembleARM64 uses the kernel's calling convention: number in x8, arguments in x0 to x4
// (syscall(2)).
func assembleARM64() []byte {
	le := binary.LittleEndian
	var code []byte
	emit := func(instruction uint32) { code = le.AppendUint32(code, instruction) }
	load := func(register, value uint32) {
		emit(0xd2800000 | (value&0xffff)<<5 | register) // movz x, low half
		emit(0xf2a00000 | (value>>16)<<5 | register)    // movk x, high half, lsl 16
	}
	call := func(number uint32, args ...uint32) {
		for i, arg := range args {
			load(uint32(i), arg)
		}
		load(8, number)
		emit(0xd4000001) // svc 0
	}
	for i, s := range setupCalls(numbers{91, 167, 134}) {
		call(s.number, s.args[:]...)
		const exitInstructions = 5
		emit(0xb4000000 | (exitInstructions+1)<<5) // cbz x0, over the exit
		call(94, uint32(i+1))
	}
	// ppoll(nothing, 0, for ever), since arm64 has no pause
	loop := len(code)
	call(73, 0, 0, 0, 0, 0)
	back := (loop - len(code)) / 4
	emit(0x14000000 | uint32(back)&0x03ffffff)
	return code
}
