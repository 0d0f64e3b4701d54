package program

import (
	"os"
	"time"
)

// InterruptAfter sends what Ctrl-C sends, a given time after the program was
// started, and waits for its end; the program may end before.
func (p *Process) InterruptAfter(delay time.Duration) *Result {
	p.t.Helper()
	timer := time.NewTimer(time.Until(p.began.Add(delay)))
	defer timer.Stop()
	select {
	case <-p.child.Done():
	case <-timer.C:
		p.Signal(os.Interrupt)
	}
	return p.Wait()
}

// InterruptWhen sends what Ctrl-C sends when condition, which is asked again
// and again, is true, and waits for the end of the program, which may end
// before.
func (p *Process) InterruptWhen(condition func() bool) *Result {
	p.t.Helper()
	p.When(condition)
	p.Signal(os.Interrupt)
	return p.Wait()
}

// When waits until condition, which is asked again and again, is true, or the
// program ends.
func (p *Process) When(condition func() bool) {
	p.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	for !condition() {
		select {
		case <-p.child.Done():
			return
		case <-limit.C:
			p.child.Kill()
			p.t.Fatalf("%s did not come to what was waited for within %v\n%s", p.result().Command, runLimit, p.result())
		case <-tick.C:
		}
	}
}
