package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/childproc"
)

// runLimit ends a program that hangs, with its output in the report, well
// before go test's own limit, which would leave files behind.
const runLimit = 5 * time.Minute

// Result is how a program ended.
type Result struct {
	// Command is the command line, for reports.
	Command        string
	Stdout, Stderr string
	// ExitCode is the program's; -1 when a signal ended it.
	ExitCode int
	// Killed says that KillAfter or KillWhen ended the program, which had not
	// ended by itself before.
	Killed bool
	// Elapsed is the time from start to end.
	Elapsed time.Duration
	// PeakRSS is the most memory that the program had resident, in bytes; 0
	// where the system does not tell. It is an upper bound: Linux counts in
	// what the test process itself had resident when it started the program
	// (tens of megabytes). Programs that it started count as well, each for
	// itself; the largest is given.
	PeakRSS int64

	t testing.TB
}

// Run runs a program to its end. A failure of the program is no failure of
// the test: see Result.OK.
func (s *Session) Run(name string, arguments ...string) *Result {
	s.t.Helper()
	return s.Start(name, arguments...).Wait()
}

// RunInput is Run with something to read on standard input.
func (s *Session) RunInput(input, name string, arguments ...string) *Result {
	s.t.Helper()
	return s.start(strings.NewReader(input), name, arguments).Wait()
}

// Start starts a program. It ends with the test if not before.
func (s *Session) Start(name string, arguments ...string) *Process {
	s.t.Helper()
	return s.start(nil, name, arguments)
}

// Process is a program that was started in a session.
type Process struct {
	t      testing.TB
	child  *childproc.Process
	cmd    *exec.Cmd
	began  time.Time
	stdout bytes.Buffer
	stderr bytes.Buffer
	killed bool
}

func (s *Session) start(input io.Reader, name string, arguments []string) *Process {
	s.t.Helper()
	if !s.foreign && slices.Contains(containerTools, filepath.Base(name)) {
		s.t.Fatalf("run %s: another project's tool has an environment of its own; use Foreign", name)
	}
	path, err := s.lookPath(name)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &Process{t: s.t, cmd: exec.Command(path, arguments...)}
	p.cmd.Args[0] = name
	p.cmd.Dir, p.cmd.Stdin = s.Dir, input
	p.cmd.Env = append(slices.Clip(s.Env), "PWD="+s.Dir)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	resetPeak()
	p.began = time.Now()
	if p.child, err = childproc.Start(p.cmd, s.account); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.child.Kill)
	return p
}

// Wait waits for the end of the program.
func (p *Process) Wait() *Result {
	p.t.Helper()
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	select {
	case <-p.child.Done():
	case <-limit.C:
		p.child.Kill()
		p.t.Fatalf("%s did not end within %v\n%s", p.result().Command, runLimit, p.result())
	}
	return p.result()
}

// Signal sends a signal, such as os.Interrupt for Ctrl-C, to the program and
// to those that it started, as a terminal does.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.child.Signal(sig); err != nil {
		p.t.Error(err)
	}
}

// KillAfter ends the program at once, as kill -9 does, a given time after it
// was started, unless it ends before.
func (p *Process) KillAfter(delay time.Duration) *Result {
	p.t.Helper()
	timer := time.NewTimer(time.Until(p.began.Add(delay)))
	defer timer.Stop()
	select {
	case <-p.child.Done():
	case <-timer.C:
		p.kill()
	}
	return p.result()
}

// KillWhen ends the program at once, as kill -9 does, when condition, which is
// asked again and again, is true; unless it ends before.
func (p *Process) KillWhen(condition func() bool) *Result {
	p.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	for !condition() {
		select {
		case <-p.child.Done():
			return p.result()
		case <-limit.C:
			p.child.Kill()
			p.t.Fatalf("the condition to kill %s was not met within %v\n%s", p.result().Command, runLimit, p.result())
		case <-tick.C:
		}
	}
	p.kill()
	return p.result()
}

// kill ends the program, and notes whether that was needed.
func (p *Process) kill() {
	p.child.Kill()
	state, _ := p.child.Wait()
	p.killed = state.ExitCode() == -1
}

// result may be asked for once the program has ended.
func (p *Process) result() *Result {
	state, err := p.child.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Errorf("run %s: %v", p.cmd.Path, err)
	}
	return &Result{
		Command:  strings.Join(p.cmd.Args, " "),
		Stdout:   p.stdout.String(),
		Stderr:   p.stderr.String(),
		ExitCode: state.ExitCode(),
		Killed:   p.killed,
		Elapsed:  time.Since(p.began),
		PeakRSS:  peakRSS(state),
		t:        p.t,
	}
}

// OK ends the test unless the program succeeded, and returns the Result.
func (r *Result) OK() *Result {
	r.t.Helper()
	return r.Exit(0)
}

// Exit ends the test unless the program ended with the given exit code, and
// returns the Result.
func (r *Result) Exit(code int) *Result {
	r.t.Helper()
	if r.ExitCode != code {
		r.t.Fatalf("exit code %d, want %d\n%s", r.ExitCode, code, r)
	}
	return r
}

// String is a report of the run, of several lines.
func (r *Result) String() string {
	return fmt.Sprintf("$ %s\n%s%s[exit code %d after %v]", r.Command, r.Stdout, r.Stderr, r.ExitCode, r.Elapsed.Round(time.Millisecond))
}
