package resilience

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// apart starts the shop on all processors but the first, and leaves that one to the users: they would otherwise take from the shop what an
// overload is about. With one processor there is nothing to divide.
func apart(t *testing.T, start func() *shop) *shop {
	t.Helper()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if all.Count() < 2 {
		t.Log("one processor for the shop and its users")
		return start()
	}
	users, rest := unix.CPUSet{}, all
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			users.Set(cpu)
			rest.Clear(cpu)
			break
		}
	}
	runtime.LockOSThread() // a process starts where the thread that starts it may run
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &rest); err != nil {
		t.Fatal(err)
	}
	s := start()
	keepTo(t, &users)
	t.Cleanup(func() { keepTo(t, &all) })
	return s
}

// keepTo has every thread of this process run on these processors, and so those that they start.
func keepTo(t *testing.T, on *unix.CPUSet) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SchedSetaffinity(id, on); err != nil && err != unix.ESRCH {
			t.Fatal(err)
		}
	}
}
