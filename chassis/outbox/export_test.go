package outbox

import "context"

// Pending is what a relay would read at once: how many events, and how many bytes of them.
func Pending(ctx context.Context, r *Relay) (n, size int, err error) {
	rows, err := r.pending(ctx)
	for _, x := range rows {
		size += len(x.body)
	}
	return len(rows), size, err
}

// Tidy runs the relay's clean-up under no lease.
func Tidy(ctx context.Context, r *Relay) error { return r.tidy(ctx, nil) }

// CheckStamp parses an event's place.
func CheckStamp(header map[string]string) error {
	_, err := readStamp(header)
	return err
}
