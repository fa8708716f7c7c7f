package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
)

// profiled has our gateway record where its processor time goes, until the stop that it returns, which waits for the record. Without -profile it
// does nothing. At most 50 s are recorded.
func profiled(ctx context.Context, p plan, all []*process) (stop func() error, err error) {
	if p.profile == "" {
		return func() error { return nil }, nil
	}
	i := slices.IndexFunc(all, func(r *process) bool { return r.name == ours })
	if i < 0 {
		return nil, errors.New("-profile is of our gateway, which is not among -gateways")
	}
	url := fmt.Sprintf("http://%s/profile?seconds=%d", all[i].admin, min(50, p.rounds*len(all)*int(p.turn.Seconds())))
	ended := make(chan error, 1)
	go func() { ended <- save(ctx, url, p.profile) }()
	return func() error { return <-ended }, nil
}

func save(ctx context.Context, url, path string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s", rsp.Status)
	}
	f, err := os.Create(path) //nolint:gosec // where the one who runs this says
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, rsp.Body)
	return err
}
