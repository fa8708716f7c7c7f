package outbox

import (
	"errors"
	"strconv"
	"strings"
)

// Headers of a published event, beside those of package events.
const (
	// HeaderKey is the aggregate's id.
	HeaderKey = "Event-Key"
	// HeaderSeq is the event's number among those of its key, whatever their topic, from 1.
	HeaderSeq = "Event-Seq"
	// HeaderPrior says for each topic which event of the key was the last before this one: "topic=seq topic=seq".
	HeaderPrior = "Event-Prior"
	// HeaderPriorAt is when the key's event before this one was published, in microseconds; 0 when that is long ago, or there is none.
	HeaderPriorAt = "Event-Prior-At"
)

// stamp is where an event stands among those of its key.
type stamp struct {
	key     string
	seq     int64
	prior   map[string]int64 // by topic
	priorAt int64
}

// readStamp returns nil for an event that wasn't published from an outbox.
func readStamp(header map[string]string) (*stamp, error) {
	if header[HeaderKey] == "" {
		return nil, nil //nolint:nilnil // no stamp is no error
	}
	s := &stamp{key: header[HeaderKey], prior: make(map[string]int64)}
	var err error
	if s.seq, err = strconv.ParseInt(header[HeaderSeq], 10, 64); err != nil || s.seq < 1 {
		return nil, errors.New(HeaderSeq + " is not a number from 1")
	}
	for entry := range strings.FieldsSeq(header[HeaderPrior]) {
		topic, n, _ := strings.Cut(entry, "=")
		if s.prior[topic], err = strconv.ParseInt(n, 10, 64); err != nil || s.prior[topic] >= s.seq {
			return nil, errors.New(HeaderPrior + " is not a list of earlier numbers by topic")
		}
	}
	if at := header[HeaderPriorAt]; at != "" {
		if s.priorAt, err = strconv.ParseInt(at, 10, 64); err != nil {
			return nil, errors.New(HeaderPriorAt + " is not a number")
		}
	}
	return s, nil
}

// withLast sets topic's entry of "topic=seq topic=seq".
func withLast(last, topic string, seq int64) string {
	out := make([]string, 0, 8)
	for entry := range strings.FieldsSeq(last) {
		if !strings.HasPrefix(entry, topic+"=") {
			out = append(out, entry)
		}
	}
	return strings.Join(append(out, topic+"="+strconv.FormatInt(seq, 10)), " ")
}
