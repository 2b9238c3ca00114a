package faults

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Refused runs do while the system answers call, a number such as unix.SYS_FSYNC,
// with cause, as a disk that fails or an older kernel would. do must stay on its
// goroutine. It reports false, and runs nothing, where calls cannot be refused.
func Refused(call uint32, cause syscall.Errno, do func()) bool {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and its filter with it
		ok := refuse(call, cause) == nil
		if ok {
			do()
		}
		done <- ok
	}()
	return <-done
}

// refuse sets a filter on this thread's system calls.
func refuse(call uint32, cause syscall.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(cause)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(program)), 0, 0)
	runtime.KeepAlive(program)
	return err
}
