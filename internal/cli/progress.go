package cli

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows on a terminal how far a transfer is, on one line that comes
// and goes. Elsewhere it shows nothing.
type progress struct {
	once     sync.Once
	mu       sync.Mutex
	terminal bool
	shown    bool
	last     time.Time
}

const progressInterval = 100 * time.Millisecond

// update shows that done of total bytes are there.
func (p *progress) update(done, total int64) {
	p.once.Do(func() { p.terminal = term.IsTerminal(int(os.Stderr.Fd())) })
	if !p.terminal || total == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.last) >= progressInterval {
		p.last, p.shown = now, true
		fmt.Fprintf(os.Stderr, "\r\033[K%3d %%  %s of %s", 100*done/total, byteSize(done), byteSize(total))
	}
}

// clear takes the line away before something else is printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		p.shown = false
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}

// byteSize writes a number of bytes for a reader: "1.2 MB", in powers of 1000
// as disks and networks have it.
func byteSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB"} {
		if size /= 1000; size < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
