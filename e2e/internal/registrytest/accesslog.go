package registrytest

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// settleTime bounds the wait for requests that are still being answered when
// the access log is read.
const settleTime = 5 * time.Second

// accessLog reads what docker-registry writes to its standard output, a line
// in Apache's combined format for each request once it is answered, and to its
// standard error, JSON, with a line when each request begins. Both go to one
// file, opened for appending.
//
// The combined line of a large blob may be written after the client has read
// the last byte. The JSON line never is: so the log is complete when each
// request that has begun has ended.
type accessLog struct {
	path string

	mu sync.Mutex
	// skip is the number of requests that clear has forgotten.
	skip int
}

// combinedLine matches Apache's combined log format, as the registry's web
// framework writes it: host, identity, user, time, request, status, size,
// referrer, user agent.
var combinedLine = regexp.MustCompile(`^\S+ \S+ \S+ \[[^]]*\] "(\S+) (\S+) HTTP/[0-9.]+" (\d+) (\d+) "(?:[^"\\]|\\.)*" ("(?:[^"\\]|\\.)*")$`)

// jsonLine is what is read of the registry's own log.
type jsonLine struct {
	Message string `json:"msg"`
	Method  string `json:"http.request.method"`
	URI     string `json:"http.request.uri"`
}

func (l *accessLog) requests() ([]Request, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, err := l.settled()
	return all[min(l.skip, len(all)):], err
}

func (l *accessLog) clear() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, err := l.settled()
	l.skip = len(all)
	return err
}

// settled returns the requests once none is being answered, or after
// settleTime those that are, with status 0, at the end.
func (l *accessLog) settled() ([]Request, error) {
	deadline := time.After(settleTime)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(l.path)
		if err != nil {
			return nil, err
		}
		answered, pending, err := parseAccessLog(string(text))
		if err != nil || len(pending) == 0 {
			return answered, err
		}
		select {
		case <-tick.C:
		case <-deadline:
			return append(answered, pending...), nil
		}
	}
}

// parseAccessLog returns the requests that were answered, in that order, and
// those that had only begun. A last line without its end is left out.
func parseAccessLog(text string) (answered, pending []Request, err error) {
	var begun []Request
	open := map[string]int{}
	for line := range strings.Lines(text) {
		switch {
		case !strings.HasSuffix(line, "\n"):
		case strings.HasPrefix(line, "{"):
			var entry jsonLine
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				return nil, nil, fmt.Errorf("read the log line %q: %w", line, err)
			}
			if entry.Message == "authorizing request" {
				begun = append(begun, newRequest(entry.Method, entry.URI))
				open[entry.Method+" "+entry.URI]++
			}
		default:
			request, ok := parseCombined(strings.TrimSuffix(line, "\n"))
			if ok {
				answered = append(answered, request)
				open[request.key()]--
			}
		}
	}
	for _, request := range begun {
		if open[request.key()] > 0 {
			open[request.key()]--
			pending = append(pending, request)
		}
	}
	return answered, pending, nil
}

func newRequest(method, uri string) Request {
	path, query, _ := strings.Cut(uri, "?")
	return Request{Method: method, Path: path, Query: query}
}

// key is the request line, by which the two kinds of log line are matched.
func (r Request) key() string {
	if r.Query == "" {
		return r.Method + " " + r.Path
	}
	return r.Method + " " + r.Path + "?" + r.Query
}

// parseCombined reads one line of the combined format; ok is false for others,
// such as a Go runtime's report.
func parseCombined(line string) (request Request, ok bool) {
	m := combinedLine.FindStringSubmatch(line)
	if m == nil {
		return Request{}, false
	}
	request = newRequest(m[1], m[2])
	var err error
	if request.Status, err = strconv.Atoi(m[3]); err != nil {
		return Request{}, false
	}
	if request.Bytes, err = strconv.ParseInt(m[4], 10, 64); err != nil {
		return Request{}, false
	}
	if request.UserAgent, err = strconv.Unquote(m[5]); err != nil {
		return Request{}, false
	}
	return request, true
}
