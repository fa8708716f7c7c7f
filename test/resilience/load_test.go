package resilience

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// answer is what came of one request.
type answer struct {
	status int // 0 when there was none
	took   time.Duration
}

// good says that a user has what it asked for, in time.
func (a answer) good(within time.Duration) bool { return a.status == http.StatusOK && a.took <= within }

// tape keeps the answers to requests that were sent in one phase.
type tape struct {
	mu      sync.Mutex
	answers []answer
}

func (t *tape) add(a answer) {
	t.mu.Lock()
	t.answers = append(t.answers, a)
	t.mu.Unlock()
}

// count says how many were good, how many were not answered with 200, and the 99th percentile of those that were, in time or not.
func (t *tape) count(within time.Duration) (sent, good int, p99 time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var took []time.Duration
	for _, a := range t.answers {
		if a.good(within) {
			good++
		}
		if a.status == http.StatusOK {
			took = append(took, a.took)
		}
	}
	return len(t.answers), good, percentile(took, 0.99)
}

// of are the times of the answers with a status.
func (t *tape) of(status int) []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var took []time.Duration
	for _, a := range t.answers {
		if a.status == status {
			took = append(took, a.took)
		}
	}
	return took
}

// failed are the times after which users knew that they got nothing, or gave up.
func (t *tape) failed() []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var took []time.Duration
	for _, a := range t.answers {
		if a.status != http.StatusOK {
			took = append(took, a.took)
		}
	}
	return took
}

func percentile(list []time.Duration, at float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(int(float64(len(list))*at), len(list)-1)]
}

// newClient speaks to the gateway over as many connections as it takes. A user waits for patience at most.
func newClient(patience time.Duration) *http.Client {
	d := net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 2000, MaxIdleConns: 2000}}
}

// ask sends a request. What came of it is an answer, also when nothing did.
func ask(ctx context.Context, c *http.Client, method, url, body string, out *[]byte) answer {
	begin := time.Now()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	rsp, err := c.Do(req)
	if err != nil {
		return answer{took: time.Since(begin)}
	}
	defer func() { _ = rsp.Body.Close() }()
	if out != nil {
		*out, err = io.ReadAll(rsp.Body)
	} else {
		_, err = io.Copy(io.Discard, rsp.Body)
	}
	if err != nil {
		return answer{took: time.Since(begin)}
	}
	return answer{rsp.StatusCode, time.Since(begin)}
}

// open sends perSecond requests a second for a while, whether or not answers come: an open loop, in which a slow answer is not an excuse for
// fewer requests. It returns when all were sent; wait waits for the answers.
func open(ctx context.Context, perSecond float64, during time.Duration, send func(ctx context.Context)) (wait func()) {
	var running sync.WaitGroup
	begin := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for sent := 0; ; {
		past := time.Since(begin)
		if past >= during || ctx.Err() != nil {
			return running.Wait
		}
		for due := int(past.Seconds() * perSecond); sent < due; sent++ {
			running.Go(func() { send(ctx) })
		}
		<-tick.C
	}
}

// closed has n users send one request after the other for a while, and returns how many a second were done.
func closed(ctx context.Context, n int, during time.Duration, send func(ctx context.Context) bool) float64 {
	var running sync.WaitGroup
	var mu sync.Mutex
	done := 0
	begin := time.Now()
	for range n {
		running.Go(func() {
			for time.Since(begin) < during && ctx.Err() == nil {
				if send(ctx) {
					mu.Lock()
					done++
					mu.Unlock()
				}
			}
		})
	}
	running.Wait()
	return float64(done) / time.Since(begin).Seconds()
}
